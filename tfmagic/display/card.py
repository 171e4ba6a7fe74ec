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
from tfmagic.display.elements import Element, element, texts
from tfmagic.display.graph import op_colours
from tfmagic.display.render import cell_text, size_text
from tfmagic.files import places
from tfmagic.frames import visible
from tfmagic.graphs.resources import VARIABLES
from tfmagic.graphs.signatures import DEFAULT_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.display.graph.shades import Colour
    from tfmagic.display.graph.svg import Picture
    from tfmagic.display.shown_model import ShownModel
    from tfmagic.frames import Shape

Make: TypeAlias = "Callable[[ShownModel], Iterator[Element]]"

_TIMES = "\N{MULTIPLICATION SIGN}"
#: Ends, layers and cautions that are shown; what is left out is counted.
_MOST_ENDS, _HEAVIEST, _MOST_CAUTIONS = 4, 5, 4
#: Of larger graphs nobody is told at once what they cost.
_COSTED_NODES = 3_000
#: Letters of the name of what holds weights.
_LONGEST_NAME = 27
#: Files of a model that are added up, so deep: a SavedModel has its variables one folder down.
_DEEPEST = 2
#: Ends are proposed, and the ops that only save are told apart, for graphs up to this size: both follow every edge.
FOLLOWED_NODES = 300_000
#: The picture is drawn of graphs, and of Keras models, up to these sizes: the card waits two seconds for it at most.
_PICTURED_NODES, _PICTURED_LAYERS = 100_000, 20_000
_THOUSAND = 1000
_POWERS = ("k", "M", "G", "T")


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
        return Heading(parts[-1] if parts else str(model.path), f"{title}, {model.origin}")
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
            count, most = len(model.layers), _PICTURED_LAYERS
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
        return "Graph, weights and a signature are here: it can be run and converted."
    missing = _missing_values(model)
    if missing:
        return (
            f"A graph without the values of its {missing:,} {_s('variable', missing)}: it can be drawn; to run it, "
            "give the session or the checkpoint that has them."
        )
    return "Graph and weights are here: it can be run and converted; no signature says where it begins and ends."


def _missing_values(model: ShownModel) -> int:
    """Count the variables of a graph whose values are not in it."""
    if "variables" in model.parts and not model.variables_are_constants:
        return 0
    return int(model.table("ops", all=True)["op"].isin(VARIABLES).sum())


# What goes in and what comes out


def shape_words(shape: Shape, dtype: str) -> tuple[str, str]:
    """Word a shape as a person writes it: ``224 x 224 x 3``, and ``float32, batch open``."""
    if shape is None:
        return "any shape", dtype
    is_batched = len(shape) > 0 and shape[0] is None
    sizes = shape[1:] if is_batched else shape
    written = _TIMES.join("?" if size is None else str(size) for size in sizes)
    return written or (
        "one number" if dtype != "string" else "one text"
    ), f"{dtype}, batch open" if is_batched else dtype


def _ends(model: ShownModel) -> Iterator[Element]:
    if not model.is_at_hand("signatures") and not model.is_at_hand("graph"):
        return
    if model.has_no_signature and len(model.meta_graph.graph.nodes[0]) > FOLLOWED_NODES:
        return
    frame = model.signatures
    if not len(frame):
        return
    keys = list(dict.fromkeys(frame["signature"]))
    key = DEFAULT_KEY if DEFAULT_KEY in keys else keys[0]
    tags = frame[frame["signature"] == key]["tags"].iloc[0]
    rows = frame[(frame["signature"] == key) & (frame["tags"] == tags)]
    sides = [_side(rows[rows["side"] == side], word) for side, word in (("input", "takes"), ("output", "gives"))]
    arrow = element("span", "→", class_="tfm-arrow", aria_hidden="true")
    yield element("div", sides[0], arrow, sides[1], class_="tfm-ends")
    others = len(keys) - 1
    if others:
        more = f"{others:,} more {_s('signature', others)}"
        yield element(
            "p",
            f"Signature {key}; ",
            element("button", more, leads_to={"tab": "Signatures"}, class_="tfm-link"),
            class_="tfm-small",
        )


def _side(rows: pd.DataFrame, word: str) -> Element:
    items = []
    for key, dtype, shape in rows[["key", "dtype", "shape"]].head(_MOST_ENDS).itertuples(index=False, name=None):
        size, rest = shape_words(shape, dtype)
        items.append(
            element(
                "div",
                element("strong", key),
                " ",
                size,
                " ",
                element("span", rest, class_="tfm-quiet"),
                class_="tfm-end",
            )
        )
    left = len(rows) - len(items)
    if left > 0:
        items.append(element("div", f"and {left:,} more", class_="tfm-end"))
    if not items:
        items.append(element("div", "nothing", class_="tfm-end"))
    # Said where the arrow is not seen: aloud, in a terminal, on a page without a style sheet.
    items[0] = items[0]._replace(children=(element("span", f"{word} ", class_="tfm-aloud"), *items[0].children))
    return element("div", *items, class_="tfm-side")


# Four numbers


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


def _figures(model: ShownModel) -> Iterator[Element]:
    shown = list(_numbers(model))
    if shown:
        yield element("div", *shown, class_="tfm-figures")


def _numbers(model: ShownModel) -> Iterator[Element]:
    if "variables" in model.parts:
        variables = model.variables
        sizes, stored = (list(map(int, variables[name].dropna())) for name in ("size", "bytes"))
        total = sum(sizes)
        yield _figure(*count_words(total), f"{_s('parameter', total)}{_trainable(variables, total)}", f"{total:,}")
        dtypes = [dtype for dtype in dict.fromkeys(variables["dtype"]) if dtype]
        named = f", {dtypes[0]}" if len(dtypes) == 1 else ""
        yield _size_figure(sum(stored), f"weights loaded{named}")
    size = _on_disk(model.path) if model.path is not None else 0
    if size:
        yield _size_figure(size, "on disk")
    if model.is_at_hand("keras") and len(model.layers):
        yield _figure(f"{len(model.layers):,}", "", _s("layer", len(model.layers)), "")
    elif model.is_at_hand("graph"):
        graph = model.meta_graph.graph
        inner = len(graph.function_nodes.owner)
        count = len(graph.nodes[0]) + inner
        functions = f" in {len(graph.functions[0]):,} {_s('function', len(graph.functions[0]))} and the main graph"
        yield _figure(f"{count:,}", "", _s("op", count) + (functions if inner else ""), "")
    costs = costs_of(model)
    flops = 0 if costs is None else int(costs["flops"].dropna().sum())
    if costs is not None and flops:
        least = " at least" if costs["flops"].isna().any() else ""
        yield _figure(*count_words(flops), f"FLOPs{least}", costs.attrs["total"])


def costs_of(model: ShownModel) -> pd.DataFrame | None:
    """Return what a model costs, None where nobody waits for that: a large graph takes seconds."""
    if model.is_at_hand("keras"):
        return model.costs
    if not model.is_at_hand("graph"):
        return None
    graph = model.meta_graph.graph
    is_small = len(graph.nodes[0]) + len(graph.function_nodes.owner) <= _COSTED_NODES
    return model.costs if is_small else None


def _trainable(variables: pd.DataFrame, total: int) -> str:
    known = variables[variables["trainable"].notna()]
    if not len(known):
        return ""
    fixed = int(known["size"][~known["trainable"].astype(bool)].sum())
    if not fixed:
        return ", all trainable"
    return ", none trainable" if fixed == total else f", {' '.join(filter(None, count_words(fixed)))} not trainable"


def _size_figure(size: int, words: str) -> Element:
    number, _, unit = size_text(size).partition(" ")
    return _figure(number, unit, words, f"{size:,} bytes")


def _figure(number: str, unit: str, words: str, exact: str) -> Element:
    shown = element("strong", number, *([element("span", f" {unit}", class_="tfm-unit")] if unit else []))
    figure = element("div", shown, " ", element("span", words, class_="tfm-quiet"), class_="tfm-figure")
    return figure._replace(attributes={**figure.attributes, "title": exact}) if exact else figure


def _on_disk(path: Path, depth: int = _DEEPEST) -> int:
    """Add up the files of a model; 0 where that is not known."""
    try:
        if places.is_file(path):
            return places.size(path)
        if places.is_directory(path):
            return sum(_on_disk(path / name, depth - 1) for name in places.names(path)) if depth else 0
        # A prefix, of a checkpoint.
        own = [name for name in places.names(path.parent) if name.startswith(f"{path.name}.")]
        return sum(places.size(path.parent / name) for name in own)
    except OSError:
        return 0


# Where the weights are


class Heavy(NamedTuple):
    """A layer, or what holds variables, with what they take."""

    name: str
    kind: str
    parameters: int
    bytes: int


def heaviest(model: ShownModel) -> list[Heavy]:
    """Return what holds weights, the heaviest first: layers, else the scopes that the variables stand in."""
    owners = _layers(model) if model.is_at_hand("keras") else []
    if not any(each.parameters for each in owners) and "variables" in model.parts:
        owners = _scopes(model.variables)
    return sorted((each for each in owners if each.parameters), key=lambda each: -each.parameters)


def _layers(model: ShownModel) -> list[Heavy]:
    frame = model.layers
    names = set(frame["name"])
    models = {name.rpartition("/")[0] for name in names} & names
    rows = zip(frame["name"], frame["class"], _known(frame["parameters"]), _known(frame["bytes"]), strict=True)
    return [Heavy(*row) for row in rows if row[0] not in models]


def _known(column: pd.Series[int]) -> list[int]:
    """Take what is not known for nothing."""
    known: list[int] = column.fillna(0).tolist()
    return known


def _scopes(variables: pd.DataFrame) -> list[Heavy]:
    total: dict[str, list[int]] = {}
    for name, size, stored in zip(
        variables["name"], *map(_known, (variables["size"], variables["bytes"])), strict=True
    ):
        kept = total.setdefault(name.rpartition("/")[0] or name, [0, 0])
        kept[0] += size
        kept[1] += stored
    return [Heavy(name, "", *sizes) for name, sizes in total.items()]


def _weights(model: ShownModel) -> Iterator[Element]:
    owners = heaviest(model)
    if not owners:
        return
    shown, rest = owners[:_HEAVIEST], owners[_HEAVIEST:]
    total = sum(each.parameters for each in owners)
    tab = "Layers" if model.is_at_hand("keras") else "Variables"
    is_told = any(each.kind for each in shown)
    head = ["", *([""] if is_told else []), "", "parameters", "bytes", "share"]
    rows = [_bar_row(each, shown[0].parameters, total, tab, is_told=is_told) for each in shown]
    if rest:
        noun = "layer" if is_told else "scope"
        left = Heavy(
            f"{len(rest):,} other {_s(noun, len(rest))}",
            "",
            sum(each.parameters for each in rest),
            sum(each.bytes for each in rest),
        )
        rows.append(_bar_row(left, shown[0].parameters, total, "", is_told=is_told))
    yield element("h4", "Where the weights are")
    titles = element("tr", *(element("th", text, scope="col") for text in head))
    yield element("table", element("thead", titles), element("tbody", *rows), class_="tfm-heaviest")


def _bar_row(owner: Heavy, largest: int, total: int, tab: str, *, is_told: bool) -> Element:
    # What tells long names apart is at their ends.
    shown = owner.name if len(owner.name) <= _LONGEST_NAME else f"…{owner.name[1 - _LONGEST_NAME :]}"
    name: Element | str = shown
    if tab:
        leads_to = {"tab": tab, "what": {"name": owner.name}}
        whole = {} if shown == owner.name else {"title": owner.name}
        name = element("button", shown, leads_to=leads_to, class_="tfm-link", **whole)
    share = 100 * owner.parameters / total
    width = min(100 * owner.parameters / largest, 100)
    bar = element("span", element("i", style=f"width:{width:.1f}%"), class_="tfm-bar", aria_hidden="true")
    kind = [element("td", owner.kind, class_="tfm-quiet")] if is_told else []
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


# What to know


def _cautions(model: ShownModel) -> Iterator[Element]:
    known = model.cautions
    for caution in known[:_MOST_CAUTIONS]:
        # One type is what the table can be filtered by; of several, the first shows the way.
        leads = [{"tab": "Ops", "what": {"op": op}} for op in caution.ops[:1]]
        links = (element("button", "Show in Ops", leads_to=each, class_="tfm-link") for each in leads)
        (_, said), (_, advice) = caution.facts()
        yield element("p", f"{said[:1].upper()}{said[1:]}; ", f"{advice}. ", *links, class_="tfm-says")
    left = len(known) - _MOST_CAUTIONS
    if left > 0:
        yield element("p", f"And {left:,} more {_s('caution', left)}.", class_="tfm-small")


def _s(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


_PARTS: Sequence[Make] = (_verdict, _ends, _figures, _weights, _cautions)
