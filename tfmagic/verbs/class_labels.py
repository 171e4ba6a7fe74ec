"""What the classes of a model are called: by a list or a file that is given, or by what lies with the model.

A file is taken for labels only if it has as many as an output has values. Not for: ranking
(:mod:`tfmagic.verbs.run`).
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.files import archives

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.models.model import Model

#: What files of labels are called, whatever stands before: ``labels.txt``, ``imagenet_class_index.json``.
_NAMED = re.compile(
    r"(?i)(?:.*[._-])?(?:labels?|label_?map|class(?:es|_names|_index|_labels)?|synset_?words)\.(?:txt|json)"
)
#: Larger ones hold no labels.
_MOST_BYTES = 4_000_000
_MOST_FILES = 1_000


def of(labels: object) -> tuple[str, ...]:
    """Return the labels that are given.

    Parameters
    ----------
    labels : sequence of str, str or path
        In the order of the classes; or a file: a text with one in each line, or JSON, a list or an object by number.

    Raises
    ------
    ConversionError
        If there are none.
    """
    if isinstance(labels, str | os.PathLike):
        path = Path(labels)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise errors.ConversionError(
                f"the labels in {str(path)!r} cannot be read: {error.strerror or error}; give a file or a list"
            ) from error
        read = _read(path.name, content)
    else:
        try:
            read = tuple(map(str, labels))  # type: ignore[call-overload] # whatever is given
        except TypeError as error:
            raise errors.ConversionError(
                f"labels are a list of texts or a file, not {type(labels).__name__}"
            ) from error
    if not read:
        raise errors.ConversionError(f"there are no labels in {labels!r}: give one for each class")
    return read


def own(model: Model, count: int) -> tuple[tuple[str, ...], str]:
    """Return the labels that lie with a model, if there are as many as an output has values, and where they lie."""
    if model.path is None:
        return (), ""
    with suppress(*archives.DAMAGE, TypeError):
        for name, content in _candidates(model.path):
            labels = _read(name, content)
            if len(labels) == count:
                return labels, name
    return (), ""


def _candidates(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield files that may hold labels: assets of a SavedModel, those in a TFLite file, those beside a model."""
    if path.is_dir():
        folders = [path / "assets", path / "assets.extra", path]
    else:
        folders = [path.parent]
        if path.stat().st_size < 1 << 31 and zipfile.is_zipfile(path):
            yield from _inside(path)
    for folder in folders:
        if folder.is_dir():
            for beside, _ in zip(sorted(folder.iterdir()), range(_MOST_FILES), strict=False):
                is_own = folder.name.startswith("assets") and beside.suffix in (".txt", ".json")
                is_named = is_own or _NAMED.fullmatch(beside.name)
                if is_named and beside.is_file() and beside.stat().st_size <= _MOST_BYTES:
                    yield beside.name, beside.read_bytes()


def _inside(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the texts that are packed behind a TFLite file (its associated files are a ZIP archive at its end)."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        for info in archive.infolist()[:_MOST_FILES]:
            if info.filename.endswith((".txt", ".json")) and info.file_size <= _MOST_BYTES:
                with archive.open(info) as file:
                    yield info.filename, file.read(_MOST_BYTES)


def _read(name: str, content: bytes) -> tuple[str, ...]:
    """Return the labels in a file; none where it holds no such."""
    text = content.decode(errors="replace")
    if not name.lower().endswith(".json"):
        lines = text.splitlines()
        return tuple(line.strip() for line in (lines if any(lines) else ()))
    try:
        return tuple(_of_json(json.loads(text)))
    except (ValueError, KeyError, RecursionError):
        return ()


def _of_json(value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON holds
    """Yield labels of a list, or of an object by number; Keras' own lists have a pair of code and name."""
    listed: Sequence[Any] = [value[str(place)] for place in range(len(value))] if isinstance(value, dict) else value
    if not isinstance(listed, list):
        return
    yield from (str(each[-1] if isinstance(each, list) and each else each) for each in listed)
