"""Where the weights of a model are: its heaviest layers or scopes, as bars on its card.

Not for: the tables of layers and variables, which have all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.display.elements import Element, element
from tfmagic.display.graph import op_colours
from tfmagic.display.render import counted, cut, size_text
from tfmagic.files.checkpoints import optimizer_state
from tfmagic.frames import is_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.frames import VariableRow

#: Layers that are shown; what is left out is counted.
_HEAVIEST = 5
#: Letters of the name of what holds weights.
_LONGEST_NAME = 40


class Heavy(NamedTuple):
    """A layer, or what holds variables, with what they take."""

    name: str
    kind: str
    parameters: int
    bytes: int


def variables(model: ShownModel) -> tuple[list[VariableRow], list[VariableRow]]:
    """Return the variables that are the model's, and those that only an optimizer goes on with."""
    rows = model.shown_variables()
    kept = optimizer_state.names({row.name: row for row in rows})
    # An optimizer that is stored alone is what there is.
    kept = kept if len(kept) < len(rows) else set()
    return [row for row in rows if row.name not in kept], [row for row in rows if row.name in kept]


def heaviest(model: ShownModel) -> list[Heavy]:
    """Return what holds weights, the heaviest first: layers, else the scopes that the variables stand in."""
    owners = _layers(model) if model.is_at_hand("keras") else []
    if not any(each.parameters for each in owners) and "variables" in model.parts:
        owners = _scopes(variables(model)[0])
    return sorted((each for each in owners if each.parameters), key=lambda each: -each.parameters)


def _layers(model: ShownModel) -> list[Heavy]:
    rows = model.layer_rows()
    names = {row.name for row in rows}
    models = {row.name.rpartition("/")[0] for row in rows if "/" in row.name} & names
    weighing = (row for row in rows if row.parameters and row.name not in models)
    return [Heavy(row.name, row.class_, _known(row.parameters), _known(row.bytes)) for row in weighing]


def _known(number: int | None) -> int:
    """Take what is not known for nothing."""
    return number if is_known(number) else 0


def _scopes(rows: Iterable[VariableRow]) -> list[Heavy]:
    sizes: dict[str, int] = {}
    stored: dict[str, int] = {}
    for row in rows:
        scope = row.name.rpartition("/")[0] or row.name
        sizes[scope] = sizes.get(scope, 0) + _known(row.size)
        stored[scope] = stored.get(scope, 0) + _known(row.bytes)
    return [Heavy(name, "", size, stored[name]) for name, size in sizes.items() if size]


def weights(model: ShownModel) -> Iterator[Element]:
    """Yield the table of the heaviest layers or scopes."""
    owners: list[Heavy] = model.once("heaviest", lambda: heaviest(model))
    if not owners:
        return
    shown, rest = owners[:_HEAVIEST], owners[_HEAVIEST:]
    total = sum(each.parameters for each in owners)
    tab = "Layers" if model.is_at_hand("keras") else "Variables"
    is_told = any(each.kind for each in shown)
    head = ["", *([""] if is_told else []), "", "parameters", "bytes", "share"]
    around = 0 if is_told else _scope_around([each.name for each in owners])
    bars = _Bars(shown[0].parameters, total, around, is_told)
    rows = [_bar_row(each, bars, tab) for each in shown]
    if rest:
        noun = "layer" if is_told else "scope"
        left = Heavy(
            counted(len(rest), f"other {noun}"),
            "",
            sum(each.parameters for each in rest),
            sum(each.bytes for each in rest),
        )
        rows.append(_bar_row(left, bars._replace(around=0), ""))
    yield element("h4", "Where the weights are")
    titles = element("tr", *(element("th", text, scope="col") for text in head))
    yield element("table", element("thead", titles), element("tbody", *rows), class_="tfm-heaviest")


def _scope_around(names: list[str]) -> int:
    """Return how many letters of all names are one scope that all of them stand in: it tells none from another."""
    if len(names) == 1:
        return 0
    first, last = min(names), max(names)
    alike = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first.rfind("/", 0, alike) + 1


class _Bars(NamedTuple):
    """What rows share: the largest number, their sum, letters that no name is shown with, whether classes are told."""

    largest: int
    total: int
    around: int
    is_told: bool


def _bar_row(owner: Heavy, bars: _Bars, tab: str) -> Element:
    shown = cut(owner.name[bars.around :], _LONGEST_NAME)
    name: Element | str = shown
    if tab:
        leads_to = {"tab": tab, "what": {"name": owner.name}}
        whole = {} if shown == owner.name else {"title": owner.name}
        name = element("button", shown, leads_to=leads_to, class_="tfm-link", **whole)
    share = 100 * owner.parameters / bars.total
    width = min(100 * owner.parameters / bars.largest, 100)
    bar = element("span", element("i", style=f"width:{width:.1f}%"), class_="tfm-bar", aria_hidden="true")
    kind = [element("td", owner.kind, class_="tfm-quiet")] if bars.is_told else []
    row = element(
        "tr",
        element("td", name),
        *kind,
        element("td", bar, class_="tfm-bars"),
        element("td", f"{owner.parameters:,}", class_="tfm-number"),
        element("td", size_text(owner.bytes), class_="tfm-number"),
        element("td", f"{share:.0f} %" if share >= 1 else "<1 %", class_="tfm-number"),
    )
    return row._replace(attributes={"data-kind": op_colours.kind_of(owner.kind)}) if owner.kind else row
