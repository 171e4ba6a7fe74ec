"""What a SavedModel's directory holds, by the names of its files.

``saved_model.pb`` or ``.pbtxt`` beside ``variables``, ``assets`` and a few more
(tensorflow/cc/saved_model/constants.h). Not for: what is in the message (:mod:`tfmagic.graphs.metagraphs`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import message_files, wire

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BINARY, TEXT, FINGERPRINT = "saved_model.pb", "saved_model.pbtxt", "fingerprint.pb"
#: Where users may lay what they want to have beside the model, such as requests that warm a server up.
EXTRA = "assets.extra"
_ASSETS, _VARIABLES = "assets", ("variables", "saved_model_variables")
#: The folders of a SavedModel, and the files beside its message.
PARTS = frozenset({_ASSETS, *_VARIABLES, EXTRA, "debug"})
SINGLE = frozenset({BINARY, TEXT, "saved_model.cpb", FINGERPRINT, "keras_metadata.pb"})
#: What a file manager leaves in any directory.
_ANYWHERE = frozenset({".DS_Store", "desktop.ini", "Thumbs.db"})
_CHECKPOINT = re.compile(r"variables\.(index|data-\d{5}-of-\d{5})")
# Of SavedModel: meta_graphs. Of MetaGraphDef: asset_file_def. Of AssetFileDef: filename.
_META_GRAPHS, _ASSET_FILE_DEF, _FILENAME = 2, 6, 2


def strangers(directory: Path, *, extra: bool = False) -> list[str]:
    """Return the paths in a directory that no SavedModel brings along: those of somebody else.

    Parameters
    ----------
    directory : Path
        The directory.
    extra : bool
        Whether what lies in ``assets.extra`` counts as part of the SavedModel.
    """
    named = None
    paths = []
    for path in _files(directory):
        top, name = path.parts[0], path.name
        if len(path.parts) == 1:
            is_own = name in SINGLE
        elif top == _ASSETS:
            named = _named_assets(directory) if named is None else named
            is_own = path.relative_to(_ASSETS).as_posix() in named
        elif top in _VARIABLES:
            is_own = len(path.parts) == 2 and _CHECKPOINT.fullmatch(name) is not None  # noqa: PLR2004 - top and name
        else:
            is_own = top == "debug" or (top == EXTRA and extra)
        if not is_own and name not in _ANYWHERE:
            paths.append(path.as_posix())
    return sorted(paths)


def extras(directory: Path) -> set[str]:
    """Return the paths of what users laid beside the model."""
    place = directory / EXTRA
    return {path.as_posix() for path in _files(place)} if place.is_dir() else set()


def is_saved_model(directory: Path) -> bool:
    """Say whether there is the message of a SavedModel in a directory."""
    return (directory / BINARY).exists() or (directory / TEXT).exists()


def _files(directory: Path) -> Iterator[Path]:
    """Yield the paths of what is no directory, and of links, relative to a directory."""
    for path in directory.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(directory)


def _named_assets(directory: Path) -> set[str]:
    """Return the paths in ``assets`` that the message speaks of, none if it does not parse."""
    file = directory / (BINARY if (directory / BINARY).exists() else TEXT)
    try:
        buffer = message_files.read_message(file, message_files.SAVED_MODEL)
        return set(_asset_names(buffer))
    except (errors.ReadError, FileNotFoundError):
        return set()


def _asset_names(buffer: wire.Buffer) -> Iterator[str]:
    for meta_graph in _payloads(buffer, (0, buffer.size), _META_GRAPHS):
        for asset in _payloads(buffer, meta_graph, _ASSET_FILE_DEF):
            for start, end in _payloads(buffer, asset, _FILENAME):
                yield buffer.text(start, end)


def _payloads(buffer: wire.Buffer, span: tuple[int, int], number: int) -> Iterator[tuple[int, int]]:
    for field, kind, start, end in wire.fields(buffer, *span):
        if field == number and kind == wire.BYTES:
            yield start, end
