"""The verb diff: what differs between two models, of any forms, without running either. And what it gives back.

Not for: comparing what two models give (:mod:`tfmagic.verbs.verify`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfmagic import errors, frames, readers
from tfmagic.display import render
from tfmagic.graphs.signatures import tag_set
from tfmagic.verbs.differences import computations, converted_weights, kinds, layers, tables, weights
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from tfmagic.models.model import Model

#: Kinds of rows that leave two models equal.
_APART = frozenset({"renamed", weights.UNUSED})
_NOT_COMPARED, _WEIGHT = "not compared", "weight"
_TITLES = {
    "signature": "Signatures",
    "op": "Ops that only one has",
    "attribute": "Attributes",
    "layer": "Layers",
    _WEIGHT: "Weights",
    tables.TABLE: "Lookup tables",
    "renamed": "Other names for the same",
    weights.UNUSED: "Weights that only one has, and no result depends on",
    _NOT_COMPARED: "Not compared",
}


@dataclass(frozen=True, repr=False, eq=False)
class Diff(render.Sectioned):
    """What differs between two models.

    Attributes
    ----------
    table : DataFrame
        A row for each difference: what (``signature``, ``op``, ``attribute``, ``layer``, ``weight``, ``table``,
        ``renamed``, ``unused weight`` or ``not compared``), where, a, b, difference (the largest between two numbers of
        a weight), cosine.
    equal : bool
        Whether both compute the same with the same weights under the same keys, whatever their nodes are called; False
        as well where something that both have could not be compared.
    origins : tuple of str
        What was compared.
    notes : tuple of str
        What was not compared, and why.
    """

    table: pd.DataFrame
    equal: bool
    origins: tuple[str, str]
    notes: tuple[str, ...] = ()

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return the verdict, and the rows of each kind."""
        verdict = "equal" if self.equal else "not equal"
        if not self.equal and set(self.table["what"]) <= _APART | {_NOT_COMPARED}:
            verdict = "no difference seen, but not all was compared"
        pairs = [("verdict", verdict), ("a", self.origins[0]), ("b", self.origins[1])]
        sections = [render.Section("Verdict", (*pairs, *(("note", note) for note in self.notes)))]
        for what, title in _TITLES.items():
            rows = self.table[self.table["what"] == what]
            if len(rows):
                # Only the values of weights differ by a number.
                hidden = ["what"] if what == _WEIGHT else ["what", "difference", "cosine"]
                shown = rows.drop(columns=hidden).head(render.MAX_ROWS)
                sections.append(render.Section(title, table=shown.reset_index(drop=True), total=len(rows)))
        return f"diff: {self.origins[0]} and {self.origins[1]}", sections


@undisturbed
def diff(
    a: object,
    b: object,
    *,
    signature: str | None = None,
    tags: str | Collection[str] | None = None,
    trust: bool = False,
) -> Diff:
    """Say what differs between two models of any forms, without running either.

    Ops are matched by what they compute, so that a renamed scope is one row and an op that was put in between is one,
    too; weights by name, else by equal values, and compared block by block where they lie. It answers: is this
    checkpoint the one that I froze, what did fine-tuning change, what did the converter drop?

    Parameters
    ----------
    a, b : object
        Whatever :func:`tfmagic.inspect` takes.
    signature : str, optional
        The signature that is compared, by default the default or only one.
    tags : str or collection of str, optional
        The tag-set of the MetaGraphDef that is meant, in both; where one of a form without tag-sets, in the other.
    trust : bool
        Whether code in Keras files may run, where their graph must be made.

    Returns
    -------
    Diff
        ``table`` and ``equal``.

    Raises
    ------
    ReadError
        If a source is not recognised, or damaged.
    UnknownNameError
        If neither has such a signature or such tags.
    MissingPartError
        If the two have nothing in common that could be compared.
    """
    first, second = _read(a, b, tag_set(tags), trust=trust)
    rows, notes = _compared(first, second, signature)
    frame = frames.of_findings(frames.DiffRow, rows)
    return Diff(frame, not any(row.what not in _APART for row in rows), (first.origin, second.origin), notes)


def _read(a: object, b: object, tags: tuple[str, ...] | None, *, trust: bool) -> tuple[Model, Model]:
    """Read both, of those that have tag-sets the part that is meant."""
    whole = [readers.read(each, trust=trust) for each in (a, b)]
    chosen = [each for each in whole if each.reader.has_tag_sets] or whole
    first, second = (readers.read(each, tags=tags, trust=trust) if each in chosen else each for each in whole)
    return first, second


def _compared(first: Model, second: Model, signature: str | None) -> tuple[list[frames.DiffRow], tuple[str, ...]]:
    rows: list[frames.DiffRow] = []
    notes: list[str] = []
    parts = {
        part for part in ("signatures", "graph", "keras", "variables") if part in first.parts and part in second.parts
    }
    has_graphs = first.is_at_hand("graph") and second.is_at_hand("graph")
    has_layers = "keras" in parts and not has_graphs
    if not (parts & {"keras", "variables"} or has_graphs or "graph" in parts):
        raise errors.MissingPartError(
            "variables", second.form, second.parts, f"{first.form} has {errors.listed(first.parts)}"
        )
    mine, theirs = computations.ends(first, signature), computations.ends(second, signature)
    if mine and theirs:
        rows += computations.signature_rows(mine, theirs)
        notes += computations.left_out(first, second, mine, theirs) if signature is None else ()
    matching = weighed = None
    of_tables: list[frames.DiffRow] = []
    if mine and theirs and "graph" in parts and first.has_own_ops != second.has_own_ops and not has_layers:
        # Layouts are others, too: what both give for the same inputs is what verify compares.
        rows += kinds.rows(first, second, mine, theirs)
        if "variables" in parts:
            converted = converted_weights.compared(first, second)
            rows += converted.rows
            notes.append(converted.note)
        return rows, tuple(notes)
    if mine and theirs and "graph" in parts and not has_layers:
        matching = computations.matched(first, second, mine, theirs)
        # Before the ops: tables that hold the same go together whatever they are called.
        of_tables = list(tables.rows(first, second, matching, (mine.key, theirs.key)))
    if "variables" in parts:
        weighed = weights.Comparison(first, second, matching)
    if has_layers:
        rows += layers.rows(first, second)
    elif matching is not None:
        rows += [*computations.op_rows(matching), *of_tables]
    else:
        uncompared, why = _uncompared(first, second, (mine, theirs))
        rows += uncompared
        notes += why
    if weighed is not None:
        rows += weighed.rows()
    else:
        notes.append("their weights were not compared: one of the two has none")
    return rows, tuple(notes)


def _uncompared(
    first: Model, second: Model, ends: tuple[computations.Ends | None, computations.Ends | None]
) -> tuple[list[frames.DiffRow], list[str]]:
    """Return a row for graphs that nothing says where to begin in, unless they are the same, and a note."""
    missing = dict.fromkeys(each.form for each in (first, second) if "graph" not in each.parts)
    if missing:
        return [], [f"their graphs were not compared: {errors.listed(missing)} has none"]
    if first.is_at_hand("graph") and second.is_at_hand("graph") and first.meta_graph.has_equal_graph(second.meta_graph):
        return [], []
    a, b = ("no signature" if each is None else each.key for each in ends)
    row = frames.DiffRow(_NOT_COMPARED, "ops", a, b, None, None)
    return [row], ["their graphs were not compared: no signature says where they begin and end"]
