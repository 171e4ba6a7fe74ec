"""Addresses on the lines of a notebook and of a shell, and who asks for them: nobody while a line is typed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.address_servers import serving
from tests.conftest import ROOT
from tests.wire_samples import attr, field, node
from tfmagic import errors, progress
from tfmagic.commands import completion
from tfmagic.files.addresses import uploads, urls
from tfmagic.files.addresses.address import Address
from tfmagic.shell import command_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

GRAPH = field(1, node("image", "Placeholder", attrs=attr("dtype", b"\x30\x01"))) + field(1, node("y", "Relu", "image"))


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Any]:
    """A server with a graph."""
    (tmp_path / "graph.pb").write_bytes(GRAPH)
    with serving(tmp_path) as served:
        yield served


def test_a_magic_takes_an_address(shell: InteractiveShell, address: Any) -> None:
    ops = shell.run_line_magic("tf_inspect", f"{address.url}/graph.pb --ops")
    assert list(ops["name"]) == ["image", "y"]
    shell.user_ns["place"] = f"{address.url}/graph.pb"
    assert shell.run_line_magic("tf_inspect", "place").origin == f"{address.url}/graph.pb"


def test_a_shell_takes_an_address(address: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["inspect", f"{address.url}/graph.pb", "--ops", "--as", "csv"]) == 0
    assert "Relu" in capsys.readouterr().out
    assert command_line.run(["inspect", f"{address.url}/none.pb"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{address.url}/none.pb" in said


def test_nobody_asks_a_network_while_a_line_is_typed(address: Any) -> None:
    model = tfmagic.inspect(f"{address.url}/graph.pb")
    before = len(address.requests)
    variables = {"model": model, "place": f"{address.url}/graph.pb", "path": model.path}
    for source in (f"{address.url}/graph.pb", "model", "place", "path", f"{address.url}/gra"):
        for line in (f"%tf_inspect {source}", f"%tf_inspect {source} --op ", f"%tf_freeze {source} --outputs "):
            completion.complete(line, variables)
    assert len(address.requests) == before


def test_what_is_not_installed_is_said_with_the_line_that_installs_it() -> None:
    for module, place, package in (("fsspec", "https://a/b.pb", "remote"), ("s3fs", "s3://a/b.pb", "s3")):
        code = (
            "import sys, tfmagic\n"
            f"sys.modules[{module!r}] = None\n"
            f"try: tfmagic.inspect({place!r})\n"
            "except tfmagic.errors.MissingDependencyError as error: print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=ROOT, timeout=100, capture_output=True, text=True
        )
        assert f"tfmagic[{package}]" in done.stdout, done


@pytest.mark.parametrize("stop", [KeyboardInterrupt, progress.CancelledError])
def test_an_upload_that_is_stopped_leaves_nothing(memory: Any, stop: type[BaseException]) -> None:
    put = uploads._put
    names: list[str] = []
    places: list[Path] = []

    def stopping(path: Path, target: Address) -> None:
        names.append(path.name)
        put(path, target)
        if len(names) == 2:
            raise stop

    def upload() -> None:
        with uploads.staging(Address.of("memory://served/1"), overwrite=False, several=True) as aside:
            places.append(aside)
            aside.mkdir()
            for name in ("saved_model.pb", "variables.index", "fingerprint.pb"):
                (aside / name).write_bytes(b"content")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploads, "_put", stopping)
        with pytest.raises(stop) as caught:
            upload()
    assert names == ["fingerprint.pb", "variables.index"]
    assert not memory.store
    assert not places[0].parent.exists()
    assert any("Nothing of it is left" in note for note in caught.value.__notes__)


def test_who_writes_there_meanwhile_is_not_written_over(memory: Any) -> None:
    def upload() -> None:
        with uploads.staging(Address.of("memory://served/1"), overwrite=False, several=True) as aside:
            aside.mkdir()
            (aside / "saved_model.pb").write_bytes(b"ours")
            memory.pipe("/served/1/saved_model.pb", b"theirs")

    with pytest.raises(errors.WriteError, match="exists"):
        upload()
    assert memory.cat("/served/1/saved_model.pb") == b"theirs"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ann:word@host/a/b.pb?sig=1#x", "https://host/a/b.pb"),
        ("https://host?token=1", "https://host"),
        ("s3://bucket/a b/ü.pb", "s3://bucket/a b/ü.pb"),
        ("sftp://ann:w@rd@host/a", "sftp://host/a"),
        ("zip://in/m.pb::https://ann@host/a.zip?t=1", "zip://in/m.pb::https://host/a.zip"),
        ("filecache::s3://bucket/a", "filecache::s3://bucket/a"),
        ("abfs://container@account/a", "abfs://container@account/a"),
        ("https://host/@scope/p.pb", "https://host/@scope/p.pb"),
    ],
)
def test_credentials_are_cut_out_of_an_address(text: str, shown: str) -> None:
    assert urls.is_address(text)
    assert urls.without_credentials(text) == shown


@pytest.mark.parametrize("text", ["a/b", "C:/x", "C:\\x", "file:///a", "model::tag", "./s3:/x", "", "a:b"])
def test_paths_of_this_machine_are_no_addresses(text: str) -> None:
    assert not urls.is_address(text)


def test_an_address_is_no_path_of_this_machine(memory: Any) -> None:
    memory.pipe("/a/b.pb", GRAPH)
    path = tfmagic.inspect("memory://a/b.pb").path
    assert path is not None
    with pytest.raises(errors.ReadError, match="does not lie on this machine"):
        open(path)  # noqa: PTH123, SIM115 - nothing comes of it
    assert (path.name, path.suffix, path.stem, str(path.parent)) == ("b.pb", ".pb", "b", "memory://a")
    assert str(path.with_name("c.pb")) == "memory://a/c.pb"
    assert str(path.parent / "c" / "d") == "memory://a/c/d"
    assert path == path.parent / "b.pb" != path.parent
    assert [str(each) for each in path.parents][:1] == ["memory://a"]
