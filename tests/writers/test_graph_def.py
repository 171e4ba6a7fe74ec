from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, functions, readers
from tfmagic.files import protos
from tfmagic.models.model import Model, Part
from tfmagic.models.writer import WriteOptions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.writers import WRITERS, writer_for
from tfmagic.writers import graph_def as writer_module
from tfmagic.writers.graph_def import GraphDefWriter, GraphTextWriter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
OPTIONS = WriteOptions(("serving_default",), ("serve",))


@pytest.fixture
def source() -> Model:
    """A function with a variable, as a reader would give it."""
    tf = runtime.tensorflow()
    weight = tf.Variable(np.linspace(-1, 1, 12).reshape(4, 3), dtype=tf.float32)
    word = tf.Variable(["ü", "\0"], dtype=tf.string)
    concrete = tf.function(lambda x: {"y": x @ weight, "word": word + "!"}).get_concrete_function(
        tf.TensorSpec([None, 4], tf.float32, name="x")
    )
    named = functions.of_concrete(concrete, "serving_default")
    return Model("function", "a test", {Part.FUNCTION: lambda: lambda _key: named})


@pytest.mark.parametrize(("writer", "suffix"), [(GraphDefWriter(), ".pb"), (GraphTextWriter(), ".pbtxt")])
def test_what_is_written_is_read_by_tensorflow(source: Model, tmp_path: Path, writer: Any, suffix: str) -> None:
    tf = runtime.tensorflow()
    path = tmp_path / f"model{suffix}"
    draft = writer.prepare(source, OPTIONS)
    draft.write(path)
    graph_def = tf.compat.v1.GraphDef()
    if suffix == ".pb":
        graph_def.ParseFromString(path.read_bytes())
        assert draft.size == path.stat().st_size
    else:
        from google.protobuf import text_format  # noqa: PLC0415 - the user's own reader

        text_format.Parse(path.read_text(), graph_def)
        assert draft.size >= path.stat().st_size
    x = np.random.default_rng(0).random((3, 4), dtype=np.float32)
    expected = source.part(Part.FUNCTION)("serving_default")({"x": x})
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(graph_def, name="")
        y, word = session.run(["y:0", "word:0"], {"x:0": x})
    np.testing.assert_allclose(y, expected["y"])
    assert word.tolist() == expected["word"].tolist() == ["ü!".encode(), b"\0!"]
    found = draft.load(path, "serving_default")({"x": x})
    assert list(found) == ["y", "word"]
    np.testing.assert_allclose(found["y"], expected["y"])


@pytest.mark.parametrize("suffix", [".pb", ".pbtxt"])
def test_what_is_written_is_read_by_our_reader(source: Model, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    writer_for(path).prepare(source, OPTIONS).write(path)
    model = readers.read(path)
    assert model.form == "graph_def"
    assert model.ops["name"].iloc[0] == "x"
    assert list(model.ops["name"])[-2:] == ["y", "word"]


def test_the_same_graph_gives_the_same_bytes(source: Model, tmp_path: Path) -> None:
    for name in ("one.pb", "two.pb"):
        GraphDefWriter().prepare(source, OPTIONS).write(tmp_path / name)
    assert (tmp_path / "one.pb").read_bytes() == (tmp_path / "two.pb").read_bytes()


def test_a_graph_holds_one_signature(source: Model) -> None:
    with pytest.raises(errors.ConversionError, match=r"holds one signature.*'a', 'b'"):
        GraphDefWriter().prepare(source, WriteOptions(("a", "b"), ()))


@pytest.mark.parametrize(
    ("name", "format_name"),
    [
        ("m.pb", "graph_def"),
        ("m.PB", "graph_def"),
        ("m.pbtxt", "graph_text"),
        ("served", "saved_model"),
        ("1", "saved_model"),
    ],
)
def test_a_suffix_says_the_format(tmp_path: Path, name: str, format_name: str) -> None:
    assert writer_for(tmp_path / name).format == format_name


def test_a_version_is_no_suffix(tmp_path: Path) -> None:
    assert writer_for(tmp_path / "model.v1.2").format == "saved_model"


def test_a_suffix_of_no_format_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(errors.ConversionError, match=r"'\.xyz'.*\.pb for graph_def.*format="):
        writer_for(tmp_path / "m.xyz")


def test_a_format_may_be_named(tmp_path: Path) -> None:
    assert writer_for(tmp_path / "m.bin", "graph_def").format == "graph_def"
    with pytest.raises(errors.UnknownNameError, match="did you mean 'graph_def'"):
        writer_for(tmp_path / "m", "graphdef")


def test_formats_and_suffixes_are_unique() -> None:
    formats = [writer.format for writer in WRITERS]
    suffixes = [suffix for writer in WRITERS for suffix in writer.suffixes]
    assert len(set(formats)) == len(formats)
    assert len(set(suffixes)) == len(suffixes)


def test_large_text_is_refused(source: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfmagic.writers.graph_def.PROTOBUF_LIMIT", 100)
    with pytest.raises(errors.TooLargeError, match=r"write '\.pb' instead"):
        GraphTextWriter().prepare(source, OPTIONS)


@pytest.mark.parametrize("suffix", [".pb", ".pbtxt"])
@pytest.mark.parametrize("fault", ["its last bit", "another order of outputs", "a variable less"])
def test_a_fault_in_the_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, fault: str
) -> None:
    tf = runtime.tensorflow()
    generator = np.random.default_rng(0)
    # One that stands beside the graph that is run, and one in it.
    large, small = (tf.Variable(generator.random(shape, np.float32)) for shape in ((300, 300), (300, 2)))

    def call(x: Any) -> dict[str, Any]:
        y = x @ large @ small
        return {"a": tf.identity(y[:, 0], "a"), "b": tf.identity(y[:, 1], "b")}

    concrete = tf.function(call, input_signature=[tf.TensorSpec([None, 300], name="x")]).get_concrete_function()
    assert not any("not verified" in note for note in tfmagic.freeze(concrete, output=tmp_path / f"a{suffix}").notes)
    spoiled: list[str] = []

    def spoil(file: BinaryIO) -> BinaryIO:
        graph_def = protos.parse("GraphDef", file.read())
        nodes = {node.name: node for node in graph_def.node}
        constants = [node for node in graph_def.node if node.op == "Const"]
        weights = [node for node in constants if len(node.attr["value"].tensor.tensor_content) > 1000]
        assert len(weights) == 2
        spoiled.append(fault)
        if fault == "its last bit":
            content = bytearray(weights[0].attr["value"].tensor.tensor_content)
            content[0] ^= 1
            weights[0].attr["value"].tensor.tensor_content = bytes(content)
        elif fault == "another order of outputs":
            first, second = nodes["a"].input[0], nodes["b"].input[0]
            nodes["a"].input[0], nodes["b"].input[0] = second, first
        else:
            weights[1].attr["value"].tensor.ClearField("tensor_content")
        return io.BytesIO(graph_def.SerializeToString())

    read_back = writer_module.read_back
    monkeypatch.setattr(
        writer_module, "read_back", lambda frozen, file, key, **text: read_back(frozen, spoil(file), key, **text)
    )
    with pytest.raises(errors.ConversionError, match=r"not written as they are|differs from the source"):
        tfmagic.freeze(concrete, output=tmp_path / f"b{suffix}")
    assert spoiled == [fault]
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("fault", ["", "the first bit", "the last bit", "its name", "its dtype", "its shape"])
def test_a_large_constant_is_compared_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Nothing is parsed that lies in the file as it was written, or the content would be in memory twice."""
    tf = runtime.tensorflow()
    kernel = tf.Variable(np.random.default_rng(0).random((300, 301), np.float32), name="kernel")
    concrete = tf.function(
        lambda x: {"y": x @ kernel}, input_signature=[tf.TensorSpec([None, 300], name="x")]
    ).get_concrete_function()
    content = kernel.numpy().tobytes()

    def spoil(file: BinaryIO) -> BinaryIO:
        data = bytearray(file.read())
        begin = data.index(content)
        place = {
            "the first bit": begin,
            "the last bit": begin + len(content) - 1,
            "its name": data.rindex(b"kernel", 0, begin),
            "its dtype": data.rindex(b"dtype", 0, begin) + len(b"dtype") + 3,
            "its shape": data.rindex(b"\x08\xac\x02", 0, begin) + 1,
        }
        if fault:
            data[place[fault]] ^= 1
        return io.BytesIO(bytes(data))

    read_back, parse, parsed = writer_module.read_back, protos.parse, []

    def measured(name: str, data: bytes) -> protos.Message:
        parsed.append(len(data))
        return parse(name, data)

    monkeypatch.setattr(
        writer_module, "read_back", lambda frozen, file, key, **text: read_back(frozen, spoil(file), key, **text)
    )
    monkeypatch.setattr(protos, "parse", measured)
    if fault:
        with pytest.raises(errors.ConversionError):
            tfmagic.freeze(concrete, output=tmp_path / "a.pb")
        assert not list(tmp_path.iterdir())
    else:
        tfmagic.freeze(concrete, output=tmp_path / "a.pb")
        assert parsed
        assert max(parsed) < len(content)


@pytest.mark.parametrize(("suffix", "what"), [(".pb", b"Placeholder"), (".pb", b"MatMul"), (".pbtxt", b"node {")])
def test_what_cannot_be_parsed_is_told_as_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, what: bytes
) -> None:
    tf = runtime.tensorflow()
    kernel = tf.Variable(np.ones((2, 2), np.float32))
    concrete = tf.function(
        lambda x: {"y": x @ kernel}, input_signature=[tf.TensorSpec([None, 2], name="x")]
    ).get_concrete_function()
    write = writer_module.GraphDefDraft.write if suffix == ".pb" else writer_module.GraphTextDraft.write
    draft = writer_module.GraphDefDraft if suffix == ".pb" else writer_module.GraphTextDraft

    def spoiled(self: Any, path: Path) -> None:
        write(self, path)
        data = bytearray(path.read_bytes())
        data[data.index(what) - 1 if suffix == ".pb" else data.rindex(what) + 5] ^= 64
        path.write_bytes(data)

    monkeypatch.setattr(draft, "write", spoiled)
    with pytest.raises(errors.ConversionError, match=r"cannot be read back|not written as they are"):
        tfmagic.freeze(concrete, output=tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())
