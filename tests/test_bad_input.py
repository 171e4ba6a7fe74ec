"""Files that are damaged, hostile or none of ours: an error that names them and helps, within bounds, never a hang."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import pickle
import pkgutil
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import tfmagic
from tests.checkpoint_samples import LFS_POINTER, table
from tests.conftest import ROOT
from tests.damage import DAMAGES
from tests.samples import SAMPLES, Built
from tfmagic import errors, files, findings, frames
from tfmagic.files import places, protos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

needs_tensorflow = pytest.mark.tensorflow
#: A prefix with its ``.meta`` has no file of its own: "meta_graph" and "checkpoint_v2" show what is damaged there.
FILES = [name for name, sample in SAMPLES.items() if sample.is_file and name != "meta_graph_of_a_prefix"]
#: Samples of which one file is all that recognition needs.
SINGLE = [
    "graph_def", "graph_def_text", "graph_def_gzip", "meta_graph", "checkpoint_v1", "keras_archive", "keras_hdf5",
    "keras_weights", "tflite",
]  # fmt: skip
#: The file that holds the form's own content, where the source is a directory or a prefix.
HEARTS = {
    "saved_model_tf2": "model/saved_model.pb",
    "saved_model_tf1": "model/saved_model.pb",
    "saved_model_text": "model/saved_model.pbtxt",
    "saved_model_of_keras": "model/saved_model.pb",
    "saved_model_several": "model/saved_model.pb",
    "saved_model_versions": "served/10/saved_model.pb",
    "checkpoint_v2": "model.ckpt.index",
    "checkpoint_sharded": "model.ckpt.index",
    "checkpoint_of_objects": "ckpt-1.index",
}
#: What a helpful message has somewhere: something to do.
_ADVICE = re.compile(
    r"The forms are: |\b(again|copy|give|run|check|save|export|unpack|fetch|change|load|do not|did you mean)\b",
    re.IGNORECASE,
)


#: What a file of Keras shows only after Keras has built its model.
_TRACED = {"ops", "functions", "metagraphs", "assets", "graph_def", "meta_graph_def"}


def use(source: object, *, trace: bool = True) -> list[Exception]:
    """Look at all of a source; return what its tables and messages refuse, but let nothing unforeseen through."""
    model = tfmagic.inspect(source)
    repr(model)
    model._repr_html_()
    refused: list[Exception] = []
    for name in (*frames.ROW_TYPES, "graph_def", "meta_graph_def", "signature_def"):
        if model.form == "keras_file" and name in _TRACED and not trace:
            continue
        try:
            getattr(model, name)
        except errors.MissingPartError:
            continue
        except errors.ReadError as error:
            refused.append(error)
    return refused


def refusal(source: os.PathLike[str] | str, *kinds: type[Exception], names: str = "") -> str:
    """Return the message with which a source is refused, sooner or later; it names the file and helps."""
    caught: Exception | None = None
    try:
        caught = next(iter(use(source)), None)
    except (errors.ReadError, FileNotFoundError) as error:
        caught = error
    assert caught is not None, "nothing was refused"
    assert type(caught) in (kinds or (errors.CorruptSourceError,)), caught
    message = str(caught)
    assert repr(names or str(source))[1:-1] in message
    assert _ADVICE.search(message), message
    return message


def graph_def(nodes: int = 3) -> Any:
    graph = protos.message("GraphDef")()
    for index in range(nodes):
        graph.node.add(name=f"node_{index}", op="Identity", input=[f"node_{index - 1}"] if index else [])
    return graph


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# Damage


@needs_tensorflow
@pytest.mark.parametrize("name", FILES)
def test_truncated(samples: Built, name: str, tmp_path: Path) -> None:
    source = samples.copy(name, tmp_path)
    heart = tmp_path / name / HEARTS[name] if name in HEARTS else source
    whole = heart.read_bytes()
    for size in (len(whole) // 2, len(whole) - 1, len(whole) // 3, 300, 20, 3):
        heart.write_bytes(whole[:size])
        with suppress(errors.ReadError):
            use(source)
    heart.write_bytes(whole[: len(whole) // 2])
    refusal(source, errors.CorruptSourceError, errors.UnrecognizedSourceError, names=heart.name.removesuffix(".index"))


@needs_tensorflow
@pytest.mark.parametrize("name", FILES)
def test_damaged_anywhere(samples: Built, name: str, tmp_path: Path) -> None:
    source = samples.copy(name, tmp_path)
    originals = {path: path.read_bytes() for path in sorted((tmp_path / name).rglob("*")) if path.is_file()}
    chance = random.Random(name)
    for _ in range(6):
        path, whole = chance.choice([pair for pair in originals.items() if pair[1]])
        data = bytearray(whole)
        chance.choice(DAMAGES)(data, chance)
        path.write_bytes(data)
        with suppress(errors.ReadError, FileNotFoundError):
            use(source)
        path.write_bytes(whole)


@needs_tensorflow
@pytest.mark.parametrize("name", ["saved_model_tf1", "saved_model_tf2", "saved_model_of_keras"])
@pytest.mark.parametrize("left", [0, 5])
def test_a_data_shard_cut_short_is_told_when_values_are_read(
    samples: Built, name: str, left: int, tmp_path: Path
) -> None:
    source = samples.copy(name, tmp_path)
    (shard,) = (tmp_path / name).rglob("*.data-00000-of-00001")
    shard.write_bytes(shard.read_bytes()[:left])
    for result in ("made.pb", "made"):
        with pytest.raises(errors.TfMagicError, match=f"variables' cannot be read|{name}/model': ") as caught:
            tfmagic.export(source, tmp_path / result)
        assert "File" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@needs_tensorflow
@pytest.mark.parametrize("name", FILES)
def test_what_is_damaged_anywhere_is_converted_or_refused_and_leaves_nothing(
    samples: Built, name: str, tmp_path: Path
) -> None:
    source = samples.copy(name, tmp_path)
    originals = {path: path.read_bytes() for path in sorted((tmp_path / name).rglob("*")) if path.is_file()}
    chance = random.Random(name)
    for format in ("graph_def", "saved_model", "tensorboard", "checkpoint"):
        for damage in DAMAGES:
            path, whole = chance.choice([pair for pair in originals.items() if pair[1]])
            data = bytearray(whole)
            damage(data, chance)
            path.write_bytes(data)
            place = tmp_path / f"{format}_{damage.__name__}"
            place.mkdir()
            try:
                tfmagic.export(source, place / "made.ckpt" if format == "checkpoint" else place / "made", format=format)
            except (errors.TfMagicError, FileNotFoundError):
                assert list(place.iterdir()) == []
            path.write_bytes(whole)


@needs_tensorflow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("content", "says"), [(b"", "empty"), (LFS_POINTER, "git lfs pull")], ids=["empty", "pointer"])
def test_empty_and_pointers(samples: Built, name: str, content: bytes, says: str, tmp_path: Path) -> None:
    source = samples.copy(name, tmp_path)
    heart = tmp_path / name / HEARTS[name] if name in HEARTS else source
    heart.write_bytes(content)
    names = heart.name.removesuffix(".index")
    message = refusal(source, errors.CorruptSourceError, errors.UnrecognizedSourceError, names=names)
    assert says in message


def test_an_empty_text_does_not_mean_the_folder_that_somebody_is_in() -> None:
    with pytest.raises(errors.UnrecognizedSourceError, match="'' is no path"):
        tfmagic.inspect("")


@needs_tensorflow
@pytest.mark.parametrize("name", SINGLE)
def test_suffixes_do_not_matter(samples: Built, name: str, tmp_path: Path) -> None:
    content = samples.path(name).read_bytes()
    for suffix in (".pb", ".pbtxt", ".h5", ".keras", ".tflite", ".meta", ".index", ".gz", ".bin", ".txt", ""):
        model = tfmagic.inspect(written(tmp_path / f"renamed{suffix}", content))
        assert model.form == SAMPLES[name].form
        assert len(model.table("variables" if "variables" in model.parts else "signatures"))
        (tmp_path / f"renamed{suffix}").unlink()


@needs_tensorflow
def test_a_saved_model_s_file_by_another_name(samples: Built, tmp_path: Path) -> None:
    for name in ("saved_model_tf2", "saved_model_text"):
        content = (samples.directory / name / HEARTS[name]).read_bytes()
        model = tfmagic.inspect(written(tmp_path / f"{name}.h5", content))
        assert model.form == "saved_model"
        assert len(model.signatures)


OTHERS = {
    "pickle": (pickle.dumps({"weights": [1, 2]}), "pickle"),
    "page.pb": (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "HTML"),
    "picture.h5": (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
    "model.json": (b'{"format": "graph-model", "modelTopology": {}}', "JSON"),
    "zeros.pb": (bytes(5000), "zero"),
    "noise.pb": (random.Random(1).randbytes(5000), "truncated or of another program"),
    "script.py": (b"import tensorflow as tf\n", "none of TensorFlow"),
    "packed.tar": (bytes(257) + b"ustar" + bytes(300), "tar"),
    "plain.zip": (b"PK\x03\x04" + bytes(100), "zip"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_others_are_guessed(name: str, tmp_path: Path) -> None:
    content, says = OTHERS[name]
    message = refusal(written(tmp_path / name, content), errors.UnrecognizedSourceError)
    assert says in message
    assert all(form in message for form in ("saved_model", "graph_def", "tflite", "keras_file"))


def test_what_a_directory_without_a_model_holds_is_told(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    written(tmp_path / "hub" / "config.json", b"{}")
    written(tmp_path / "hub" / "model.safetensors", len(header).to_bytes(8, "little") + header + bytes(8))
    written(tmp_path / "flax" / "_CHECKPOINT_METADATA", b"{}")
    written(tmp_path / "notes" / "a.txt", b"words")
    (tmp_path / "new").mkdir()
    says = {"hub": "'model.safetensors' seems to be a safetensors file", "flax": "Orbax", "new": "an empty directory"}
    says["notes"] = "'a.txt'; give the path of the model itself"
    for name, words in says.items():
        assert words in refusal(tmp_path / name, errors.UnrecognizedSourceError)


def test_a_model_further_down_is_offered(tmp_path: Path) -> None:
    written(tmp_path / "outer" / "data" / "mine" / "graph.pb", graph_def().SerializeToString())
    message = refusal(tmp_path / "outer", errors.UnrecognizedSourceError)
    assert f"give the path of one that lies in it: {str(tmp_path / 'outer' / 'data' / 'mine')!r}" in message


def test_a_whole_disk_is_not_searched_for_what_could_be_meant(tmp_path: Path) -> None:
    for folder in range(6):
        for file in range(100):
            written(tmp_path / f"full{folder}" / str(file), b"words")
    written(tmp_path / "last" / "graph.pb", graph_def().SerializeToString())
    assert "lies in it" not in refusal(tmp_path, errors.UnrecognizedSourceError)
    shutil.rmtree(tmp_path / "full0")
    shutil.rmtree(tmp_path / "full1")
    assert f"lies in it: {str(tmp_path / 'last')!r}" in refusal(tmp_path, errors.UnrecognizedSourceError)


@pytest.mark.skipif(not Path("/proc/version").is_file(), reason="there is no /proc")
def test_a_file_of_the_kernel_is_not_waited_for() -> None:
    # It has words in it and no size, as /proc/kmsg has, which a reader would wait at for what comes.
    assert Path("/proc/version").read_bytes()
    assert "the file is empty" in refusal(Path("/proc/version"), errors.UnrecognizedSourceError)


def test_a_name_in_other_letters_is_offered(tmp_path: Path) -> None:
    written(tmp_path / "good.pb", graph_def().SerializeToString())
    assert "'good.pb'" in refusal(tmp_path / "GOOD.PB", FileNotFoundError).replace(f"{tmp_path}/", "")
    with pytest.raises(errors.UnknownNameError, match="did you mean 'Image'"):
        raise errors.UnknownNameError("IMAGE", "tensor", ("Image", "other"))


def test_text_graphs_that_do_not_parse(tmp_path: Path) -> None:
    good = 'node { name: "a" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }'
    for index, text in enumerate(
        (good[:-1], good + "}", good.replace("name", "nmae", 1) + "{", 'node { name: "a', "node {" * 500)
    ):
        message = refusal(written(tmp_path / f"{index}.pbtxt", text.encode()))
        assert "text format" in message


# Paths


def test_missing_paths_name_the_nearest(tmp_path: Path) -> None:
    written(tmp_path / "frozen_graph.pb", graph_def().SerializeToString())
    message = refusal(tmp_path / "frozen_grap.pb", FileNotFoundError)
    assert repr(str(tmp_path / "frozen_graph.pb")) in message
    with pytest.raises(FileNotFoundError, match="nor a directory"):
        tfmagic.inspect(tmp_path / "no" / "such" / "place")
    with pytest.raises(FileNotFoundError, match="no file"):
        tfmagic.inspect("~no-such-user-as-this/model.pb")


def test_a_blank_that_cut_a_path_off_is_seen(tmp_path: Path) -> None:
    written(tmp_path / "my model" / "graph.pb", graph_def().SerializeToString())
    message = refusal(tmp_path / "my", FileNotFoundError)
    assert f"did you mean {str(tmp_path / 'my model')!r}? A path with a blank in it goes into quotes" in message


@pytest.mark.parametrize("content", [b"# a comment\n", b"hello\n", b"\x00\x01\x02", pickle.dumps({})])
def test_what_is_no_model_is_told_in_a_few_words(content: bytes, tmp_path: Path) -> None:
    """The forms are named, and not described: that is what `tfmagic.forms()` is for."""
    message = refusal(written(tmp_path / "m", content), errors.UnrecognizedSourceError)
    assert len(message.replace(str(tmp_path), "")) < 400
    assert "saved_model, graph_def, " in message
    assert "session" not in message
    with pytest.raises(errors.UnrecognizedSourceError, match="keras_model, function, session, or a path"):
        tfmagic.inspect(content)


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    assert "links" in refusal(tmp_path / "loop", errors.ReadError)
    (tmp_path / "dangling").symlink_to("gone.pb")
    message = refusal(tmp_path / "dangling", FileNotFoundError)
    assert "'gone.pb'" in message
    assert "did you mean" not in message
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "saved_model.pb").symlink_to("saved_model.pb")
    refusal(tmp_path / "served", errors.ReadError, names=str(tmp_path / "served" / "saved_model.pb"))
    (tmp_path / "served" / "saved_model.pb").unlink()
    (tmp_path / "served" / "saved_model.pb").symlink_to("gone.pb")
    with pytest.raises(FileNotFoundError, match=r"saved_model\.pb"):
        use(tmp_path / "served")


def test_a_directory_where_a_file_should_be(tmp_path: Path) -> None:
    for name in ("model.pb", "model.h5", "model.keras", "model.tflite", "model.ckpt.index"):
        (tmp_path / name).mkdir()
        assert "empty directory" in refusal(tmp_path / name, errors.UnrecognizedSourceError)
    (tmp_path / "served" / "saved_model.pb").mkdir(parents=True)
    assert "'saved_model.pb'" in refusal(tmp_path / "served", errors.UnrecognizedSourceError)


def test_several_models_in_a_directory(tmp_path: Path) -> None:
    written(tmp_path / "a.pb", graph_def().SerializeToString())
    written(tmp_path / "notes.txt", b"notes")
    assert "'a.pb' is shown" in " ".join(tfmagic.inspect(tmp_path).notes)
    written(tmp_path / "b.pb", graph_def().SerializeToString())
    message = refusal(tmp_path, errors.UnrecognizedSourceError)
    assert "'a.pb', 'b.pb'" in message


def test_several_models_in_a_directory_are_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [written(tmp_path / f"{number}.pb", graph_def().SerializeToString()) for number in range(3)]
    head = places.head
    looked_at: list[Path] = []

    def noted(path: Path, count: int) -> bytes:
        looked_at.append(path)
        return head(path, count)

    monkeypatch.setattr(places, "head", noted)
    refusal(tmp_path, errors.UnrecognizedSourceError)
    assert looked_at == paths


@pytest.mark.parametrize(
    "name",
    ["two\nlines", "tab\tquote'\"", "\N{PILE OF POO}", "\udcff\udc80", "<b>&amp;", "a" * 200, " ", "-o", "~x", "{x}$x"],
)
def test_odd_names(name: str, tmp_path: Path) -> None:
    good = tfmagic.inspect(written(tmp_path / name / "graph.pb", graph_def().SerializeToString()))
    assert len(good.ops) == 3
    assert all(ord(char) >= 32 for char in repr(good).replace("\n", ""))
    assert "<b>" not in good._repr_html_()
    good._repr_html_().encode()
    refusal(written(tmp_path / name / name, b"\x89PNG"), errors.UnrecognizedSourceError)
    refusal(tmp_path / name / "missing", FileNotFoundError, names="missing")


def test_a_name_with_a_tilde_is_a_name(in_tmp_path: Path) -> None:
    written(in_tmp_path / "~backup.pb", graph_def().SerializeToString())
    assert len(tfmagic.inspect("~backup.pb").ops) == 3
    assert len(tfmagic.inspect(b"~backup.pb".decode()).ops) == 3


def test_paths_that_no_system_takes(tmp_path: Path) -> None:
    refusal(f"{tmp_path}/nul\0byte.pb", errors.ReadError)
    refusal(str(tmp_path / ("x" * 300)), errors.ReadError)
    refusal(str(tmp_path) + "/deep" * 2000, errors.ReadError)


def test_a_very_deep_directory(in_tmp_path: Path) -> None:
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    written(Path("graph.pb"), graph_def().SerializeToString())
    assert len(tfmagic.inspect("graph.pb").ops) == 3
    os.chdir(in_tmp_path)
    shutil.rmtree("d" * 200)


# Processes of their own: what may hang, fill the memory or needs another user


class Outcome(NamedTuple):
    """What came of looking at a path: the first error's type and message, seconds, and added memory in MiB."""

    error: str
    message: str
    seconds: float
    memory: float


_LOOK = """
import json, os, resource, sys, time
sys.path.insert(0, os.getcwd())
import h5py
import tfmagic
from tests.test_bad_input import use, warm
user, paths = json.load(sys.stdin)
warm()
if user and os.geteuid() == 0:
    os.setuid(user)
for path in paths:
    before, start, error = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time(), None
    try:
        error = next(iter(use(path, trace=False)), None)
    except Exception as caught:
        error = caught
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([type(error).__name__, str(error), time.process_time() - start, memory / 1024]), flush=True)
"""


def warm() -> None:
    """Import what reading imports, some of it when it is used only: it is neither counted nor forbidden later."""
    for package in (files, findings):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    graph = protos.message("MetaGraphDef")(graph_def=graph_def())
    tfmagic.inspect(graph).ops.sort_values("name")
    use(graph)


def look(paths: Iterable[Path | str], user: int = 0) -> list[Outcome]:
    """Look at paths in a process of its own, in order; a hang is an error."""
    listed = [str(path) for path in paths]
    done = subprocess.run(
        [sys.executable, "-c", _LOOK], input=json.dumps([user, listed]), capture_output=True, text=True, cwd=ROOT,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Outcome(*json.loads(line)) for line in done.stdout.splitlines()]


def check(
    outcomes: Sequence[Outcome], paths: Iterable[Path | str], *kinds: str, seconds: float = 5, memory: float = 100
) -> None:
    """Check that each path was refused in one of some ways, named, helped with, and within bounds."""
    for outcome, path in zip(outcomes, paths, strict=True):
        assert outcome.error in kinds, (path, outcome)
        assert outcome.seconds < seconds, (path, outcome)
        assert outcome.memory < memory, (path, outcome)
        if outcome.error != "NoneType":
            assert repr(str(path))[:-1] in outcome.message
            assert _ADVICE.search(outcome.message), outcome


def test_pipes_sockets_and_devices_do_not_hang(in_tmp_path: Path) -> None:
    pipe = in_tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    devices = [path for path in ("/dev/null", "/dev/zero", "/dev/random") if Path(path).exists()]
    special: list[Path] = [pipe, in_tmp_path / "socket", *map(Path, devices)]
    inside = [in_tmp_path / name for name in ("served", "meta", "state", "v1")]
    for directory, name in zip(inside, ("saved_model.pb", "x.meta", "checkpoint", "x-00000-of-00001"), strict=True):
        directory.mkdir()
        (directory / name).symlink_to(pipe)
    outcomes = look([*special, *inside])
    check(outcomes[: len(special)], special, "UnrecognizedSourceError")
    check(outcomes[len(special) :][:2], [inside[0] / "saved_model.pb", inside[1] / "x.meta"], "ReadError")
    check(outcomes[len(special) :][2:], inside[2:], "UnrecognizedSourceError")
    assert [word in outcome.message for word, outcome in zip(("pipe", "socket", "device"), outcomes, strict=False)] == [
        True
    ] * 3


@needs_tensorflow
def test_not_permitted(samples: Built, tmp_path_factory: pytest.TempPathFactory) -> None:
    # pytest's own directories are closed to the other user, who then would see nothing at all.
    base = Path(f"{tmp_path_factory.getbasetemp().parent.parent}/tfmagic-{os.getpid()}")
    base.mkdir(mode=0o755)
    try:
        closed = {
            name: samples.copy(name, base)
            for name in ("graph_def", "keras_hdf5", "keras_archive", "tflite", "meta_graph")
        }
        directory = samples.copy("saved_model_tf2", base)
        index = samples.copy("checkpoint_v2", base)
        (base / "hidden").mkdir()
        for path in (*closed.values(), directory / "saved_model.pb", index.with_name("model.ckpt.index")):
            path.chmod(0)
        (base / "hidden").chmod(0)
        given = [*closed.values(), directory, index, base / "hidden"]
        outcomes = look(given, user=65534)
        for outcome, path in zip(outcomes, given, strict=True):
            assert outcome.error in ("ReadError", "CorruptSourceError"), (path, outcome)
            assert str(path) in outcome.message
            assert re.search("permi", outcome.message), (path, outcome)
    finally:
        shutil.rmtree(base)


@needs_tensorflow
def test_two_gibibytes_and_over(samples: Built, tmp_path: Path) -> None:
    graph = graph_def()
    graph.node.add(name="weights", op="Const").attr["value"].tensor.tensor_content = bytes(100_000)
    meta = protos.message("MetaGraphDef")(graph_def=graph)
    meta.meta_info_def.tags.append("serve")
    saved = protos.message("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta])
    hearts = [
        written(tmp_path / "graph.pb", graph.SerializeToString()),
        written(tmp_path / "x.meta", meta.SerializeToString()),
        written(tmp_path / "served" / "saved_model.pb", saved.SerializeToString()),
        written(tmp_path / "graph.pbtxt", protos.to_text(graph).encode()),
        written(tmp_path / "graph.pb.gz", gzip.compress(graph.SerializeToString())),
        samples.copy("checkpoint_v2", tmp_path).with_name("model.ckpt.index"),
        *(samples.copy(name, tmp_path) for name in ("keras_hdf5", "keras_archive", "tflite")),
    ]
    for path in hearts:
        with path.open("r+b") as file:
            file.truncate(2**31 + 10)
    given = [path.parent if path.name == "saved_model.pb" else path for path in hearts]
    outcomes = look(given)
    check(outcomes[:5], hearts[:5], "CorruptSourceError")
    named = [path.with_name(path.name.removesuffix(".index")) for path in hearts[5:]]
    check(outcomes[5:], named, "CorruptSourceError", "NoneType")
    for outcome in outcomes[:5]:
        assert "2.00 GiB" in outcome.message
        assert "SavedModel" in outcome.message


def test_bombs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            with archive.open(name, "w") as member:
                member.write(b"{" if name.endswith("json") else b"\x89HDF\r\n\x1a\n")
                for _ in range(300):
                    member.write(bytes(1 << 20))
    with gzip.open(tmp_path / "bomb.pb.gz", "wb", compresslevel=1) as file:
        # A graph of one node whose device is as long as the file pretends to be.
        file.write(
            b"\x0a" + _varint((300 << 20) + 100) + _field(1, b"a") + _field(2, b"Const") + b"\x22" + _varint(300 << 20)
        )
        for _ in range(300):
            file.write(bytes(1 << 20))
    bombs = [tmp_path / "bomb.keras", tmp_path / "bomb.pb.gz"]
    assert all(path.stat().st_size < 8 << 20 for path in bombs)
    check(look(bombs), bombs, "CorruptSourceError", memory=250)


def test_gzip_of_several_members_is_read_whole(tmp_path: Path) -> None:
    whole = graph_def(50).SerializeToString()
    packed = gzip.compress(whole[:200]) + gzip.compress(whole[200:])
    assert len(tfmagic.inspect(written(tmp_path / "graph.pb.gz", packed)).ops) == 50
    assert "truncated" in refusal(written(tmp_path / "cut.pb.gz", packed[:-5]))
    assert "does not unpack" in refusal(written(tmp_path / "behind.pb.gz", packed + b"behind"))
    many = gzip.compress(whole) + gzip.compress(b"") * 20_000
    assert len(tfmagic.inspect(written(tmp_path / "many.pb.gz", many)).ops) == 50


def test_a_directory_of_20000_files(tmp_path: Path) -> None:
    for index in range(20_000):
        os.close(os.open(tmp_path / f"model.ckpt-{index}", os.O_CREAT | os.O_WRONLY))
    (outcome,) = look([tmp_path])
    check([outcome], [tmp_path], "UnrecognizedSourceError")
    assert len(outcome.message) < 3000
    for name in os.listdir(tmp_path):  # noqa: PTH208 - pytest's own cleaning takes several times as long
        os.unlink(tmp_path / name)  # noqa: PTH108 - as above


# Claims


def test_claimed_shapes_allocate_nothing(tmp_path: Path) -> None:
    meta = protos.message("MetaGraphDef")()
    for index, dims in enumerate([(2**62, 2**62), (2**63 - 1,), (-5, 3), (2**40, 0), (1,) * 5000]):
        node = meta.graph_def.node.add(name=f"v{index}", op="VariableV2")
        node.attr["dtype"].type = protos.dtype_number("float32")
        for size in dims:
            node.attr["shape"].shape.dim.add().size = size
    constant = meta.graph_def.node.add(name="constant", op="Const")
    tensor = constant.attr["value"].tensor
    tensor.dtype = 12345
    tensor.tensor_content = b"abc"
    tensor.tensor_shape.dim.add().size = 2**62
    path = written(tmp_path / "claims.meta", meta.SerializeToString())
    assert use(path) == []
    model = tfmagic.inspect(path)
    listed = model.variables.set_index("name")
    assert listed.loc["v0", "shape"] == (2**62, 2**62)
    assert listed.loc["v2", "shape"] == (None, 3)
    assert list(listed["size"].isna()) == [True, False, True, False, False]
    assert list(model.ops["bytes"])[-1] == 3
    check(look([path]), [path], "NoneType", memory=50)


def test_a_checkpoint_that_claims_more_than_there_is(tmp_path: Path) -> None:
    header = protos.message("BundleHeaderProto")(num_shards=2**30)
    entry = protos.message("BundleEntryProto")(dtype=1, size=2**60, offset=2**61, shard_id=5)
    entry.shape.dim.add().size = 2**58
    path = written(tmp_path / "model.index", table({b"": header.SerializeToString(), b"w": entry.SerializeToString()}))
    model = tfmagic.inspect(path)
    assert list(model.variables["name"]) == ["w"]
    assert int(model.variables["bytes"][0]) == 2**60
    check(look([path]), [path], "NoneType", memory=50)
    entry.shape.dim.add().size = 2**62
    written(path, table({b"": header.SerializeToString(), b"w": entry.SerializeToString()}))
    assert "'w'" in refusal(path)


def nested(depth: int) -> bytes:
    """A node whose attribute names a function whose attribute names a function, and so on."""
    value = _field(2, b"x")
    for _ in range(depth):
        value = _field(10, _field(1, b"g") + _field(2, _field(1, b"f") + _field(2, value)))
    return _field(1, _field(1, b"a") + _field(2, b"A") + _field(5, _field(1, b"f") + _field(2, value)))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    result = b""
    while value > 127:
        result, value = result + bytes([value & 127 | 128]), value >> 7
    return result + bytes([value])


@pytest.mark.parametrize("depth", [20, 60, 120, 10_000])
def test_nested_deeply(depth: int, tmp_path: Path) -> None:
    binary = written(tmp_path / "deep.pb", nested(depth))
    assert len(tfmagic.inspect(binary).ops) == 1
    # Protobuf parses no more than 100 levels; the tables need none of them.
    assert all(isinstance(error, errors.CorruptSourceError) for error in use(binary))
    opening = 'node { name: "a" op: "A" attr { key: "f" value {' + 'func { name: "g" attr { key: "f" value {' * depth
    text = written(tmp_path / "deep.pbtxt", (opening + 's: "x"' + "} } }" * depth + "} } }").encode())
    with suppress(errors.CorruptSourceError):
        use(text)


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    graph = graph_def()
    data = graph.SerializeToString().replace(b"node_1", b"nod\xff_1")
    assert "UTF-8" in refusal(written(tmp_path / "latin.pb", data))


def test_what_a_field_repeats_and_what_nothing_defines(tmp_path: Path) -> None:
    graph = graph_def(5)
    for node in graph.node:
        node.name = "same"
        node.input[:] = ["nowhere", "^same", "same:9999999999999", ""]
    graph.library.function.add().signature.name = "f"
    graph.library.function.add().signature.name = "f"
    path = written(tmp_path / "loops.pb", graph.SerializeToString())
    assert use(path) == []
    assert len(tfmagic.inspect(path).ops) == 5


# Changes


CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": lambda path: path.write_bytes(path.read_bytes() * 2),
    "cut": lambda path: os.truncate(path, 5),
    "replaced": lambda path: os.replace(_copy(path), path),  # noqa: PTH105 - as in the standard's own idiom
    "removed": os.unlink,
}


def _copy(path: Path) -> str:
    return shutil.copyfile(path, f"{path}.new")


@needs_tensorflow
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["graph_def", "graph_def_text", "meta_graph", "saved_model_tf2"])
def test_a_file_that_changes_while_it_is_read(
    samples: Built, name: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = samples.copy(name, tmp_path)
    heart = tmp_path / name / HEARTS[name] if name in HEARTS else source
    model = tfmagic.inspect(source)
    status = os.fstat

    def changing(descriptor: int) -> os.stat_result:
        result = status(descriptor)
        monkeypatch.setattr(os, "fstat", status)
        CHANGES[change](heart)
        return result

    monkeypatch.setattr(os, "fstat", changing)
    with pytest.raises(errors.CorruptSourceError, match="changed while it was read") as caught:
        _ = model.ops
    assert repr(str(heart)) in str(caught.value)


@needs_tensorflow
@pytest.mark.parametrize(
    "name", ["saved_model_tf2", "graph_def", "checkpoint_v2", "keras_hdf5", "keras_archive", "tflite"]
)
def test_a_file_that_another_process_writes(samples: Built, name: str, tmp_path: Path) -> None:
    source = samples.copy(name, tmp_path)
    heart = tmp_path / name / HEARTS[name] if name in HEARTS else source
    whole = heart.read_bytes()
    expected = shown(source)
    stop = threading.Event()

    def write() -> None:
        chance = random.Random(3)
        while not stop.is_set():
            # In place, as programs do that do not know better: it is short for a moment, then whole again.
            heart.write_bytes(whole[: chance.randrange(len(whole))])
            heart.write_bytes(whole)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(25):
            with suppress(errors.ReadError, FileNotFoundError):
                assert shown(source) == expected
    finally:
        stop.set()
        writer.join()
    assert shown(source) == expected


def shown(source: Path) -> dict[str, str]:
    """The tables of a source that are read from it."""
    model = tfmagic.inspect(source)
    names = [
        name
        for name in ("signatures", "ops", "variables")
        if name in model.parts or (name == "ops" and model.form == "graph_def")
    ]
    return {name: model.table(name).to_csv() for name in names}
