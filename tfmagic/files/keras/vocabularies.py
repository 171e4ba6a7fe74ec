"""The vocabularies that layers of a ``.keras`` archive have learned, which lie beside its config as text.

Words that a layer was given stand in its config. Not for: what a table of a graph holds
(:mod:`tfmagic.functions.state.text_tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files.keras import archive
from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.keras.numbered_weights import groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfmagic.files.keras.specs import Spec

#: The argument that holds a vocabulary, and is null where a layer learned it.
ARGUMENT = "vocabulary"


def read(path: Path, model: Spec) -> Mapping[str, list[str]]:
    """Return the words of each layer that learned some, by the layer's path; nothing of a file that is no archive.

    Raises
    ------
    CorruptSourceError
        If the archive does not parse.
    """
    wanted = {f"assets{group}/{ARGUMENT}.txt": layer for group, layer in _groups(model)}
    if not wanted or not archive.is_zip(path):
        return {}
    texts = archive.texts(path, wanted)
    return {wanted[name]: text.split("\n") for name, text in texts.items()}


def _groups(model: Spec, group: str = "", layer: str = "") -> Iterator[tuple[str, str]]:
    """Yield where Keras stores a layer, and its path, for each layer that has learned its vocabulary."""
    for name, spec in groups(model).items():
        own, inner = f"{group}/layers/{name}", f"{layer}{keras_specs.name(spec)}"
        if keras_specs.members(spec):
            yield from _groups(spec, own, f"{inner}/")
        elif keras_specs.arguments(spec).get(ARGUMENT, "") is None:
            yield own, inner
