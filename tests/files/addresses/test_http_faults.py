"""Servers that fail, and what reading costs: bounds on requests and bytes, counted by the server."""

from __future__ import annotations

import os
import threading
import time
import traceback
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tfmagic
from tests.address_servers import Served, serving
from tfmagic import errors, progress
from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.samples import Built

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")
h5py = pytest.importorskip("h5py")

TOKEN = "very-loud-token"  # noqa: S105 - of no real service
MEBI = 1 << 20


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of an empty directory."""
    (tmp_path / "served").mkdir()
    with serving(tmp_path / "served") as server:
        yield server


def weights_file(path: Path, datasets: int, each: int) -> Path:
    """Write weights as Keras 3 does, most of them a hole in the file: so many datasets of so many bytes."""
    with h5py.File(path, "w") as file:
        for number in range(datasets):
            group = file.create_group(f"layers/dense_{number}/vars")
            # Allocated and not written: a hole.
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            space = h5py.h5s.create_simple((each // 4,))
            h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, properties)
    return path


def archived(path: Path, target: Path, compression: int) -> Path:
    """Put weights into an archive as Keras 3 does."""
    config = '{"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": []}}'
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.5.0"}')
        archive.writestr("config.json", config)
        archive.write(path, "model.weights.h5", compression)
    return target


# What it costs


def test_a_gigabyte_of_weights_is_inspected_by_its_headers(served: Served) -> None:
    datasets = 16
    path = weights_file(served.root / "model.weights.h5", datasets, 64 * MEBI)
    size = path.stat().st_size
    assert size >= 1 << 30
    model = tfmagic.inspect(f"{served.url}/model.weights.h5")
    assert len(model.variables) == datasets
    assert len(served.requests) <= 2 * datasets
    assert served.bytes <= size // 50 + 4 * MEBI
    # Of a gigabyte, 2 % would say little.
    assert served.bytes < 4 * MEBI
    assert (model.fetched.bytes, model.fetched.requests) == (served.bytes, len(served.requests))


def test_many_datasets_cost_less_than_two_requests_each(served: Served) -> None:
    path = weights_file(served.root / "model.weights.h5", 300, 300_000)
    model = tfmagic.inspect(f"{served.url}/model.weights.h5")
    assert len(model.variables) == 300
    assert len(served.requests) <= 600
    assert served.bytes <= path.stat().st_size // 50 + 4 * MEBI


def test_a_stored_archive_is_read_in_place(served: Served, tmp_path: Path) -> None:
    inner = weights_file(tmp_path / "model.weights.h5", 12, 2 * MEBI)
    path = archived(inner, served.root / "model.keras", zipfile.ZIP_STORED)
    model = tfmagic.inspect(f"{served.url}/model.keras")
    assert len(model.variables) == len(tfmagic.inspect(path).variables) == 12
    assert len(served.requests) <= 24
    assert served.bytes <= path.stat().st_size // 50 + 4 * MEBI
    assert not any("whole" in note for note in model.notes)


def test_a_deflated_archive_is_fetched_whole_once_and_told(served: Served, tmp_path: Path) -> None:
    inner = weights_file(tmp_path / "model.weights.h5", 12, 2 * MEBI)
    path = archived(inner, served.root / "model.keras", zipfile.ZIP_DEFLATED)
    model = tfmagic.inspect(f"{served.url}/model.keras")
    assert len(model.variables) == 12
    assert any("fetched whole" in note and "compressed" in note for note in model.notes)
    assert served.bytes <= 2 * path.stat().st_size + MEBI


def test_a_graph_is_read_without_its_large_constants(served: Served) -> None:
    tf: Any = pytest.importorskip("tensorflow")
    constants, small = 12, 20_000
    generator = np.random.default_rng(0)
    with tf.Graph().as_default() as whole:
        x = tf.compat.v1.placeholder(tf.float32, [None, 1 << 17], "x")
        for number in range(constants):
            x = x * tf.constant(generator.normal(size=1 << 17).astype(np.float32), name=f"weights_{number}")
        tf.identity(x, name="y")
    graph_def = whole.as_graph_def()
    for number in range(small):
        graph_def.node.add(name=f"some/rather/long/scope/of/names/node_{number}", op="NoOp")
    path = served.root / "graph.pb"
    path.write_bytes(graph_def.SerializeToString())
    here, there = tfmagic.inspect(path), tfmagic.inspect(f"{served.url}/graph.pb")
    pd.testing.assert_frame_equal(there.ops, here.ops)
    pd.testing.assert_frame_equal(there.variables, here.variables)
    pd.testing.assert_frame_equal(there.signatures, here.signatures)
    pd.testing.assert_frame_equal(tfmagic.scan(there).table, tfmagic.scan(here).table)
    assert there.cautions == here.cautions
    assert repr(there).replace(there.origin, "") == repr(here).replace(here.origin, "")
    assert len(served.requests) <= 50 + constants
    assert served.bytes < path.stat().st_size - constants * (384 << 10)
    # What somebody asks for is fetched, and is the file's own.
    assert there.first_values(there.variable_rows()[3], 5) == here.first_values(here.variable_rows()[3], 5)
    assert served.bytes < path.stat().st_size // 2
    assert there.graph_def == here.graph_def


@pytest.mark.parametrize("form", ["meta_graph", "saved_model"])
def test_constants_are_left_out_further_inside_too(served: Served, graph: bytes, form: str) -> None:
    graph_def = protos.parse("GraphDef", graph)
    meta_graph = protos.message("MetaGraphDef")(graph_def=graph_def)
    meta_graph.meta_info_def.tags.append("serve")
    if form == "meta_graph":
        path = served.root / "graph.meta"
        path.write_bytes(meta_graph.SerializeToString())
    else:
        path = served.root / "model"
        path.mkdir()
        message = protos.message("SavedModel")(saved_model_schema_version=1, meta_graphs=[meta_graph])
        (path / "saved_model.pb").write_bytes(message.SerializeToString())
    here, there = tfmagic.inspect(path), tfmagic.inspect(f"{served.url}/{path.name}")
    pd.testing.assert_frame_equal(there.ops, here.ops)
    assert served.bytes < 2 * MEBI
    assert there.meta_graph_def == here.meta_graph_def


def test_a_damaged_graph_says_the_same_as_on_disk(served: Served, graph: bytes) -> None:
    for name, data in (("cut.pb", graph[: 3 * MEBI]), ("other.pb", graph[:-200] + bytes(range(200)))):
        (served.root / name).write_bytes(data)
        said = []
        for place in (served.root / name, f"{served.url}/{name}"):
            with pytest.raises(errors.CorruptSourceError) as caught:
                _ = tfmagic.inspect(place).ops
            said.append(str(caught.value).replace(str(served.root), "").replace(served.url, ""))
        assert said[0] == said[1]


def test_nothing_is_left_of_what_was_fetched_whole(tmp_path: Path, graph: bytes) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "graph.pb").write_bytes(graph)
    (tmp_path / "temporary").mkdir()
    with serving(tmp_path / "served", ranges=False) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        model = tfmagic.inspect(f"{server.url}/graph.pb")
        assert len(model.ops)
        assert any("no ranges" in note for note in model.notes)
        assert [path for method, path in server.requests if method == "GET"] == ["/graph.pb"]
        assert not list((tmp_path / "temporary").iterdir())


def test_a_server_that_tells_no_length_is_read(tmp_path: Path, graph: bytes) -> None:
    (tmp_path / "graph.pb").write_bytes(graph)
    with serving(tmp_path, ranges=False, lengths=False) as server:
        server.fault = lambda method, _, __: 405 if method == "HEAD" else None
        assert len(tfmagic.inspect(f"{server.url}/graph.pb").ops)


# What fails


@pytest.fixture(scope="module")
def graph() -> bytes:
    """A GraphDef with a constant of 4 MiB."""
    tf: Any = pytest.importorskip("tensorflow")
    with tf.Graph().as_default() as whole:
        x = tf.compat.v1.placeholder(tf.float32, [None, MEBI], "x")
        tf.identity(x * tf.constant(np.arange(MEBI, dtype=np.float32), name="weights"), name="y")
    data: bytes = whole.as_graph_def().SerializeToString()
    return data


def first_times(count: int, answer: int | str, method: str = "GET") -> Any:
    """Return a fault for the first requests of a method."""
    left = [count]

    def fault(asked: str, _path: str, _number: int) -> int | str | None:
        if asked == method and left[0]:
            left[0] -= 1
            return answer
        return None

    return fault


@pytest.mark.parametrize("fault", [503, 429, 500, "cut"])
def test_what_passes_is_tried_again(served: Served, graph: bytes, fault: int | str) -> None:
    (served.root / "graph.pb").write_bytes(graph)
    served.fault = first_times(2, fault)
    assert len(tfmagic.inspect(f"{served.url}/graph.pb").ops)


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "needs credentials"), (403, "needs credentials"), (418, "status 418"), (503, "status 503")],
)
def test_a_refusal_is_one_line_that_names_the_address(served: Served, graph: bytes, status: int, said: str) -> None:
    (served.root / "graph.pb").write_bytes(graph)
    served.fault = lambda _, __, ___: status
    with pytest.raises(errors.ReadError, match=said) as caught:
        tfmagic.inspect(f"{served.url}/graph.pb")
    assert f"{served.url}/graph.pb" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_connection_that_is_always_cut_is_an_error(served: Served, graph: bytes) -> None:
    (served.root / "graph.pb").write_bytes(graph)
    served.fault = lambda method, _, __: "cut" if method == "GET" else None
    with pytest.raises(errors.ReadError, match="cannot be read"):
        _ = tfmagic.inspect(f"{served.url}/graph.pb").ops


def test_nothing_there_and_no_server_are_said(served: Served) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        tfmagic.inspect(f"{served.url}/none.pb")
    with pytest.raises(errors.ReadError, match="cannot be read"):
        tfmagic.inspect("http://127.0.0.1:9/none.pb")
    with pytest.raises(errors.ReadError, match="does not know"):
        tfmagic.inspect("nosuch://place/none.pb")


def test_a_file_that_changes_between_two_ranges_is_an_error(served: Served, graph: bytes) -> None:
    path = served.root / "graph.pb"
    path.write_bytes(graph)
    model = tfmagic.inspect(f"{served.url}/graph.pb")
    path.write_bytes(graph[:-1] + b"\0")
    os.utime(path, ns=(1, 1))
    with pytest.raises(errors.ReadError, match=r"changed while|was written again"):
        _ = model.ops


@pytest.mark.parametrize("keep", ["shorter", "longer"])
def test_another_length_is_noticed_without_versions(tmp_path: Path, graph: bytes, keep: str) -> None:
    (tmp_path / "graph.pb").write_bytes(graph)
    with serving(tmp_path, versions=False) as server:
        model = tfmagic.inspect(f"{server.url}/graph.pb")
        (tmp_path / "graph.pb").write_bytes(graph[:-7] if keep == "shorter" else graph + b"1234567")
        with pytest.raises(errors.ReadError, match=r"changed while|was written again"):
            _ = model.ops


def test_a_model_that_changes_before_tensorflow_gets_it_is_an_error(served: Served, samples: Built) -> None:
    path = served.root / "model.keras"
    path.write_bytes(samples.path("keras_archive").read_bytes())
    model = tfmagic.inspect(f"{served.url}/model.keras")
    path.write_bytes(samples.path("keras_archive").read_bytes())
    os.utime(path, ns=(1, 1))
    with pytest.raises(errors.ReadError, match=r"changed while|was written again"):
        tfmagic.run(model, {"x": [[1.0, 2.0, 3.0, 4.0]]})


def test_a_slow_server_is_left_when_somebody_stops(served: Served, graph: bytes) -> None:
    (served.root / "graph.pb").write_bytes(graph)
    asked, released = threading.Event(), threading.Event()

    def slow(method: str, _path: str, _number: int) -> None:
        if method == "GET":
            asked.set()
            released.wait(30)

    served.fault = slow
    watch = progress.Watch(lambda _stage: None)

    def stop() -> None:
        asked.wait(30)
        watch.cancel()

    threading.Thread(target=stop).start()
    begun = time.monotonic()
    with progress.watched(watch), pytest.raises(progress.CancelledError):
        tfmagic.inspect(f"{served.url}/graph.pb")
    released.set()
    assert time.monotonic() - begun < 20


# Credentials


def test_user_and_token_of_an_address_reach_the_server_and_nobody_else(served: Served, graph: bytes) -> None:
    (served.root / "graph.pb").write_bytes(graph)
    address = served.url.replace("://", f"://ann:{TOKEN}@") + f"/graph.pb?token={TOKEN}#{TOKEN}"
    model = tfmagic.inspect(address)
    assert served.headers[0]["Authorization"].startswith("Basic ")
    shown = f"{served.url}/graph.pb"
    assert str(model.path) == model.origin == shown
    panel: Any = tfmagic.panel(model)
    texts = [
        repr(model), model._repr_html_() or "", repr(model.path), str(model.variables), str(tfmagic.scan(model)),
        str(panel), str(panel.get_state()),
        *(str(each.get_state()) for each in _widgets(panel)),
    ]  # fmt: skip
    assert not any(TOKEN in text or "ann:" in text for text in texts)
    served.fault = lambda _, __, ___: 403
    for wrong in (address, address.replace("graph.pb", "none.pb"), address.replace("http://", "nosuch://")):
        with pytest.raises((errors.ReadError, FileNotFoundError)) as caught:
            tfmagic.inspect(wrong)
        text = "".join(traceback.format_exception(caught.value))
        assert TOKEN not in text.replace(repr(wrong), "")


def _widgets(widget: Any) -> Iterator[Any]:
    for child in getattr(widget, "children", ()):
        yield child
        yield from _widgets(child)


def test_results_are_not_written_to_what_only_gives(served: Served, samples: Built) -> None:
    with pytest.raises(errors.WriteError, match="read only"):
        tfmagic.freeze(samples["keras_model"], output=f"{served.url}/m.pb")
    with pytest.raises(errors.WriteError, match="read only"):
        tfmagic.export(samples["keras_model"], f"simplecache::{served.url}/m.pb")


def test_results_go_to_memory(samples: Built) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    try:
        done = tfmagic.export(samples["keras_model"], "memory://served/1")
        assert str(done.path) == "memory://served/1"
        assert len(tfmagic.inspect("memory://served/1").variables) == 4
        with pytest.raises(errors.WriteError, match=r"'memory://served/2', which is free"):
            tfmagic.export(samples["keras_model"], "memory://served/1", overwrite=True)
        frozen = tfmagic.freeze("memory://served/1", output="memory://m.pb")
        assert str(frozen.path) == "memory://m.pb"
        pd.testing.assert_frame_equal(frozen.ops, tfmagic.inspect("memory://m.pb").ops)
    finally:
        files.store.clear()
        files.pseudo_dirs[:] = [""]
