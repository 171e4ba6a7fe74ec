"""What the display of a model says: the list of sections that text and HTML share.

A section that cannot be made says why in its place: a display never raises. Not for: layout
(:mod:`tfmagic.display.render`).
"""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING

from tfmagic import errors, frames
from tfmagic.display import card as model_card
from tfmagic.display import card_ends, card_figures, render
from tfmagic.display.render import MAX_ROWS, RowsAt, Section, size_text
from tfmagic.files import wire
from tfmagic.findings import scan
from tfmagic.frames import is_known
from tfmagic.graphs import resources, saved_callables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pandas as pd

    from tfmagic.display.graph.shades import Colour
    from tfmagic.display.graph.svg import Picture
    from tfmagic.display.shown_model import ShownModel

_SCAN = "scan"
#: A display scans graphs up to this size.
_SCANNED_NODES = 200_000
#: A path that a magic's line takes without quotes.
_PLAIN = re.compile(r"[\w./+@~-]+", re.ASCII)


def heading(model: ShownModel) -> str:
    """Name the form and where the model came from."""
    return f"{model.form}: {model.origin}"


def sections(model: ShownModel, *, scanned: bool = True) -> list[Section]:
    """Return the sections of a model's display.

    Parameters
    ----------
    model : ShownModel
        The model.
    scanned : bool
        Whether the verdict of its scan is among the facts; else nothing waits for it.
    """
    sections = [section for make in _SECTIONS for section in _attempt(make, model)]
    facts = (fact for fact in _facts(model, without=() if scanned else (_SCAN,)))
    return [Section("Summary", tuple(facts)), *sections]


def scan_line(model: ShownModel) -> str:
    """Return the verdict of a scan, as the summary has it; empty where nobody asks for one, or it cannot be had."""
    try:
        return _verdict(model)
    except Exception:  # noqa: BLE001 - a display must not raise; the summary says why
        return ""


def picture_of(model: ShownModel) -> Picture | None:
    """Return the layers, or the graph, folded to what a person can take in; None if none is at hand."""
    # Imported with the first picture, as what lays graphs out is.
    from tfmagic.display.graph import svg  # noqa: PLC0415

    drawn: Picture | None = model.once("picture", lambda: svg.picture(model))
    return drawn


class Coloured:
    """A model as it is shown where no kernel lives, its picture coloured by data.

    Parameters
    ----------
    model : ShownModel
        The model.
    colour : Colour
        What its boxes are coloured by.
    below : Displayed, optional
        What else is shown, below it.
    """

    def __init__(self, model: ShownModel, colour: Colour, below: render.Displayed | None = None) -> None:
        self._model = model
        self._colour = colour
        self._below = below

    def __repr__(self) -> str:
        """Show the model as text."""
        return "\n\n".join(map(repr, filter(None, [self._model, self._below])))

    def _repr_html_(self) -> str:
        """Show the model as static HTML."""
        model = self._model
        words = model_card.markup(model, scan_line(model), self._colour)
        page = render.wanted_markup(heading(model), sections(model), words)
        return page if self._below is None else page + self._below._repr_html_()


class Displayed:
    """What is shown of a model where a notebook, a terminal or a page asks: the one hook, which a Model inherits."""

    def shown_sections(self: ShownModel) -> tuple[str, list[Section]]:
        """Return the heading, and the sections below it."""
        return heading(self), sections(self)

    def __repr__(self: ShownModel) -> str:
        """Show the model as text."""
        return render.text(heading(self), sections(self), model_card.lines(self, scan_line(self)))

    def _repr_html_(self: ShownModel) -> str:
        """Show the model as static HTML, which survives nbconvert and GitHub."""
        return render.wanted_markup(heading(self), sections(self), model_card.markup(self, scan_line(self)))

    def _repr_mimebundle_(self, **_options: object) -> dict[str, object]:
        """Show the model as the front end and the user's choice want it."""
        return render.bundle(self)

    @property
    def picture(self: ShownModel) -> Picture | None:
        """The layers, or the graph, folded to what a person can take in: a static drawing; None if none is at hand."""
        return picture_of(self)


def _attempt(make: Callable[[ShownModel], Iterator[Section]], model: ShownModel) -> list[Section]:
    """Make a section, or one that says why it is not there."""
    try:
        return list(make(model))
    except Exception as error:  # noqa: BLE001 - a display must not raise, whatever a model does
        return [Section(_TITLES[make], (("not shown", _one_line(error)),))]


def _one_line(error: BaseException) -> str:
    kind = "truncated or damaged" if isinstance(error, wire.WireError) else type(error).__name__
    return f"{kind}: {error}".splitlines()[0]


def _facts(model: ShownModel, without: Collection[str] = ()) -> Iterator[tuple[str, object]]:
    """Yield the facts of the first section."""
    for name, fact in _FACTS.items():
        if name in without:
            continue
        if name in _GRAPH_FACTS and not model.is_at_hand("graph"):
            continue
        try:
            value = fact(model)
        except errors.MissingPartError:
            continue
        except Exception as error:  # noqa: BLE001 - as in _attempt
            value = f"not known ({_one_line(error)})"
        if value:
            yield name, value
    for note in model.notes:
        yield "note", note


def _version(model: ShownModel) -> str:
    return model.meta_graph.tensorflow_version


def _tags(model: ShownModel) -> str:
    tag_sets = [each.tags for each in model.meta_graphs]
    if tag_sets == [()]:
        return ""
    return "; ".join(", ".join(tags) or "(none)" for tags in tag_sets)


def _ops_fact(model: ShownModel) -> str:
    graph = model.meta_graph.graph
    inner = len(graph.function_nodes.owner)
    count = len(graph.functions[0])
    functions = f" ({inner:,} of them in {count:,} function{'' if count == 1 else 's'})" if count else ""
    return f"{len(graph.nodes[0]) + inner:,}{functions}"


def _graph_bytes(model: ShownModel) -> str:
    return size_text(sum(end - start for start, end in model.meta_graph.graph.pieces))


def _constants(model: ShownModel) -> str:
    return size_text(int(model.table("ops", all=True)["bytes"].sum()))


def _variables_fact(model: ShownModel) -> str:
    rows = model.shown_variables()
    stored = [row.bytes for row in rows if is_known(row.bytes)]
    size = f", {size_text(sum(stored))}" if stored else ""
    return f"{len(rows):,}{size}"


def _costs(model: ShownModel) -> str:
    cost = card_figures.cost_of(model)
    return str(cost) if cost is not None and cost.flops else ""


def _frozen(model: ShownModel) -> str:
    """Say of a graph alone whether it holds all that it needs."""
    if model.has_own_ops:
        return ""
    if "variables" in model.parts and not model.variables_are_constants:
        return ""
    ops = model.table("ops", all=True)["op"]
    count = int(ops.isin(resources.VARIABLES).sum())
    if not count:
        return "yes: it has no variables"
    return f"no: the values of {render.counted(count, 'variable')} are not in it"


def _hidden(model: ShownModel) -> str:
    """Word what the tables leave out."""
    counts = {name: model.hidden_count(name) for name in _HIDDEN_KINDS if _has(model, name)}
    parts = [f"{count:,} {_HIDDEN_KINDS[name][count > 1]}" for name, count in counts.items() if count]
    listed = " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))
    return f"{listed}; all=True (--all) shows them" if parts else ""


def _has(model: ShownModel, table: str) -> bool:
    """Say whether a table can be had without following every edge of a huge graph."""
    if table == "variables":
        return model.is_at_hand("variables")
    if table == "signatures":
        return model.is_at_hand("signatures") and not model.has_no_signature
    return model.is_at_hand("graph") and len(model.meta_graph.graph.nodes[0]) <= card_ends.FOLLOWED_NODES


def _verdict(model: ShownModel) -> str:
    """Say what a file could do to who uses it; what is alive is the user's own."""
    if model.path is None:
        return ""
    nodes = _nodes(model)
    if nodes > _SCANNED_NODES:
        place = model.origin if _PLAIN.fullmatch(model.origin) else repr(model.origin)
        return f"not scanned ({nodes:,} nodes): %tf_scan {place}"
    return scan.verdict(model.findings)


def _nodes(model: ShownModel) -> int:
    """Return how many nodes the graphs have that are at hand."""
    graphs = [each.graph for each in model.meta_graphs] if model.is_at_hand("graph") else []
    return sum(len(graph.nodes[0]) + len(graph.function_nodes.owner) for graph in graphs)


_HIDDEN_KINDS = {
    "signatures": ("row of TensorFlow's own signatures", "rows of TensorFlow's own signatures"),
    "ops": ("op that only saves or restores", "ops that only save or restore"),
    "variables": ("copy of a variable", "copies of variables"),
}
#: The tabs of the panel that show what a fact counts.
FACT_TABS = {"ops": "Ops", "variables": "Variables", "graph": "Graph", "tags": "Signatures"}
_OP_ROWS, _VARIABLE_ROWS = RowsAt("Ops", "op", "op"), RowsAt("Variables", "name", "name")
_FACTS = {
    "TensorFlow": _version,
    "tags": _tags,
    "ops": _ops_fact,
    "graph": _graph_bytes,
    "constants": _constants,
    "frozen": _frozen,
    "variables": _variables_fact,
    "costs": _costs,
    "hidden": _hidden,
    _SCAN: _verdict,
}
_GRAPH_FACTS = frozenset({"TensorFlow", "tags", "ops", "graph", "constants", "frozen"})


def _signature_sections(model: ShownModel) -> Iterator[Section]:
    if "signatures" in model.parts and not model.is_at_hand("signatures"):
        return
    if not model.has_no_signature:
        if "signatures" in model.parts:
            ends = model.end_rows()
            # The card speaks of one of them.
            has_more = any(row.signature != ends[0].signature for row in ends)
            yield Section("Signatures", table=_first("signatures", ends), total=len(ends), is_open=has_more)
            yield from _callable_section(model)
    elif _has(model, "ops") and len(model.proposals):
        yield Section("Proposed inputs and outputs (there is no signature)", table=model.proposals)
        if model.ends.unused:
            yield Section("Placeholders that nothing uses", (("names", model.ends.unused),))


def _callable_section(model: ShownModel) -> Iterator[Section]:
    """Show what a saved object can be called by, if nobody signed it."""
    if model.end_rows() or not model.is_at_hand("graph"):
        return
    known = [pair for each in model.meta_graphs for pair in saved_callables.callables(each.object_graph_def)]
    if known:
        yield Section("Functions of the saved object (nobody signed it)", tuple(known[:MAX_ROWS]))


def _layer_section(model: ShownModel) -> Iterator[Section]:
    if model.is_at_hand("keras"):
        rows = model.layer_rows()
        yield Section("Layers", table=_first("layers", rows), total=len(rows))


def _op_section(model: ShownModel) -> Iterator[Section]:
    if model.is_at_hand("graph"):
        counts = model.table("ops", all=not _has(model, "ops"))["op"].value_counts()
        counts = counts[counts > 0]
        yield Section("Op counts", table=counts.head(MAX_ROWS).reset_index(), total=len(counts), rows_at=_OP_ROWS)


def _variable_section(model: ShownModel) -> Iterator[Section]:
    rows = model.shown_variables() if "variables" in model.parts else ()
    if rows:
        # Of two as big the first comes first.
        biggest = heapq.nlargest(MAX_ROWS, rows, key=lambda row: row.bytes if is_known(row.bytes) else -1)
        yield Section("Biggest variables", table=_first("variables", biggest), total=len(rows), rows_at=_VARIABLE_ROWS)


def _first(table: str, rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Return as much of a table as is shown: a DataFrame of all rows would take longer than all else."""
    return frames.from_rows(table, rows[:MAX_ROWS])


_TITLES: Mapping[Callable[[ShownModel], Iterator[Section]], str] = {
    _signature_sections: "Signatures",
    _layer_section: "Layers",
    _op_section: "Op counts",
    _variable_section: "Biggest variables",
}
_SECTIONS = tuple(_TITLES)
