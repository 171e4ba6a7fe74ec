"""Catalogues of places at addresses: fsspec's memory, and HTTP servers of several kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import tfmagic
from tests.address_servers import serving
from tests.verbs.cataloguing import trees
from tfmagic import errors
from tfmagic.verbs.cataloguing import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

#: What is the same wherever a model lies.
ALIKE = [
    "form",
    "error",
    "bytes",
    "signatures",
    "parameters",
    "families",
    "severity",
    "structure",
    "weights",
    "formats",
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    trees.saved_model(place / "served" / "1", seed=1)
    trees.saved_model(place / "served" / "2", seed=2)
    trees.checkpoint(place / "training" / "ckpt-1", seed=1)
    trees.frozen(place / "frozen.pb")
    (place / "README.md").write_text("# Models\n")
    return place


@pytest.fixture
def memory(place: Path) -> Iterator[Any]:
    """The file system in fsspec's memory with the models, empty again afterwards."""
    files = fsspec.filesystem("memory")
    for path in sorted(place.rglob("*")):
        if path.is_file():
            files.pipe(f"/team/{path.relative_to(place).as_posix()}", path.read_bytes())
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def names(frame: pd.DataFrame, root: str) -> list[str]:
    assert all(str(address).startswith(f"{root}/") for address in frame["address"])
    return [str(address).removeprefix(f"{root}/") for address in frame["address"]]


def test_a_place_in_memory_is_catalogued_as_one_here(place: Path, memory: Any) -> None:
    there, here = tfmagic.catalog("memory://team"), tfmagic.catalog(place)
    assert names(there, "memory://team") == names(here, str(place))
    pd.testing.assert_frame_equal(there[ALIKE], here[ALIKE])
    pd.testing.assert_frame_equal(tfmagic.catalog("memory://team/**"), there)
    assert names(tfmagic.catalog("memory://team/*/2"), "memory://team") == ["served/2"]
    memory.pipe("/team/frozen.pb", b"")
    assert tfmagic.catalog("memory://team/frozen.pb")["form"].tolist() == [None]


def test_what_did_not_change_there_is_not_read_again(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tfmagic.catalog("memory://team")
    read: list[str] = []
    work = tasks.row

    def noted(task: tasks.Task) -> Any:
        read.append(task.address)
        return work(task)

    monkeypatch.setattr(tasks, "row", noted)
    pd.testing.assert_frame_equal(tfmagic.catalog("memory://team", previous=first), first)
    assert read == []
    memory.pipe("/team/frozen.pb", memory.cat("/team/frozen.pb"))
    pd.testing.assert_frame_equal(tfmagic.catalog("memory://team", previous=first)[ALIKE], first[ALIKE])
    assert read == ["memory://team/frozen.pb"]


@pytest.mark.parametrize("how", [{}, {"ranges": False}, {"versions": False}])
def test_pages_of_a_server_lead_to_the_models(place: Path, how: dict[str, Any]) -> None:
    with serving(place, **how) as served:
        there, here = tfmagic.catalog(served.url), tfmagic.catalog(place)
        assert names(there, served.url) == names(here, str(place))
        pd.testing.assert_frame_equal(there[ALIKE], here[ALIKE])
        # What a server does not tell apart is read each time.
        assert there["stamp"].isna().tolist() == [how == {"versions": False}] * len(here)
        shards = [path for method, path in served.requests if method == "GET" and ".data-" in path]
        assert shards == []


def test_a_model_is_catalogued_whose_server_lists_nothing(place: Path) -> None:
    with serving(place, listings=False) as served:
        frame = tfmagic.catalog(f"{served.url}/frozen.pb")
        assert frame["form"].tolist() == ["graph_def"]
        assert frame["bytes"].tolist() == [(place / "frozen.pb").stat().st_size]
        with pytest.raises((errors.ReadError, FileNotFoundError)):
            tfmagic.catalog(f"{served.url}/nowhere.pb")


def test_a_server_that_refuses_one_model_has_a_row_for_it(place: Path) -> None:
    def fault(_method: str, path: str, _count: int) -> int | None:
        return 403 if path == "/frozen.pb" else None

    with serving(place, fault=fault) as served:
        frame = tfmagic.catalog(served.url)
    told = dict(zip(names(frame, served.url), frame["error"], strict=True))
    assert "may not be read" in told["frozen.pb"]
    assert [error for name, error in told.items() if name != "frozen.pb"] == [None] * 3


def test_credentials_of_an_address_stand_in_no_row(place: Path, tmp_path: Path) -> None:
    with serving(place) as served:
        loud = served.url.replace("http://", "http://user:loud-secret@")
        (place / "broken.keras").write_bytes(b"")
        frame = tfmagic.catalog(loud, output=tmp_path / "out.csv")
    assert len(frame) == 5
    assert "loud-secret" not in frame.to_csv()
    assert "loud-secret" not in (tmp_path / "out.csv").read_text()


def test_an_output_at_an_address_is_refused(place: Path) -> None:
    with pytest.raises(errors.WriteError, match="name a file here"):
        tfmagic.catalog(place, output="memory://out.csv")


@pytest.mark.slow
def test_processes_read_at_addresses(place: Path) -> None:
    with serving(place) as served:
        there = tfmagic.catalog(served.url, executor="processes")
    pd.testing.assert_frame_equal(there[ALIKE], tfmagic.catalog(place)[ALIKE])
