from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tfmagic
from tests import checkpoint_samples as samples
from tfmagic import errors, readers
from tfmagic.files.checkpoints import tensor_bundle
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Candidate
from tfmagic.readers.checkpoint import CheckpointReader

pytestmark = pytest.mark.tensorflow

READER = CheckpointReader()


def claims(path: Path) -> bool:
    return READER.claims(Candidate(str(path), path))


def read(path: Path) -> Model:
    assert claims(path)
    return READER.read(Candidate(str(path), path), None)


def names(model: Model) -> list[str]:
    return [row.name for row in model.part(Part.VARIABLES)]


def leaf(model: Model) -> str:
    return Path(model.origin).name


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("written")
    for name, version, sharded in (("v1", 1, False), ("v1s", 1, True), ("v2", 2, False)):
        samples.write_saver(directory / name / "model.ckpt", version, sharded=sharded)
    samples.write_objects(directory / "objects" / "ckpt")
    samples.write_names(directory / "names", 3)
    return directory


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    """A copy of the object-based checkpoints, to be damaged."""
    shutil.copytree(written / "objects", tmp_path / "objects")
    return tmp_path / "objects"


@pytest.mark.parametrize(
    "given",
    [
        "v1",
        "v1/checkpoint",
        "v1s",
        "v1s/model.ckpt-?????-of-00001",
        "v1s/model.ckpt-00000-of-00001",
        "v2",
        "v2/checkpoint",
        "v2/model.ckpt.index",
        "v2/model.ckpt.data-00000-of-00001",
    ],
)
def test_every_way_to_name_a_checkpoint_gives_the_same_rows(written: Path, given: str) -> None:
    model = read(written / given)
    assert model.form == "checkpoint"
    assert model.parts == ("variables",)
    assert names(model) == sorted([*samples.plain_values(), "embedding"])
    assert ("data shard" in "".join(model.notes)) == ("data-" in given)


def test_rows_are_those_of_list_variables(written: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - where it is needed

    theirs = [(name, tuple(shape)) for name, shape in tf.train.list_variables(str(written / "names"))]
    rows = read(written / "names").part(Part.VARIABLES)
    assert [(row.name, row.shape) for row in rows] == theirs
    assert rows[0] == ("block_0/layer_0/kernel", "float32", (2, 3), 6, 24, None)


def test_the_meta_is_not_ours_but_its_directory_is_with_a_state_file(written: Path) -> None:
    assert not claims(written / "v2" / "model.ckpt.meta")
    assert claims(written / "v2")


def test_a_meta_without_state_file_is_a_meta_graph(written: Path, tmp_path: Path) -> None:
    for path in (written / "v2").iterdir():
        if path.name != "checkpoint":
            shutil.copy(path, tmp_path)
    assert not claims(tmp_path)
    assert not claims(tmp_path / "model.ckpt")
    assert readers.read(tmp_path / "model.ckpt").form == "meta_graph"
    assert readers.read(tmp_path / "model.ckpt", form="checkpoint").form == "checkpoint"
    (tmp_path / "model.ckpt.meta").unlink()
    assert leaf(read(tmp_path)) == "model.ckpt"


@pytest.mark.parametrize("other", ["saved_model.pb", "saved_model.pbtxt", "export.meta"])
def test_a_saved_model_or_session_bundle_is_never_a_checkpoint(copied: Path, other: str) -> None:
    assert claims(copied)
    (copied / other).touch()
    assert not claims(copied)


@pytest.mark.parametrize("content", [b"", b"text", samples.LFS_POINTER, b"\x0a\x05hello", bytes(64)])
def test_other_files_are_not_ours(tmp_path: Path, content: bytes) -> None:
    for name in ("graph.pb", "alone.index", "checkpoint"):
        (tmp_path / name).write_bytes(content)
        assert not claims(tmp_path / name)
    assert not claims(tmp_path / "nothing")
    assert not claims(tmp_path)
    assert not READER.claims(Candidate(object()))


@pytest.mark.usefixtures("in_tmp_path")
@pytest.mark.parametrize("given", ["a\0b", "x" * 5000, "loop", ".", ""])
def test_odd_paths_are_not_ours(given: str) -> None:
    Path("loop").symlink_to("loop")
    assert not claims(Path(given))


def test_content_decides_not_the_suffix(written: Path, tmp_path: Path) -> None:
    shutil.copy(written / "v2" / "model.ckpt.index", tmp_path / "table.bin")
    shutil.copy(written / "v1" / "model.ckpt", tmp_path / "values.index")
    assert len(names(read(tmp_path / "table.bin"))) == len(names(read(tmp_path / "values.index")))


def test_the_state_file_names_the_newest_and_lists_the_others(copied: Path) -> None:
    model = read(copied)
    assert leaf(model) == "ckpt-2"
    assert model.notes == ("the state file lists 'ckpt-1', 'ckpt-2'; 'ckpt-2' is shown",)
    assert names(model) == [
        "module/half",
        "module/items/0",
        "module/items/1/a.Sb",
        "module/weight",
        "save_counter",
        "step",
    ]


def test_a_state_file_written_elsewhere(copied: Path) -> None:
    state = (copied / "checkpoint").read_text()
    for elsewhere in ("/home/other/run/", "C:\\\\runs\\\\"):
        moved = state.replace('path: "', f'path: "{elsewhere}').replace('paths: "', f'paths: "{elsewhere}')
        (copied / "checkpoint").write_text(moved)
        model = read(copied)
        assert leaf(model) == "ckpt-2"
        assert any("written elsewhere" in note for note in model.notes)


def test_a_state_file_whose_latest_is_gone(copied: Path) -> None:
    for path in copied.glob("ckpt-2.*"):
        path.unlink()
    model = read(copied)
    assert leaf(model) == "ckpt-1"
    assert "the state file names 'ckpt-2' as the latest, which is not there" in model.notes


def test_a_state_file_of_which_nothing_is_there(copied: Path, tmp_path: Path) -> None:
    state = (copied / "checkpoint").read_text()
    (copied / "checkpoint").write_text(state.replace("ckpt-", "old-"))
    model = read(copied)
    assert leaf(model) == "ckpt-2"
    assert any("'ckpt-2' is shown instead" in note for note in model.notes)
    (tmp_path / "empty").mkdir()
    shutil.copy(copied / "checkpoint", tmp_path / "empty")
    assert claims(tmp_path / "empty")
    with pytest.raises(errors.CorruptSourceError, match=r"'old-1', 'old-2', none of which is there") as raised:
        read(tmp_path / "empty")
    assert "give the prefix" in str(raised.value)


@pytest.mark.parametrize("state", [b"", b"model_checkpoint_path: 7", b"model_checkpoint_path", b"\xff\xfe"])
def test_a_state_file_that_does_not_parse_leaves_the_newest(copied: Path, state: bytes) -> None:
    (copied / "checkpoint").write_bytes(state)
    model = read(copied)
    assert leaf(model) == "ckpt-2"
    assert "its state file does not parse: 'ckpt-2' is shown as the newest" in model.notes[0]


def test_a_directory_without_state_file_shows_the_highest_number(copied: Path) -> None:
    (copied / "checkpoint").unlink()
    for path in list(copied.glob("ckpt-2.*")):
        path.rename(path.with_name(path.name.replace("ckpt-2", "ckpt-10")))
    os.utime(copied / "ckpt-1.index")
    model = read(copied)
    assert leaf(model) == "ckpt-10"
    assert "holds 'ckpt-1', 'ckpt-10' and it has no state file" in model.notes[0]


def test_data_without_index(copied: Path) -> None:
    (copied / "ckpt-2.index").unlink()
    for path in (copied / "ckpt-2", copied / "ckpt-2.data-00000-of-00001"):
        with pytest.raises(errors.CorruptSourceError, match=r"no index 'ckpt-2\.index'"):
            read(path)


def test_index_without_data_lists_by_key(copied: Path) -> None:
    before = names(read(copied / "ckpt-2"))
    (copied / "ckpt-2.data-00000-of-00001").unlink()
    model = read(copied / "ckpt-2")
    assert names(model) == before
    assert "is missing: names and shapes are shown" in model.notes[0]
    assert "object graph could not be read" in model.notes[1]


@pytest.mark.parametrize("content", [b"", samples.LFS_POINTER, b"nonsense" * 20, None])
def test_a_damaged_index_names_the_file_and_a_way_out(copied: Path, content: bytes | None) -> None:
    path = copied / "ckpt-2.index"
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    for given in (path, copied / "ckpt-2", copied, copied / "ckpt-2.data-00000-of-00001"):
        with pytest.raises(errors.CorruptSourceError) as raised:
            read(given)
        assert repr(str(path)) in str(raised.value)
        assert "Copy it again" in str(raised.value)
    if content == samples.LFS_POINTER:
        assert "git lfs pull" in str(raised.value)


def test_no_shard_is_opened_for_names(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_path, open_descriptor = Path.open, os.open

    def spying(self: Path, *arguments: object, **options: object) -> object:
        opened.append(self.name)
        return open_path(self, *arguments, **options)  # type: ignore[call-overload]

    def spying_below(path: str, *arguments: int) -> int:
        opened.append(Path(path).name)
        return open_descriptor(path, *arguments)

    monkeypatch.setattr(Path, "open", spying)
    monkeypatch.setattr(os, "open", spying_below)
    monkeypatch.setattr(np, "fromfile", lambda *_, **__: pytest.fail("a value was read"))
    for prefix in (written / "names", written / "v2" / "model.ckpt.index"):
        assert names(read(prefix))
    assert opened
    assert not [name for name in opened if ".data-" in name]


def test_keras_variables_are_listed_under_their_layers(tmp_path: Path) -> None:
    weights = samples.write_keras(tmp_path / "weights")
    model = read(tmp_path / "weights")
    rows = {row.name: row for row in model.part(Part.VARIABLES)}
    assert set(weights) <= set(rows)
    assert {name: rows[name].shape for name in weights} == {name: value.shape for name, value in weights.items()}
    trained = {name for name, row in rows.items() if row.trainable}
    assert trained == {name for name in weights if "moving" not in name}
    assert {row.trainable for name, row in rows.items() if name.startswith("adam")} == {False}
    checkpoint = tensor_bundle.open_checkpoint(tmp_path / "weights")
    for name, value in weights.items():
        np.testing.assert_array_equal(checkpoint.read(name), value)
    (tmp_path / "weights.data-00000-of-00001").unlink()
    by_key = [row.name for row in tensor_bundle.open_checkpoint(tmp_path / "weights").rows_by_key()]
    assert len(by_key) == len(rows)
    assert "model/_functional/_operations/2/moving_mean" in by_key


def test_no_tensorflow_is_imported(written: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tfmagic.readers.checkpoint import CheckpointReader as R\n"
        "from tfmagic.models.reader import Candidate as C; from tfmagic.models.model import Part\n"
        "for given in sys.argv[1:]:\n"
        "    c = C(given, Path(given)); assert R().claims(c); print(len(R().read(c, None).part(Part.VARIABLES)))\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    given = [str(written / name) for name in ("v1", "v2", "objects", "names")]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    count = len(samples.plain_values()) + 1
    assert done.stdout.split() == [str(count), str(count), "6", "3"]


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_give_our_errors_and_soon(copied: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = copied / "ckpt-2.index"
    whole = path.read_bytes()
    start = time.process_time()
    failed = 0
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            names(read(path))
        except errors.CorruptSourceError:
            failed += 1
    assert failed > 70  # Some bytes mean nothing: padding of the footer, an unread metaindex block.
    assert time.process_time() - start < 20


@pytest.mark.corpus
def test_every_checkpoint_of_the_corpus(corpus: Path) -> None:
    found = [path for path in sorted(corpus.rglob("*.index")) if path.is_file()]
    found += [path.parent for path in sorted(corpus.rglob("checkpoint")) if path.is_file()]
    for path in found:
        if (path / "saved_model.pb").exists():
            continue
        assert read(path).part(Part.VARIABLES) is not None, path
    for item in ("half_plus_two_sharded", "half_plus_two_pbtxt"):
        directory = next(corpus.rglob(f"{item}/variables"))
        assert names(read(directory)) == ["a", "b"]


@pytest.mark.parametrize(("content", "what"), [(b"", "is empty"), (b"\x00\x01rubbish", "holds no MetaGraphDef")])
def test_a_graph_beside_it_that_is_none_is_told(tmp_path: Path, content: bytes, what: str) -> None:
    samples.write_names(tmp_path / "m.ckpt", 1)
    (tmp_path / "m.ckpt.meta").write_bytes(content)
    found = tfmagic.inspect(tmp_path / "m.ckpt")
    assert (found.form, len(found.variables)) == ("checkpoint", 1)
    assert any("'m.ckpt.meta' beside it " + what in note for note in found.notes)
    with pytest.raises(errors.UnsupportedConversionError, match=rf"'m\.ckpt\.meta' beside it {what}"):
        tfmagic.export(tmp_path / "m.ckpt", tmp_path / "saved")
