from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from tfmagic.files import hdf5_writing

if TYPE_CHECKING:
    from pathlib import Path

_VALUES = np.arange(60_000, dtype=np.float32)


def write(file: Any) -> None:
    for number in range(4):
        file.create_dataset(f"group/{number}", data=_VALUES + number)
        file.attrs[f"name_{number}"] = b"x" * 2000


def test_what_is_written_is_hdf5(tmp_path: Path) -> None:
    with hdf5_writing.hdf5_file(tmp_path / "m.h5", "model.h5") as file:
        assert str(file) == "model.h5"
        write(file)
    with h5py.File(tmp_path / "m.h5") as found:
        np.testing.assert_array_equal(found["group/3"][()], _VALUES + 3)
        assert len(found.attrs["name_0"]) == 2000


@pytest.mark.parametrize("moment", range(1, 40, 3))
def test_a_write_that_fails_is_told_when_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    real, calls = hdf5_writing.UnfailingFile._write, []

    def failing(self: hdf5_writing.UnfailingFile, view: memoryview) -> None:
        calls.append(len(view))
        if len(calls) >= moment:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, view)

    monkeypatch.setattr(hdf5_writing.UnfailingFile, "_write", failing)
    try:
        with hdf5_writing.hdf5_file(tmp_path / "m.h5", "model.h5") as file:
            write(file)
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017 - the last moments come after all was written
    else:
        assert len(calls) < moment


def test_a_file_object_reads_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hdf5_writing.file_object(tmp_path / "file", "name.weights.h5") as file:
        file.write(b"abcdef")
        file.seek(2)
        assert file.read(3) == b"cde"
        file.seek(10)
        file.write(b"z")
        file.seek(0)
        assert file.read() == b"abcdef\0\0\0\0z"
        path = hdf5_writing.PathWithFile(file)
        assert isinstance(str(path), str)
        assert str(path).endswith(".weights.h5")
        assert path.tell() == 11

        def refused(_self: object, _view: memoryview) -> None:
            raise OSError(errno.EIO, "no")

    monkeypatch.setattr(hdf5_writing.UnfailingFile, "_write", refused)
    broken = hdf5_writing.file_object(tmp_path / "file", "name")
    with pytest.raises(OSError, match="no"), broken as file:  # noqa: PT012 - the error comes at its end
        file.write(b"abc")
        file.seek(1)
        assert file.read(1) == b"b"
