"""Writers in a process that the system lets write, or open, little: ``python -m tests.verbs.limited_processes``.

They have a process of their own: where no file may be larger, HDF5 ends the one in which a file that an earlier test
let go of is closed. A line of JSON for each writer as it begins, another with what was wrong. Not for: full disks and
other odd places (``test_odd_places.py``).
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.subjects import SUBJECTS, Subject
from tests.faults.trial import is_hidden, tree
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Callable


def no_larger(subject: Subject, folder: Path, limit: int) -> None:
    """Write where no file may have more bytes than the limit, over what is there and anew: it is told, all stays."""
    place = folder / "old" / subject.destination
    subject.write(place, 1, overwrite=False)
    # What the second version is made of is no part of the trial.
    subject.write(folder / "beside" / subject.destination, 2, overwrite=False)
    before = tree(folder)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    for where in (place, folder / "new" / subject.destination):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
        try:
            with pytest.raises(errors.WriteError, match="larger") as caught:
                subject.write(where, 2, overwrite=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        assert caught.value.errno == errno.EFBIG
    assert tree(folder) == before


def no_more_files(subject: Subject, folder: Path, limit: int) -> None:
    """Write where fewer files may be opened than the limit: it is done, or told; what is hidden goes with the next."""
    place = folder / subject.destination
    subject.write(place, 1, overwrite=False)
    subject.write(folder / "beside" / subject.destination, 2, overwrite=False)
    before = tree(folder)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    for free in range(limit):
        opened = [os.open(os.devnull, os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (opened[0] + 40, usual[1]))
        with suppress(OSError):
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(free):
            os.close(opened.pop())
        try:
            with suppress(errors.TfMagicError):
                subject.write(place, 2, overwrite=True)
        finally:
            for descriptor in opened:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        now = {name: mark for name, mark in tree(folder).items() if not is_hidden(name)}
        assert now == before or subject.version(place) == 2
    subject.write(place, 1, overwrite=True)
    assert not [path for path in folder.iterdir() if is_hidden(path.name)]


TRIALS: dict[str, Callable[[Subject, Path, int], None]] = {
    "no larger": no_larger,
    "no more files": no_more_files,
}


def main(trial: str, limit: int, top: Path, names: list[str]) -> None:
    """Try each writer in a folder of its own."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in names:
        subject, folder = SUBJECTS[name], top / name
        subject.sources = top / "sources" / name
        for made in (folder, subject.sources):
            made.mkdir(parents=True)
        print(json.dumps([name, "the process ended"]), file=answers, flush=True)
        try:
            TRIALS[trial](subject, folder, limit)
        except BaseException:  # noqa: BLE001 - the test tells it
            print(json.dumps([name, traceback.format_exc()]), file=answers, flush=True)
        else:
            print(json.dumps([name, None]), file=answers, flush=True)
    answers.close()
    os._exit(0)  # a library that crashes as it is unloaded, after a fault, is not judged


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
