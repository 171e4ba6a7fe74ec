"""One subject in one mode, disturbed at one point after another; what is left is judged, and told a line each.

Runs in a process of its own, as a fault may end it: ``python -m tests.faults.trial``, which
:mod:`tests.faults.__main__` starts, and starts again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import signal
import sys
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tfmagic
from tests.faults.interposer import Interposer
from tests.faults.subjects import SUBJECTS
from tfmagic import errors
from tfmagic.files import hidden_places
from tfmagic.files.checkpoints import writing as checkpoint_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

PACKAGE = Path(tfmagic.__file__).parent
#: The code that puts results in their place: interrupts come at each of its lines.
STAGING = (
    "files/hidden_places.py", "files/locks.py", "files/renames.py", "files/temporary_files.py", "files/write_checks.py",
    "files/writing.py", "files/checkpoints/writing.py",
    "files/checkpoints/state_file.py", "files/hdf5_writing.py", "verbs/conversion/job.py", "verbs/undisturbed.py",
    "verbs/signed_files.py", "files/addresses/uploads.py", "verbs/cataloguing/outputs.py", "verbs/kept_outputs.py",
    "verbs/restore.py", "verbs/restoration/assignment.py",
)  # fmt: skip
#: Names that differ from call to call, and are nobody's loss.
_PASSING = re.compile(r"__autograph_generated")
#: The same, and what fsspec's file that is to be committed leaves where it cannot be opened.
_PASSING_OF_STORES = re.compile(rf"{_PASSING.pattern}|^tmp/tmp\w+$")
#: When, where and by whom an event file was written.
_MOMENT = re.compile(r"tfevents.*")
_SHARD = re.compile(r"\.data-\d{5}-of-\d{5}$")


class Point(NamedTuple):
    """Where a fault comes: in words, and as the function that calls the subject with it."""

    words: str
    strike: Callable[[], tuple[BaseException | None, bool]]


class Trial:
    """One subject in one mode.

    Parameters
    ----------
    name : str
        The subject.
    overwrite : bool
        Whether version 1 is there when version 2 is written.
    top : Path
        A folder of its own.
    """

    def __init__(self, name: str, top: Path, *, overwrite: bool) -> None:
        self.subject = SUBJECTS[name]
        self.subject.sources = top / "sources"
        self.subject.sources.mkdir(exist_ok=True)
        self.overwrite = overwrite
        self.box = top / "box"
        self.copies = top / "copies"
        self.old = top / "old"
        for folder in ("place", "tmp", "work"):
            (self.box / folder).mkdir(parents=True, exist_ok=True)
        self.place = self.box / "place" / self.subject.destination
        if overwrite and not self.old.exists():
            self.old.mkdir()
            (self.old / self.subject.destination).parent.mkdir(parents=True, exist_ok=True)
            self.subject.write(self.old / self.subject.destination, 1, overwrite=False)
        self.before = tree(self.old) if overwrite else {}
        #: What an undisturbed call leaves.
        self.usual: set[str] = set()

    def prepare(self, content: Path | None = None) -> None:
        """Fill the box with version 1, nothing, or what a copy of it holds."""
        for folder in ("place", "tmp", "work"):
            for entry in (self.box / folder).iterdir():
                hidden_places.remove(entry)
            source = content / folder if content is not None else self.old if folder == "place" else None
            if source is not None and source.exists():
                shutil.copytree(source, self.box / folder, dirs_exist_ok=True, symlinks=True)

    def call(self) -> BaseException | None:
        """Write version 2; return what that raised."""
        try:
            self.subject.write(self.place, 2, overwrite=self.overwrite)
        except BaseException as error:  # noqa: BLE001 - it is judged
            return error
        return None

    def version(self, place: Path | None = None) -> float | None:
        """Return the version that is there, None for anything else."""
        try:
            return self.subject.version(place or self.place)
        except Exception:  # noqa: BLE001 - whatever a library makes of half a model
            return None

    def judged(self, error: BaseException | None, *, was_killed: bool) -> Iterator[str]:
        """Say what is wrong with what a fault left; then write once more, and say what is wrong with that."""
        after = {
            name: mark
            for name, mark in tree(self.box / "place").items()
            if not is_hidden(name) and name not in self.subject.unfinished and self._counts(name)
        }
        own = {name: mark for name, mark in after.items() if not _is_state(name)}
        old = {name: mark for name, mark in self.before.items() if not _is_state(name)}
        is_new = own != old and self.version() == 2
        if isinstance(error, Exception) and not isinstance(error, errors.TfMagicError):
            yield f"foreign error: {_words(error)}"
        if error is None and not is_new:
            yield "told wrong: it returned, and the new one is not there"
        elif is_new and error is not None and not was_killed and "It may be there nevertheless" not in str(error):
            yield f"told wrong: the new one is there, and it raised {_words(error)}"
        elif not is_new and own != old:
            yield from self._between(old, own)
        if is_new and not self.subject.can_be_written_again:
            return
        if (again := self._again()) is not None:
            yield f"stuck: the next call raises {_words(again)}"
        elif self.version() != 2:
            yield "stuck: the next call returns, and the new one is not there"
        if left := sorted(self.names() - self.usual):
            yield f"debris: after the next call, too: {', '.join(left)}"

    def _counts(self, name: str) -> bool:
        """Say whether it is one of the things that a store of objects knows."""
        return self.subject.has_directories or not (self.box / "place" / name).is_dir()

    def names(self) -> set[str]:
        """Return what is in the box: shards of one checkpoint, and event files, by what is not of the moment."""
        passing = _PASSING if self.subject.has_directories else _PASSING_OF_STORES
        names = {_MOMENT.sub("tfevents", name) for name in tree(self.box) if not passing.search(name)}
        shards = {name for name in names if _SHARD.search(name)}
        return names - shards if len({name[-5:] for name in shards}) == 1 else names

    def _between(self, old: dict[str, str], own: dict[str, str]) -> Iterator[str]:
        """Judge a state that is neither: several files may be on their way, if the old ones are whole elsewhere."""
        changed = sorted(name for name in old if own.get(name) != old[name])
        aside = checkpoint_writing.set_aside(self.place) if self.subject.is_group else None
        if (read := self._read()) != self.version():
            yield f"mixed: tfmagic reads {read}"
        elif self.subject.is_group and not changed and self.version() == (1 if self.overwrite else None):
            yield f"(between: beside the old one, {', '.join(sorted(own.keys() - old.keys()))})"
        elif aside is not None and self.version(aside) == 1 and self.version() is None:
            yield f"(aside: the old one lies whole as {aside.relative_to(self.box)})"
        else:
            yield f"lost: {', '.join(changed) or ', '.join(sorted(own))}; what loads is {self.version()}"

    def _read(self) -> float | None:
        """Return the version that tfmagic reads, None if it says that nothing whole is there."""
        try:
            return self.subject.read(self.place)
        except NotImplementedError:
            return self.version()
        except (errors.ReadError, FileNotFoundError):
            return None

    def _again(self) -> BaseException | None:
        try:
            self.subject.write(self.place, 2, overwrite=True)
        except Exception as error:  # noqa: BLE001 - it is judged
            return error
        return None


def tree(folder: Path) -> dict[str, str]:
    """Return what lies below a folder, by relative path: a digest of each."""
    result = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        result[path.relative_to(folder).as_posix()] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return result


def is_hidden(name: str) -> bool:
    """Say whether a path leads into a hidden place."""
    return any(hidden_places.is_hidden(part) for part in name.split("/"))


def _is_state(name: str) -> bool:
    """Say whether a path is the list of checkpoints, which is written after them."""
    return name == "checkpoint"


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def calls(trial: Trial, codes: list[str], *, stays: bool) -> list[Point]:
    """Return a point for each file-system call and error; of each call's, another comes first."""
    interposer = Interposer(trial.box)
    trial.prepare()
    interposer.begin()
    error = trial.call()
    count = interposer.end()
    if error is not None:
        raise error

    def strike(number: int, code: str) -> tuple[BaseException | None, bool]:
        trial.prepare()
        interposer.begin(fail_at=number, error=getattr(errno, code), stays=stays)
        raised = trial.call()
        interposer.end()
        return raised, bool(interposer.struck)

    return [
        Point(f"call {number} {code}", partial(strike, number, code))
        for number in range(1, count + 1)
        for code in codes[number % len(codes) :] + codes[: number % len(codes)]
    ]


def kills(trial: Trial) -> list[Point]:
    """Return a point for each distinct state that a kill before a call leaves."""
    if not trial.copies.exists():
        trial.copies.mkdir()
        interposer = Interposer(trial.box)
        trial.prepare()
        interposer.begin(copies=trial.copies)
        error = trial.call()
        interposer.end()
        if error is not None:
            raise error
    states = {json.dumps(tree(copy)): copy for copy in sorted(trial.copies.iterdir(), reverse=True)}

    def strike(copy: Path) -> tuple[BaseException | None, bool]:
        trial.prepare(copy)
        return BaseException("killed"), True

    return [Point(f"before call {int(copy.name)}", partial(strike, copy)) for copy in sorted(states.values())]


def interrupts(trial: Trial, files: tuple[str, ...]) -> list[Point]:
    """Return a point for the first and the last time of each line that runs of some files of the package."""
    wanted = {str(PACKAGE / file) for file in files}

    def run(line: tuple[str, int] | None, turn: int) -> tuple[BaseException | None, Counter[tuple[str, int]]]:
        times: Counter[tuple[str, int]] = Counter()

        def watch(frame: FrameType, event: str, _argument: object) -> Any:
            if event == "line":
                here = (frame.f_code.co_filename, frame.f_lineno)
                times[here] += 1
                if here == line and times[here] == turn:
                    raise KeyboardInterrupt
            return watch

        trial.prepare()
        sys.settrace(lambda frame, _event, _argument: watch if frame.f_code.co_filename in wanted else None)
        try:
            return trial.call(), times
        finally:
            sys.settrace(None)

    def strike(line: tuple[str, int], turn: int) -> tuple[BaseException | None, bool]:
        state = thread_state()
        error, times = run(line, turn)
        if thread_state() != state:
            raise AssertionError("TensorFlow, or the process, is not as it was")
        return error, times[line] >= turn

    _, every = run(None, 0)
    return [
        Point(
            f"{Path(line[0]).relative_to(PACKAGE)}:{line[1]}, time {turn} of {count}",
            partial(strike, line, turn),
        )
        for line, count in every.items()
        for turn in sorted({1, count})
    ]


def thread_state() -> tuple[object, ...]:
    """Return what a call must leave as it was."""
    tensorflow: Any = sys.modules.get("tensorflow")
    own = () if tensorflow is None else (tensorflow.executing_eagerly(), tensorflow.compat.v1.get_default_graph())
    return (*own, os.getcwd(), dict(os.environ), list(sys.path), signal.getsignal(signal.SIGINT))  # noqa: PTH109


def main(arguments: list[str]) -> None:
    """Try all points from one on; a line of JSON for each, with what is wrong there."""
    name, mode, kind, first, top, *options = arguments
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    trial = Trial(name, Path(top), overwrite=mode == "overwrite")
    os.chdir(trial.box / "work")
    trial.prepare()
    trial.call()  # what is imported or made once is no part of the trial
    trial.usual = trial.names()
    points = {
        "calls": lambda: calls(trial, options, stays=False),
        "full": lambda: calls(trial, options, stays=True),
        "kills": lambda: kills(trial),
        "interrupts": lambda: interrupts(trial, tuple(options) or STAGING),
    }[kind]()
    most, every = (int(os.environ[f"TFMAGIC_FAULTS_{name}"]) for name in ("POINTS", "EVERY"))
    step = max(every, -(-len(points) // most))
    for number in range(int(first), len(points), step):
        print(json.dumps([number, points[number].words, None]), file=answers, flush=True)
        try:
            error, is_reached = points[number].strike()
            found = list(trial.judged(error, was_killed=kind in ("kills", "interrupts"))) if is_reached else []
        except AssertionError as error:
            found = [f"left state: {error}"]
        print(json.dumps([number, points[number].words, found]), file=answers, flush=True)
    os._exit(0)  # a library that crashes as it is unloaded, after a fault, is not judged


if __name__ == "__main__":
    main(sys.argv[1:])
