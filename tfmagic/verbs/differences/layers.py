"""Rows for the layers of two Keras models: their arguments, and what they take from one another.

What only one Keras states of a layer, and asks for nothing, is no difference: versions write different arguments. Not
for: graphs (:mod:`tfmagic.verbs.differences.computations`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import frames
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.files.keras.config import Consumed
    from tfmagic.frames import LayerRow
    from tfmagic.models.model import Model

#: Longer texts of arguments are cut.
_LONGEST = 200
#: What Keras notes of an object beside its arguments: where it lies in memory, how it was registered.
_BOOKKEEPING = frozenset({"shared_object_id", "registered_name", "module", "build_config"})
#: Arguments that say nothing of what a layer computes: its name, what is compared by itself (members of a model, the
#: shapes of inputs), and how a kernel is chosen.
_SILENT = frozenset({
    "batch_input_shape", "batch_shape", "build_input_shape", "cudnn_ok", "experimental_autocast", "implementation",
    "input_dim", "input_layers", "input_length", "input_shape", "key_shape", "layers", "name", "output_layers",
    "query_shape", "renorm_clipping", "renorm_momentum", "value_shape",
})  # fmt: skip
#: What made values, which are compared themselves.
_INITIALIZERS = ("_initializer", "_init", "initializer_config")
#: What an argument is that asks for nothing, where only one Keras states it.
_NEUTRAL: tuple[object, ...] = (None, False, [], {}, "")
_NEUTRAL_BY_KEY: Mapping[str, object] = {
    "data_format": "channels_last", "dilation_rate": 1, "dtype": "float32", "groups": 1, "trainable": True,
}  # fmt: skip
_INPUT = "InputLayer"
#: What Keras 3 calls arguments of its predecessors, by class.
_RENAMED: Mapping[tuple[str, str], str] = {("LeakyReLU", "alpha"): "negative_slope"}


def rows(first: Model, second: Model) -> Iterator[frames.DiffRow]:
    """Yield a row for each layer that only one model has, that has other arguments, or takes something else."""
    tables: list[Mapping[str, LayerRow]] = [
        {row.name: row for row in each.part(Part.KERAS)} for each in (first, second)
    ]
    for name in dict.fromkeys((*tables[0], *tables[1])):
        mine, theirs = (each.get(name) for each in tables)
        if mine is None or theirs is None:
            yield from _only(mine, theirs)
            continue
        if mine.class_ != theirs.class_:
            yield frames.DiffRow("layer", name, mine.class_, theirs.class_, None, None)
        a, b = (_reworded(mine.class_, each.layer_settings(name)) for each in (first, second))
        yield from _arguments(name, a, b)
    yield from _wiring(first, second, tables[0].keys() & tables[1].keys())


def _only(mine: LayerRow | None, theirs: LayerRow | None) -> Iterator[frames.DiffRow]:
    row = mine or theirs
    # A Sequential has an InputLayer in Keras 3; what goes in, the signatures tell.
    if row is not None and row.class_ != _INPUT:
        a, b = (each.class_ if each is not None else "" for each in (mine, theirs))
        yield frames.DiffRow("layer", row.name, a, b, None, None)


def _reworded(kind: str, settings: Mapping[str, object]) -> Mapping[str, object]:
    return {_RENAMED.get((kind, key), key): value for key, value in settings.items()}


def _arguments(name: str, mine: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[frames.DiffRow]:
    for key in dict.fromkeys((*mine, *theirs)):
        if key in _SILENT or key.endswith(_INITIALIZERS):
            continue
        if (key not in mine or key not in theirs) and _is_neutral(key, mine.get(key, theirs.get(key))):
            continue
        a, b = (setting(each[key]) if key in each else "" for each in (mine, theirs))
        if a != b:
            a, b = _short(a, b, mine.get(key), theirs.get(key))
            yield frames.DiffRow("layer", f"{name}, {key}", a[:_LONGEST], b[:_LONGEST], None, None)


def _short(a: str, b: str, mine: object, theirs: object) -> tuple[str, str]:
    """Return two texts that can be told apart where they are cut: of long lists, how many values are others."""
    if a[:_LONGEST] != b[:_LONGEST] or not isinstance(mine, list) or not isinstance(theirs, list):
        return a, b
    others = sum(one != other for one, other in zip(mine, theirs, strict=False)) + abs(len(mine) - len(theirs))
    return f"{len(mine):,} values", f"{len(theirs):,} values, {others:,} {'differs' if others == 1 else 'differ'}"


def _is_neutral(key: str, value: object) -> bool:
    own = set(map(str, value)) if isinstance(value, list | tuple) else {setting(value)}
    return value in _NEUTRAL or own == {str(_NEUTRAL_BY_KEY.get(key, ""))}


def _wiring(first: Model, second: Model, shared: set[str]) -> Iterator[frames.DiffRow]:
    """Yield a row for each layer and each end that takes something else; where a layer is new or gone, that says it."""
    mine, theirs = first.layer_wiring, second.layer_wiring
    if mine is None or theirs is None:
        return
    sides = (
        *((f"{name}, inputs", mine.calls.get(name), theirs.calls.get(name)) for name in mine.calls),
        *((where, mine.ends.get(where), theirs.ends.get(where)) for where in mine.ends),
    )
    for where, a, b in sides:
        if a is not None and b is not None and a != b and shared.issuperset(_layers((*a, *b))):
            yield frames.DiffRow("layer", where, _text(a), _text(b), None, None)


def _layers(consumed: Sequence[Consumed]) -> set[str]:
    return {each.layer for each in consumed if each.layer}


def _text(consumed: Sequence[Consumed]) -> str:
    return ", ".join(each.text for each in consumed)[:_LONGEST]


def setting(value: object) -> str:
    """Return the text of a layer's argument, the same for a live layer's and for what Keras writes of it."""
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("class_name") == "DTypePolicy" and isinstance(config, dict):
            return str(config.get("name"))
        pairs = {key: setting(each) for key, each in sorted(value.items()) if key not in _BOOKKEEPING}
        return str(pairs)
    if isinstance(value, list | tuple):
        # An axis is a list of its own in Keras 2.
        return setting(value[0]) if len(value) == 1 else f"[{', '.join(map(setting, value))}]"
    return value if isinstance(value, str) else str(getattr(value, "name", value))
