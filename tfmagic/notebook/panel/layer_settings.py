"""The configuration of a layer in words: what tells it from others, and the rest.

Not for: finding the configuration (:meth:`tfmagic.models.model.Model.layer_settings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.display.graph import scenes
from tfmagic.notebook.panel import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Settings of layers that are nearly always as Keras sets them, by the whole name and by its end.
_USUAL = frozenset(
    {"name", "trainable", "dtype", "data_format", "batch_input_shape", "build_config", "registered_name"}
)
_USUAL_ENDS = ("_initializer", "_regularizer", "_constraint")
#: Settings that are sizes: written as a person does, with crosses.
_SIZES = ("size", "strides", "rate", "padding")
#: A list of more numbers is written as one.
_MOST_SIZES = 4
#: What is not said in one line: it is told in a column of its own, follows from others, or is a program.
_ELSEWHERE = frozenset({"activation", "function", "layers", "layer", "module", "class_name", "config", "arguments"})
#: Numbers that change nothing: one step at a time, one group, no padding.
_NOTHING = frozenset({"strides", "dilation_rate", "groups", "depth_multiplier"})
#: What stands before a switch, and behind a size, that one line does without.
_BEFORE, _BEHIND = "use_", "_size"


def worded(settings: Mapping[str, object]) -> tuple[list[list[str]], list[list[str]]]:
    """Word the configuration of a layer: what tells it from others, and the rest."""
    own: list[list[str]] = []
    usual: list[list[str]] = []
    for name, value in settings.items():
        text = setting_text(name, value)
        is_usual = value is None or name in _USUAL or name.endswith(_USUAL_ENDS)
        (usual if is_usual else own).append([cell_text.cell_text(name), cell_text.long_text(text)])
    return own, usual


def setting_text(name: str, value: object) -> str:
    """Word one setting of a layer as a person writes it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return _object_text(value)
    if isinstance(value, (list, tuple)):
        numbers = [each for each in value if isinstance(each, int) and not isinstance(each, bool)]
        is_size = name.endswith(_SIZES) and value and len(numbers) == len(value) <= _MOST_SIZES
        return scenes.shape_text(tuple(numbers)) if is_size else f"({', '.join(map(str, value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _object_text(value: Mapping[str, object]) -> str:
    """Word an object as Keras writes it: its class and what it is made of."""
    label, config = value.get("class_name"), value.get("config")
    if label == "DTypePolicy" and isinstance(config, dict):
        return str(config.get("name"))
    return label if isinstance(label, str) else repr(value)


def activation(settings: Mapping[str, object]) -> str:
    """Return what a layer's activation is called, nothing if it has none or does nothing."""
    value = settings.get("activation")
    text = "" if value is None else setting_text("activation", value)
    return "" if text == "linear" else cell_text.cell_text(text)


def line(settings: Mapping[str, object]) -> str:
    """Word in one line what tells a layer from others: ``filters 32, kernel 3 x 3, strides 2 x 2, no bias``."""
    return cell_text.cell_text(", ".join(_told(settings)))


def _told(settings: Mapping[str, object]) -> Iterator[str]:
    for name, value in settings.items():
        if value is None or name in _USUAL | _ELSEWHERE or name.endswith(_USUAL_ENDS) or isinstance(value, dict):
            continue
        word = name.removeprefix(_BEFORE).removesuffix(_BEHIND).replace("_", " ")
        if isinstance(value, bool):
            if name.startswith(_BEFORE) and not value:
                yield f"no {word}"
            elif value and not name.startswith(_BEFORE):
                yield word
        elif not (name in _NOTHING and _is_one(value)):
            yield f"{word} {setting_text(name, value)}"


def _is_one(value: object) -> bool:
    return all(each == 1 for each in value) if isinstance(value, (list, tuple)) else value == 1
