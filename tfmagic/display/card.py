"""The first screen of a model: what it is, what it is good for, what goes in and comes out, where its weights are.

One tree of elements, of which the static form is written and the live one drawn; where something leads in the panel is
said here too. Nothing is traced for it. Not for: the picture beside it (:mod:`tfmagic.display.graph.folded_svg`), nor
how it looks (``card.css``).
"""

from __future__ import annotations

import html
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tfmagic.display import elements
from tfmagic.display.card_ends import ends
from tfmagic.display.card_figures import figures
from tfmagic.display.card_weights import weights
from tfmagic.display.elements import Element, element, texts
from tfmagic.display.render import cell_text, counted
from tfmagic.escaping import visible
from tfmagic.graphs.resources import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tfmagic.display.graph.shades import Colour
    from tfmagic.display.graph.svg import Picture
    from tfmagic.display.shown_model import ShownModel

Make: TypeAlias = "Callable[[ShownModel], Iterator[Element]]"

#: Cautions that are shown; what is left out is counted.
_MOST_CAUTIONS = 4
#: The picture is drawn of graphs, and of Keras models, up to these sizes: the card waits two seconds for it at most.
_PICTURED_NODES, _PICTURED_LAYERS = 100_000, 20_000


class Heading(NamedTuple):
    """What stands above all else.

    Attributes
    ----------
    name : str
        The model's own, or its file's.
    detail : str
        What it is, and where it came from.
    """

    name: str
    detail: str


def heading(model: ShownModel) -> Heading:
    """Name a model and say where it came from."""
    title = model.title
    if model.path is not None:
        parts = [part for part in model.path.parts if not part.isdigit()]
        name = parts[-1] if parts else str(model.path)
        return Heading(name, title if model.origin == name else f"{title}, {model.origin}")
    own = re.search(r"'(.+)'", model.origin)
    return Heading(own[1], f"{title}, live") if own else Heading(re.sub(r"^an? ", "", model.origin), title)


def card(model: ShownModel, scan: str = "") -> Element:
    """Return what is said of a model, as elements; what cannot be read is left to the sections below it.

    Parameters
    ----------
    model : ShownModel
        The model.
    scan : str
        The verdict of its scan, in a line; empty where there is none.
    """
    parts = [part for make in _PARTS for part in _attempt(make, model)]
    if scan:
        parts.append(element("p", element("strong", "Scan"), ": ", scan, class_="tfm-small"))
    return element("div", *parts, class_="tfm-card-words")


def lines(model: ShownModel, scan: str = "") -> list[str]:
    """Return the card as text, a line for each thing that is said."""
    rows = [row for part in card(model, scan).children for row in _rows(part)]
    return [" ".join("".join(texts(row)).split()) if row.tag != "tr" else _columns(row) for row in rows]


def markup(model: ShownModel, scan: str = "", colour: Colour | None = None) -> str:
    """Return the card as static HTML, with its style sheet and the picture, coloured by data, as an ``<img>``."""
    name, detail = heading(model).name, f"{model.form}: {model.origin}"
    title = element("p", element("strong", name), " ", element("span", detail, class_="tfm-quiet"), class_="tfm-title")
    drawing = picture(model, colour)
    figure = ""
    if drawing is not None:
        address = html.escape(drawing.address, quote=False).replace('"', "&quot;")
        words = html.escape(drawing.words, quote=True)
        image = f'<img src="{address}" alt="{words}" width="{drawing.width:d}">'
        caption = elements.markup(element("p", element("strong", PICTURED)))
        figure = f"<figure>{caption}{image}{elements.markup(note(drawing, colour))}</figure>"
    said = elements.markup(card(model, scan))
    rows = f'<div class="tfm-card-row">{said}{figure}</div>'
    return f'<style>{style()}</style><div class="tfm-card">{elements.markup(title)}{rows}</div>'


#: What stands above and below the picture.
PICTURED = "The graph, folded"
FILLED = "A box is filled as far as its share of the parameters."


def note(drawing: Picture | None, colour: Colour | None) -> Element:
    """Say what the fill of a box means, and what has no place in the picture."""
    more = visible(drawing.note) if drawing is not None and drawing.note else ""
    by = FILLED if colour is None else f"A box is coloured by {cell_text(colour.title)}."
    return element("p", " ".join(filter(None, [by, more])), class_="tfm-small")


def picture(model: ShownModel, colour: Colour | None = None) -> Picture | None:
    """Return the folded graph, None where it is not at hand, too large to follow, or damaged."""
    from tfmagic.display.graph import folded_svg  # noqa: PLC0415 - with the first picture, as what lays graphs out

    try:
        if model.is_at_hand("keras"):
            count, most = len(model.layer_rows()), _PICTURED_LAYERS
        else:
            count, most = len(model.table("ops", all=True)) if model.is_at_hand("graph") else 1, _PICTURED_NODES
        if not 0 < count <= most:
            return None
        if colour is not None:
            return folded_svg.picture(model, colour)
        drawn: Picture | None = model.once("folded picture", lambda: folded_svg.picture(model))
    except Exception:  # noqa: BLE001 - a display must not raise; the sections say what cannot be read
        return None
    return drawn


@cache
def style() -> str:
    """Return the style sheet of a static card, without its comments and what spaces say nothing."""
    folder = resources.files("tfmagic.display")
    sheet = "".join(folder.joinpath(name).read_text("utf-8") for name in ("tokens.css", "card.css"))
    bare = re.sub(r"\s*([{};,])\s*", r"\1", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)).strip()
    # Of what the tokens hold for all parts, a page has this one.
    return re.sub(r":is\((?:\.tfm-\w+,)*\.tfm-card(?:,\.tfm-\w+)*\)", ".tfm-card", bare)


def _columns(row: Element) -> str:
    """Write a row of a table as text."""
    cells = [" ".join("".join(texts(cell)).split()) for cell in row.children]
    return "  ".join(filter(None, cells))


def _rows(part: Element | str) -> Iterator[Element]:
    """Yield what stands on a line of its own."""
    if isinstance(part, str) or "aria-hidden" in part.attributes:
        return
    if part.attributes.get("class") in _ONE_LINE or part.tag in ("p", "h4", "tr"):
        yield part
        return
    for child in part.children:
        yield from _rows(child)


_ONE_LINE = ("tfm-end", "tfm-figure")


def _attempt(make: Make, model: ShownModel) -> list[Element]:
    try:
        return list(make(model))
    except Exception:  # noqa: BLE001 - a display must not raise; the sections say what cannot be read
        return []


# What it is good for


def _verdict(model: ShownModel) -> Iterator[Element]:
    yield element("p", verdict(model), class_="tfm-verdict")


def verdict(model: ShownModel) -> str:
    """Say in one sentence what can be done with a model."""
    parts = set(model.parts)
    if not parts:
        return "Nothing of it can be read."
    if parts == {"variables"}:
        return "Weights only: to run or convert them, name the model that they belong to."
    if not parts & {"function", "graph"}:
        return "Layers and weights without a graph: they can be looked at; the note says how to run and convert them."
    if "function" not in parts:
        return "A graph alone: it can be drawn and signed; to run it, give what holds the values of its variables."
    return _verdict_of_what_runs(model, parts)


def _verdict_of_what_runs(model: ShownModel, parts: set[str]) -> str:
    if "graph" not in parts or model.has_own_ops:
        return "It can be run and compared; what it computes is compiled, and converts no further."
    if not model.is_at_hand("graph") or not model.has_no_signature:
        if model.is_at_hand("signatures") and "signatures" in parts and not model.end_rows():
            return "Graph and weights are here, and no signature: to run or convert it, name inputs and outputs."
        return "Graph, weights and a signature are here: it can be run and converted."
    missing = _missing_values(model)
    if missing:
        return (
            f"A graph without the values of its {counted(missing, 'variable')}: it can be drawn; to run it, "
            "give the session or the checkpoint that has them."
        )
    return "Graph and weights are here: it can be run and converted; no signature says where it begins and ends."


def _missing_values(model: ShownModel) -> int:
    """Count the variables of a graph whose values are not in it."""
    if "variables" in model.parts and not model.variables_are_constants:
        return 0
    return int(model.table("ops", all=True)["op"].isin(VARIABLES).sum())


# What to know


def _cautions(model: ShownModel) -> Iterator[Element]:
    known = model.cautions
    for caution in known[:_MOST_CAUTIONS]:
        # One type is what the table can be filtered by; of several, the first shows the way.
        leads = [{"tab": "Ops", "what": {"op": op}} for op in caution.ops[:1]]
        shown = (element("button", "Show in Ops", leads_to=each, class_="tfm-link") for each in leads)
        links = (each._replace(is_live=True) for each in shown)
        (_, said), (_, advice) = caution.facts()
        yield element("p", f"{said[:1].upper()}{said[1:]}; ", f"{advice}. ", *links, class_="tfm-says")
    left = len(known) - _MOST_CAUTIONS
    if left > 0:
        yield element("p", f"And {counted(left, 'more caution')}.", class_="tfm-small")


_PARTS: Sequence[Make] = (_verdict, ends, figures, weights, _cautions)
