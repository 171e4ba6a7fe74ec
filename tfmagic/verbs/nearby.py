"""What models are at hand: the notebook's variables that hold one, and the files below a directory.

Nothing is read but the first bytes of files, and not for longer than a person waits. Not for: reading a model.
"""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, readers
from tfmagic.models import recognition
from tfmagic.models.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.models.reader import Reader

#: Models listed, entries looked at, folders deep, seconds spent.
_MOST, _MOST_ENTRIES, _DEEPEST, _PATIENCE = 200, 5_000, 4, 1.5
#: Folders of environments and tools, with thousands of files none of which is a model.
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "site-packages"})


class Found(NamedTuple):
    """A path that holds a model, and its form."""

    path: str
    form: str


def model_names(variables: Mapping[str, object]) -> list[str]:
    """Return the variables that hold a model: a live one, a message, or one that was inspected."""
    shown = [(name, value) for name, value in list(variables.items()) if not name.startswith("_")]
    return [name for name, value in shown if is_model(value)]


def is_model(value: object) -> bool:
    """Say whether a variable's value is a source of a live form; text is not taken for a path."""
    try:
        if isinstance(value, (str, bytes, int, float, type, os.PathLike, Model)):
            return isinstance(value, Model)
        return _reader(value) is not None
    except Exception:  # noqa: BLE001 - an object that objects to being looked at
        return False


def files(directory: Path, patience: float = _PATIENCE) -> list[Found]:
    """Return the models below a directory, the nearest first, their paths relative to it.

    Parameters
    ----------
    directory : Path
        Where the search begins; links to folders, hidden folders and those of environments are not followed.
    patience : float
        Seconds after which what was found so far is returned.
    """
    models: list[Found] = []
    until = time.monotonic() + patience
    for looked, path in enumerate(_below(directory)):
        if len(models) >= _MOST or looked > _MOST_ENTRIES or time.monotonic() > until:
            break
        reader = _reader_of(path)
        if reader is not None:
            models.append(Found(str(path.relative_to(directory)), reader.form))
    return models


def _below(directory: Path) -> Iterator[Path]:
    """Yield files, and folders that are a model as a whole, which are not entered."""
    waiting = deque([(directory, 0)])
    while waiting:
        folder, depth = waiting.popleft()
        for entry in _entries(folder):
            path = Path(entry.path)
            if not _is_folder(entry):
                yield path
            elif entry.name not in _PASSED_OVER:
                if _reader_of(path) is not None:
                    yield path
                elif depth < _DEEPEST:
                    waiting.append((path, depth + 1))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """List what a folder shows, by name; nothing where it may not be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def is_model_path(path: Path) -> bool:
    """Say whether a path leads to a model, as the prefix of a checkpoint does without being a file."""
    try:
        return _reader(path) is not None
    except (OSError, errors.TfMagicError):
        return False


def _reader_of(path: Path) -> Reader | None:
    try:
        return _reader(path) if path.is_dir() or path.is_file() else None
    except (OSError, errors.TfMagicError):
        return None


def _reader(value: object) -> Reader | None:
    """Return the reader that claims a value."""
    candidate = recognition.candidate_of(value)
    return next((reader for reader in readers.READERS if reader.claims(candidate)), None)
