"""What is fetched into the temporary directory: swept where its process was killed, told where it has no room."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.address_servers import serving
from tests.conftest import ROOT
from tests.wire_samples import attr, field, node
from tfmagic import errors
from tfmagic.files import hidden_places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.address_servers import Served

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

#: Makes a copy, and dies with it.
KILLED = """
import os, signal
from tfmagic.files.addresses.local_copies import LocalCopy
copy = LocalCopy()
(copy.path / "content").write_bytes(b"fetched")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server that sends files whole, and has a graph of 100 kB."""
    (tmp_path / "served").mkdir()
    nodes = (node(f"x{number:04}", "Placeholder", attrs=attr("dtype", b"\x30\x01")) for number in range(2500))
    (tmp_path / "served" / "graph.pb").write_bytes(b"".join(field(1, each) for each in nodes))
    with serving(tmp_path / "served", ranges=False) as server:
        yield server


def test_what_a_killed_process_had_fetched_goes_with_the_next_use_of_the_directory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED], check=False, cwd=ROOT, env={"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == -9
    assert len(list(tmp_path.rglob("content"))) == 1
    hidden_places.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_directory_without_room_is_no_fault_of_the_server(served: Served) -> None:
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, usual[1]))
    try:
        with pytest.raises(errors.WriteError, match=r"the temporary directory .* cannot be written.*larger") as caught:
            _ = tfmagic.inspect(f"{served.url}/graph.pb").ops
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert caught.value.errno == errno.EFBIG
    assert len(tfmagic.inspect(f"{served.url}/graph.pb").ops) == 2500


@pytest.mark.parametrize("kind", ["gone", "none at all"])
def test_a_temporary_directory_that_is_none_is_told(
    served: Served, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    if kind == "none at all":

        def unusable() -> str:
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

        monkeypatch.setattr("tempfile.gettempdir", unusable)
        monkeypatch.setattr("tempfile.tempdir", None)
        monkeypatch.setattr("tempfile._get_default_tempdir", unusable)
    with pytest.raises(errors.WriteError, match=r"the temporary directory .* cannot be written"):
        _ = tfmagic.inspect(f"{served.url}/graph.pb").ops
