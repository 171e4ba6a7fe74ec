from __future__ import annotations

import errno
import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from tfmagic import errors
from tfmagic.files import hidden_places
from tfmagic.files.temporary_files import Scratch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="users and locks are those of Unix")


def test_a_scratch_directory_goes_with_its_block_or_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Scratch() as place:
        (place / "file").touch()
        assert place.parent == tmp_path
    assert list(tmp_path.iterdir()) == []

    class Owner:
        pass

    owner, scratch = Owner(), Scratch()
    with scratch as place:
        scratch.belongs_to(owner)
    hidden_places.close_since(0)
    assert place.exists()
    del owner
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_directory_that_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(errors.WriteError, match="TMPDIR") as caught, Scratch() as place:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place / "file"))
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(FileNotFoundError), Scratch():
        raise FileNotFoundError(errno.ENOENT, "no", "elsewhere")
    assert list(tmp_path.iterdir()) == []
