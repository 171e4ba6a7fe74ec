from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tfmagic.files import hidden_places
from tfmagic.files.hidden_places import HiddenPlace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="users and locks are those of Unix")

#: Makes a place, and goes on until its input ends, or leaves it there at once.
OWNER = """
import os, sys
from pathlib import Path
from tfmagic.files.hidden_places import HiddenPlace
place = HiddenPlace(Path(sys.argv[1]))
place.make()
(place.path / "content").write_text("unfinished")
print(place.path.name, flush=True)
if sys.argv[2] == "dies":
    os._exit(0)
sys.stdin.read()
"""


def left_by_the_dead(directory: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", OWNER, str(directory), "dies"], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return directory / done.stdout.strip()


def test_a_place_is_there_while_it_is_open(tmp_path: Path) -> None:
    place = HiddenPlace(tmp_path)
    place.make()
    (place.path / "content").write_text("new")
    assert hidden_places.is_hidden(place.path.name)
    assert place.path.stat().st_mode & 0o777 == 0o700
    assert hidden_places.sweep(tmp_path) == []
    assert (place.path / "content").exists()
    place.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    place = left_by_the_dead(tmp_path)
    assert place.exists()
    hidden_places.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_writes_is_not_swept_whatever_its_number_or_host(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path), "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        assert owner.stdout is not None
        place = tmp_path / owner.stdout.readline().strip()
        hidden_places.sweep(tmp_path)
        assert (place / "content").exists()
        owner.communicate("")
    hidden_places.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_before_it_was_locked_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".tfmagic-00000000-000000000000").mkdir()
    hidden_places.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_places_of_another_kernel_are_left_alone_for_a_day(tmp_path: Path) -> None:
    place = left_by_the_dead(tmp_path)
    other = place.rename(tmp_path / f".tfmagic-{'0' * 8}-{place.name[-12:]}")
    hidden_places.sweep(tmp_path)
    assert other.exists()
    os.utime(other / "lock", (0, 0))
    hidden_places.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_only_looks_like_a_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "dear").mkdir()
    (tmp_path / "dear" / "lock").touch()
    (tmp_path / "dear" / "thesis.txt").write_text("dear")
    (tmp_path / ".tfmagic-00000000-000000000000").symlink_to("dear")
    (tmp_path / ".tfmagic-00000000-000000000001").write_text("a file")
    (tmp_path / ".tfmagic-other").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    hidden_places.sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert (tmp_path / "dear" / "thesis.txt").exists()


def test_what_a_call_left_open_is_closed_after_it(tmp_path: Path) -> None:
    count = hidden_places.opened_here()
    places = [HiddenPlace(tmp_path) for _ in range(3)]
    for place in places:
        place.make()
    hidden_places.close_since(count)
    assert list(tmp_path.iterdir()) == []
    assert hidden_places.opened_here() == count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_process_that_was_forked_takes_nothing_away(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from tfmagic.files import hidden_places, locks
place = hidden_places.HiddenPlace(Path(sys.argv[1]))
place.make()
place.hold_parent()
if (child := os.fork()) == 0:
    hidden_places.close_since(0)
    os._exit(0)
os.waitpid(child, 0)
assert place.path.exists()
# Whoever opens the lock again finds it taken.
for path in (place.path / "lock", place.parent):
    number = os.open(path, os.O_RDONLY)
    assert locks.locked(number) is False
    os.close(number)
place.close()
assert os.listdir(sys.argv[1]) == []
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=ROOT)


def test_what_is_write_protected_is_removed_and_nothing_behind_links(tmp_path: Path) -> None:
    (tmp_path / "of others").mkdir(mode=0o555)
    inner = tmp_path / "old" / "variables" / "deep"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    (inner / "link").symlink_to(tmp_path / "of others", target_is_directory=True)
    for directory in (inner, inner.parent):
        directory.chmod(0o555)
    hidden_places.remove(tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["of others"]
    assert stat.S_IMODE((tmp_path / "of others").stat().st_mode) == 0o555
