"""What the parts of a MetaGraphDef take, and whether a copy has them.

Not for: what is needed (:mod:`tfmagic.transforms.slim_graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.verbs.slimming.shares import RETAINED, Share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.transforms.slim_message import Reduction

#: Constants that take less are listed together.
_SMALL = 1 << 10


def of(reduction: Reduction, named: str) -> Iterator[Share]:
    """Yield the shares of a MetaGraphDef, which take together what it takes.

    Parameters
    ----------
    reduction : Reduction
        What of it goes.
    named : str
        What stands before its parts, where there are several MetaGraphDefs.
    """
    rest = reduction.weights.total
    for share in (*_functions(reduction, named), *_constants(reduction, named), *_nodes(reduction, named)):
        rest -= share.bytes
        yield share
    if reduction.weights.debug:
        goes = reduction.is_due and "debug" not in reduction.retained
        why = "tells from which lines of Python nodes come" + ("" if goes else f"; {RETAINED}")
        rest -= reduction.weights.debug
        yield Share("debug", f"{named}debug info", reduction.weights.debug, not goes, why)
    yield Share.kept("graph", f"{named}nodes, signatures and objects", max(rest, 0), "the signatures need them")


def _functions(reduction: Reduction, named: str) -> Iterator[Share]:
    sizes = reduction.weights.functions
    kept = [name for name in sizes if name in reduction.functions]
    if kept:
        where = f"{named}{len(kept):,} functions" if len(kept) > 1 else f"{named}{kept[0]}"
        why = "signatures, loading or saving call them"
        if "functions" in reduction.retained:
            why += f", or {RETAINED}"
        yield Share.kept("functions", where, sum(sizes[name] for name in kept), why)
    for name in sizes.keys() - reduction.functions:
        yield Share.dropped("functions", f"{named}{name}", sizes[name], "no signature calls it")


def _constants(reduction: Reduction, named: str) -> Iterator[Share]:
    sizes = reduction.weights.nodes
    names = [name for name, node in reduction.use.nodes.items() if node.op == "Const"]
    unneeded = reduction.unneeded
    for name in names:
        if sizes[name] < _SMALL:
            continue
        if name in reduction.repeats:
            goes = "duplicates" not in reduction.retained
            why = f"the same values as {reduction.repeats[name]!r}" + ("" if goes else f"; {RETAINED}")
            yield Share("duplicates", f"{named}{name}", sizes[name], not goes, why)
            continue
        if name not in unneeded:
            yield Share.kept("constants", f"{named}{name}", sizes[name], "a signature needs it")
        elif _stays(reduction, name):
            yield Share.kept("constants", f"{named}{name}", sizes[name], f"no signature needs it; {_why(reduction)}")
        else:
            yield Share.dropped("constants", f"{named}{name}", sizes[name], "no signature needs it")
    small = [name for name in names if sizes[name] < _SMALL and name in unneeded]
    if small:
        stays = all(_stays(reduction, name) for name in small)
        why = "no signature needs them" + (f"; {_why(reduction)}" if stays else "")
        yield Share("constants", f"{named}{len(small):,} small ones", sum(map(sizes.__getitem__, small)), stays, why)


def _nodes(reduction: Reduction, named: str) -> Iterator[Share]:
    names = [name for name in reduction.unneeded if reduction.use.nodes[name].op != "Const"]
    for stays in (False, True):
        some = [name for name in names if _stays(reduction, name) is stays]
        if some:
            size = sum(map(reduction.weights.nodes.__getitem__, some))
            why = "no signature needs them" + (f"; {_why(reduction)}" if stays else "")
            yield Share("unreached", f"{named}{len(some):,} nodes", size, stays, why)


def _stays(reduction: Reduction, name: str) -> bool:
    return name in reduction.live or not reduction.is_due


def _why(reduction: Reduction) -> str:
    return RETAINED if reduction.is_due else "they only declare and set variables, and the message stays as it is"
