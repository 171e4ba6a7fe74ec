"""Whatever a model calls its things, the code that is offered for copying is the same call with the same strings."""

from __future__ import annotations

import ast
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tfmagic
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs.signatures import Endpoint
from tfmagic.verbs.snippets import serving_requests
from tfmagic.verbs.snippets.example_values import is_argument
from tfmagic.verbs.snippets.results import _called
from tfmagic.verbs.snippets.serving_requests import Served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

#: What ends a line, a string, a word or a comment for somebody, what Python reads as another name, and any text.
SPECIAL = st.text(
    st.sampled_from("ab\t\n\r\v\x1c\x85\u2028\u2029\u202e\x1b\0'\"\\${}%#;=()ﬁªſ"), min_size=1, max_size=8
)
TEXTS = st.one_of(SPECIAL, st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))
#: For what comes from a path or from JSON, which may hold half of a character.
ANY = st.one_of(TEXTS, st.text(st.characters(), min_size=1, max_size=8))
#: Elements of an input whose example a request writes out, and whose it does not.
SMALL, LARGE = 3, 300
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def skeleton(code: str) -> tuple[str, set[object]]:
    """Return a program without its constants and the names of its keywords, and those."""
    tree = ast.parse(code)
    values: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            values.add(node.value)
            node.value = None
        elif isinstance(node, ast.keyword) and node.arg is not None:
            values.add(node.arg)
            node.arg = "name"
    return ast.dump(tree), values


def saved_model(directory: Path, key: str, ends: str, tag: str, method: str) -> Path:
    message = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = message.meta_graphs.add()
    meta_graph.meta_info_def.tags.append(tag)
    signature = meta_graph.signature_def[key]
    signature.method_name = method
    for side in (signature.inputs, signature.outputs):
        side[ends].name, side[ends].dtype = f"{ends}:0", 1
    directory.mkdir(exist_ok=True)
    (directory / "saved_model.pb").write_bytes(message.SerializeToString())
    return directory


def plain(key: str) -> str:
    """Return a key of the same kind that needs no care."""
    return "plain" if is_argument(key) else "no name"


@QUICK
@given(key=TEXTS, ends=TEXTS, tag=TEXTS, method=TEXTS)
@example(key="k", ends="\ufb01", tag="t", method="m")
def test_a_call_of_a_saved_model(tmp_path: Path, key: str, ends: str, tag: str, method: str) -> None:
    try:
        code = str(tfmagic.code("run", saved_model(tmp_path / "m", key, ends, tag, method), signature=key))
    except errors.UnsupportedConversionError:
        assert ends == "self"
        return
    expected = tfmagic.code("run", saved_model(tmp_path / "m", "k", plain(ends), "t", "m"), signature="k")
    shape, values = skeleton(code)
    # A tag with a comma in it is two where tags are joined; TensorFlow's own tools cannot name it either.
    assert shape == skeleton(str(expected))[0] or "," in tag
    assert {key, ends} <= values


def tflite(path: Path, content: bytes, key: str, ends: str) -> Path:
    """Write a TFLite file with a signature of such names; ``content`` is that of one with a signature."""
    schema: Any = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    flatbuffers: Any = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (signature,) = model.signatureDefs
    signature.signatureKey = key
    for end in (signature.inputs[0], signature.outputs[0]):
        end.name = ends
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


@pytest.mark.tensorflow
@QUICK
@given(key=TEXTS, ends=TEXTS)
@example(key="k", ends="\ufb01")
def test_a_call_of_a_tflite_file(samples: Built, tmp_path: Path, key: str, ends: str) -> None:
    content = samples["tflite"].read_bytes()
    try:
        code = str(tfmagic.code("run", tflite(tmp_path / "m.tflite", content, key, ends), signature=key))
    except errors.UnsupportedConversionError:
        assert ends == "self"
        return
    expected = tfmagic.code("run", tflite(tmp_path / "m.tflite", content, "k", plain(ends)), signature="k")
    shape, values = skeleton(code)
    assert shape == skeleton(str(expected))[0]
    assert {key, ends} <= values


@QUICK
@given(key=TEXTS, other=TEXTS, path=TEXTS)
def test_signing(tmp_path: Path, key: str, other: str, path: str) -> None:
    code = str(tfmagic.code("sign", saved_model(tmp_path / "m", key, "x", "t", "m"), path, rename={key: other}))
    plain_code = tfmagic.code("sign", saved_model(tmp_path / "m", "k", "x", "t", "m"), "p", rename={"k": "o"})
    shape, values = skeleton(code)
    if not key.startswith("__"):
        assert shape == skeleton(str(plain_code))[0]
        assert {key, other, path} <= values


@QUICK
@given(keys=st.lists(ANY, min_size=1, max_size=3, unique=True))
@example(keys=["\ufb01"])
def test_a_call_inside_of_a_merge(keys: list[str]) -> None:
    values = {key: f"v{place}" for place, key in enumerate(keys)}
    (statement,) = ast.parse(_called("f", values)).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    heard: dict[str, str] = {}
    for keyword in statement.value.keywords:
        pairs = (
            zip(keyword.value.keys, keyword.value.values, strict=True) if isinstance(keyword.value, ast.Dict) else ()
        )
        heard |= {ast.literal_eval(key): ast.unparse(value) for key, value in pairs if key is not None}
        heard |= {} if keyword.arg is None else {keyword.arg: ast.unparse(keyword.value)}
    assert heard == values


@QUICK
@given(key=TEXTS, ends=TEXTS, name=TEXTS, size=st.sampled_from([SMALL, LARGE]))
def test_requests_to_a_server(key: str, ends: str, name: str, size: int) -> None:
    served = Served(name, key, "tensorflow/serving/predict", [Endpoint(ends, "x:0", "float32", (None, size))])
    for code in (serving_requests.grpc(served), *([serving_requests.rest(served)] if size == LARGE else [])):
        assert {key, ends} <= skeleton(code)[1]
    if size == SMALL:
        body = json.loads(shlex.split(serving_requests.rest(served))[-1])
        assert body["signature_name"] == key
        assert list(body["instances"][0]) == [ends]


@QUICK
@given(path=ANY.filter(lambda text: "\0" not in text and "/" not in text and text not in (".", "..")))
def test_a_path(tmp_path: Path, path: str) -> None:
    try:
        place = saved_model(tmp_path / path, "k", "x", "t", "m")
    except (OSError, UnicodeEncodeError):
        return  # no name for a file here
    code = str(tfmagic.code("run", place, signature="k"))
    assert str(place) in skeleton(code)[1]
