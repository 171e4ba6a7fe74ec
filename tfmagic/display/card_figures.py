"""The four numbers of a model's card: parameters, bytes, layers or ops, and what a run costs.

Not for: how numbers look (``card.css``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.display import card_weights
from tfmagic.display.elements import Element, element
from tfmagic.display.render import counted, size_text
from tfmagic.files import places
from tfmagic.frames import is_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.frames import TotalCost, VariableRow

#: Of larger graphs nobody is told at once what they cost.
_COSTED_NODES = 3_000
#: Files of a model that are added up, so deep: a SavedModel has its variables one folder down.
_DEEPEST = 2
_THOUSAND = 1000
_POWERS = ("k", "M", "G", "T")


def count_words(count: int) -> tuple[str, str]:
    """Word a count in three digits: ``("3.54", "M")``."""
    if count < _THOUSAND:
        return str(count), ""
    size: float = count
    power = 0
    while round(size, 2) >= _THOUSAND and power < len(_POWERS):
        size, power = size / _THOUSAND, power + 1
    digits = 2 if size < 10 else 1 if size < 100 else 0  # noqa: PLR2004 - three digits in all
    return f"{size:.{digits}f}", _POWERS[power - 1]


def figures(model: ShownModel) -> Iterator[Element]:
    """Yield the numbers that are known, in a row."""
    shown = list(_numbers(model))
    if shown:
        yield element("div", *shown, class_="tfm-figures")


def _numbers(model: ShownModel) -> Iterator[Element]:
    if "variables" in model.parts:
        variables, kept = card_weights.variables(model)
        stored = [row.bytes for row in variables if is_known(row.bytes)]
        total = _elements(variables)
        noun = "parameter" if total == 1 else "parameters"
        yield _figure(*count_words(total), f"{noun}{_trainable(variables, total)}", f"{total:,}")
        dtypes = [dtype for dtype in dict.fromkeys(row.dtype for row in variables) if dtype]
        named = f", {dtypes[0]}" if len(dtypes) == 1 else ""
        yield _size_figure(sum(stored), f"weights loaded{named}")
        if kept:
            state = _elements(kept)
            yield _figure(*count_words(state), "in the optimizer's state", f"{state:,}")
    size = _on_disk(model)
    if size:
        yield _size_figure(size, "on disk")
    if model.is_at_hand("keras") and model.layer_rows():
        yield _counted(len(model.layer_rows()), "layer")
    elif model.is_at_hand("graph"):
        graph = model.meta_graph.graph
        inner = len(graph.function_nodes.owner)
        count = len(graph.nodes[0]) + inner
        functions = f" in {counted(len(graph.functions[0]), 'function')} and the main graph"
        yield _counted(count, "op", functions if inner else "")
    cost = cost_of(model)
    if cost is not None and cost.flops:
        least = "" if cost.is_whole else " at least"
        yield _figure(*count_words(cost.flops), f"FLOPs{least}", str(cost))


def cost_of(model: ShownModel) -> TotalCost | None:
    """Return what a model costs, None where nobody waits for that: a large graph takes seconds."""
    if model.is_at_hand("keras"):
        return model.total_cost
    if not model.is_at_hand("graph"):
        return None
    graph = model.meta_graph.graph
    is_small = len(graph.nodes[0]) + len(graph.function_nodes.owner) <= _COSTED_NODES
    return model.total_cost if is_small else None


def _elements(variables: Iterable[VariableRow]) -> int:
    return sum(row.size for row in variables if is_known(row.size))


def _trainable(variables: Sequence[VariableRow], total: int) -> str:
    if all(row.trainable is None for row in variables):
        return ""
    fixed = _elements(row for row in variables if row.trainable is False)
    if not fixed:
        return ", all trainable"
    return ", none trainable" if fixed == total else f", {' '.join(filter(None, count_words(fixed)))} not trainable"


def _counted(count: int, noun: str, more: str = "") -> Element:
    number, _, words = counted(count, noun).partition(" ")
    return _figure(number, "", words + more, "")


def _size_figure(size: int, words: str) -> Element:
    number, _, unit = size_text(size).partition(" ")
    return _figure(number, unit, words, f"{size:,} bytes")


def _figure(number: str, unit: str, words: str, exact: str) -> Element:
    shown = element("strong", number, *([element("span", f" {unit}", class_="tfm-unit")] if unit else []))
    figure = element("div", shown, " ", element("span", words, class_="tfm-quiet"), class_="tfm-figure")
    return figure._replace(attributes={**figure.attributes, "title": exact}) if exact else figure


def _on_disk(model: ShownModel) -> int:
    """Add up the files of a model; 0 where that is not known."""
    if model.path is None:
        return 0
    # At an address only those are marked that were looked at.
    if model.marks and places.is_here(model.path):
        return sum(size for _, size, _ in model.marks.values())
    return _found_on_disk(model.path)


def _found_on_disk(path: Path, depth: int = _DEEPEST) -> int:
    try:
        if places.is_file(path):
            return places.size(path)
        if places.is_directory(path):
            return sum(_found_on_disk(path / name, depth - 1) for name in places.names(path)) if depth else 0
        # A prefix, of a checkpoint.
        own = [name for name in places.names(path.parent) if name.startswith(f"{path.name}.")]
        return sum(places.size(path.parent / name) for name in own)
    except OSError:
        return 0
