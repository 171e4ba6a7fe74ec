"""Every form read at an address as from disk: over HTTP of all kinds, and from fsspec's memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import tfmagic
from tests.address_servers import serving
from tests.conftest import ROOT
from tests.samples import SAMPLES, Built
from tfmagic import errors
from tfmagic.files import file_marks
from tfmagic.files.addresses.address import path_of
from tfmagic.models.public_tables import TABLE_PARTS

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

FILES = [name for name, sample in SAMPLES.items() if sample.is_file]
#: Kinds of HTTP servers.
SERVERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without listings": {"listings": False},
    "without ranges": {"ranges": False},
    "without versions": {"versions": False},
}
TABLES = ("signatures", "ops", "functions", "variables", "metagraphs", "assets", "layers", "costs")


def tables(model: tfmagic.Model) -> dict[str, pd.DataFrame]:
    """Return the tables that a model shows without TensorFlow."""
    shown = {}
    for name in TABLES:
        try:
            if name != "costs" and not model.is_at_hand(str(TABLE_PARTS[name])):
                continue
            shown[name] = model.table(name)
        except errors.MissingPartError:
            continue
    return shown


def assert_same(there: tfmagic.Model, here: tfmagic.Model) -> None:
    assert (there.form, there.parts, there.cautions) == (here.form, here.parts, here.cautions)
    expected = tables(here)
    shown = tables(there)
    assert list(shown) == list(expected)
    for name, frame in expected.items():
        pd.testing.assert_frame_equal(shown[name], frame)
    assert expected


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("name", FILES)
def test_each_form_is_read_over_http_as_from_disk(samples: Built, name: str, kind: str) -> None:
    path = samples.path(name)
    if kind == "without listings" and name in ("saved_model_versions", "checkpoint_sharded", "checkpoint_v1"):
        pytest.skip("nobody knows the names there")
    with serving(samples.directory, **SERVERS[kind]) as served:
        there = tfmagic.inspect(f"{served.url}/{path.relative_to(samples.directory).as_posix()}")
        assert_same(there, tfmagic.inspect(path))
        assert there.fetched.bytes == served.bytes > 0
        assert there.fetched.requests == len(served.requests)
        assert any("fetched whole" in note for note in there.notes) == (kind == "without ranges")


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", FILES)
def test_each_form_is_read_from_memory_as_from_disk(samples: Built, memory: Any, name: str) -> None:
    path = samples.path(name)
    memory.put(str(samples.directory / name), f"/models/{name}", recursive=True)
    there = tfmagic.inspect(f"memory://models/{path.relative_to(samples.directory).as_posix()}")
    assert_same(there, tfmagic.inspect(path))
    assert there.origin.startswith("memory://models/")


@pytest.mark.tensorflow
def test_file_addresses_are_paths(samples: Built) -> None:
    model = tfmagic.inspect(f"file://{samples.path('graph_def')}")
    assert model.path == samples.path("graph_def")
    assert model.fetched.requests == 0


@pytest.mark.tensorflow
def test_a_member_of_an_archive_and_a_cache_are_addresses(samples: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "models.zip", "w") as archive:
        archive.write(samples.path("graph_def"), "inner/graph.pb")
    with serving(tmp_path) as served:
        inner = tfmagic.inspect(f"zip://inner/graph.pb::{served.url}/models.zip")
        assert_same(inner, tfmagic.inspect(samples.path("graph_def")))
        assert str(inner.path) == f"zip://inner/graph.pb::{served.url}/models.zip"
    with serving(samples.directory) as served:
        cached = tfmagic.inspect(f"simplecache::{served.url}/graph_def/graph.pb")
        assert_same(cached, tfmagic.inspect(samples.path("graph_def")))


@pytest.mark.tensorflow
def test_reading_at_an_address_needs_no_tensorflow(samples: Built) -> None:
    code = (
        "import sys, tfmagic\n"
        "model = tfmagic.inspect(sys.argv[1])\n"
        "assert len(model.variables) and len(model.signatures) and str(tfmagic.scan(sys.argv[1]))\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    with serving(samples.directory) as served:
        samples.path("saved_model_tf2")
        url = f"{served.url}/saved_model_tf2/model"
        subprocess.run([sys.executable, "-c", code, url], check=True, cwd=ROOT, timeout=100)
        assert not any("data-" in name for name in served.sent)


def test_nothing_of_a_network_is_imported_before_an_address_is_named() -> None:
    code = (
        "import sys, tfmagic\n"
        "tfmagic.inspect\n"
        "from tfmagic.readers import read\n"
        "assert not {'fsspec', 'aiohttp', 's3fs', 'tfmagic.files.addresses.remote_place'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=100)


def test_files_are_listed_and_known_again_alike_here_and_at_an_address(tmp_path: Path, memory: Any) -> None:
    for name in ("b.pb", "a/inner/c.index", "a/d.pb"):
        file = tmp_path / "models" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    memory.put(str(tmp_path / "models"), "/models", recursive=True)
    here, there = tmp_path / "models", path_of("memory://models")
    files = list(there.rglob("*"))
    assert [file.relative_to(there).as_posix() for file in files] == ["b.pb", "a/d.pb", "a/inner/c.index"]
    assert sorted(map(str, here.rglob("*.*"))) == sorted(str(here / file.relative_to(there)) for file in files)
    for place, write in ((here, (here / "b.pb").write_bytes), (there, lambda data: memory.pipe("/models/b.pb", data))):
        mark = file_marks.of(place / "b.pb")
        assert mark == file_marks.of(place / "b.pb", now=True)
        assert mark is not None
        assert mark[1] == len("b.pb")
        write(b"else")
        assert file_marks.of(place / "b.pb", now=True) not in (mark, None)


@pytest.mark.tensorflow
def test_what_needs_tensorflow_is_fetched_told_and_removed(samples: Built, tmp_path: Path) -> None:
    x = [[1.0, 2.0, 3.0, 4.0]]
    with serving(samples.directory) as served, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        for name, place in (
            ("saved_model_tf2", "saved_model_tf2/model"),
            ("keras_archive", "keras_archive/model.keras"),
            ("keras_hdf5", "keras_hdf5/model.h5"),
            ("tflite", "tflite/model.tflite"),
            ("meta_graph", "meta_graph/model.ckpt.meta"),
        ):
            path = samples.path(name)
            model = tfmagic.inspect(f"{served.url}/{place}")
            there = tfmagic.run(model, {"x": x}, outputs=["y:0"] if name == "meta_graph" else None)
            here = tfmagic.run(path, {"x": x}, outputs=["y:0"] if name == "meta_graph" else None)
            for (key, value), expected in zip(there.outputs.items(), here.outputs.values(), strict=True):
                assert value.tolist() == expected.tolist(), (name, key)
            assert any("fetched from the address" in note for note in model.here().notes)
            assert model.here().origin == model.origin
        assert list(tmp_path.glob(".tfmagic-*"))
        tfmagic.verbs.model_cache.forget()
        del model, there
        gc.collect()
        assert not list(tmp_path.glob(".tfmagic-*"))
