"""The picture of a graph as static SVG: no script, no style sheet, nothing to load, every string escaped.

The colours are legible on white and on black. Not for: the live view (``notebook/panel/widgets/graph_view.py``), which
draws the same scenes.
"""

from __future__ import annotations

import html
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfmagic.display.graph import choices as graph_choices
from tfmagic.display.graph import scenes, shades
from tfmagic.display.graph.unfolding import Unfolding
from tfmagic.display.render import cell_text, counted, cut

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.display.graph.scenes import Data
    from tfmagic.display.graph.shades import Colour
    from tfmagic.display.shown_model import ShownModel

#: By kind of op. Middle lightness: legible on white and on black, and told apart with most kinds of colour blindness.
COLOURS = {
    "end": "#6b7280",
    "matrix": "#3b76c4",
    "recurrent": "#8b5fc7",
    "pool": "#2a9d8f",
    "activation": "#d9822b",
    "norm": "#b8962e",
    "call": "#c0528f",
    "lookup": "#a0674b",
    "math": "#5f9e4a",
    "shape": "#7a8ca0",
    "state": "#8a8f98",
    "other": "#8a8f98",
}
_INK, _FAINT, _LINE, _PAPER = "#1f2937", "#56606e", "#8b929c", "#f6f8fb"
#: On fills of data: what words are written in on pale ones, on strong ones, and the frame of a box.
_DARK, _WHITE, _FRAME = "#111827", "#ffffff", "#6b7280"
FONT = "system-ui,-apple-system,Segoe UI,Roboto,sans-serif"
_MARGIN, _LEGEND = 12, 30
#: Characters that stand for themselves in an address and in an attribute of HTML.
_PLAIN = " '()*,-./:;=@_~!$+"
#: Letters of the legend's 11 pixels height are about this wide.
_LEGEND_LETTER, _LEGEND_GAP = 5.9, 30
#: Letters of a legend's title.
_MOST_TITLE = 40


@dataclass(frozen=True)
class Picture:
    """A graph drawn once.

    Attributes
    ----------
    svg : str
        The drawing, complete in itself.
    words : str
        What it shows, for who cannot see it.
    width, height : int
        In pixels.
    note : str
        What else is to be known of it.
    """

    svg: str = field(repr=False)
    words: str
    width: int
    height: int
    note: str = ""

    def _repr_svg_(self) -> str:
        """Show it where nothing but pictures is shown: GitHub strips them out of HTML, not out of outputs."""
        return self.svg

    @property
    def address(self) -> str:
        """The drawing as a ``data:`` address for an ``<img>``, in which no script ever runs."""
        # In strings of a model every quote is written out, so those that are left enclose attributes. Text is a fifth
        # shorter than base64, and a page with a picture has a budget.
        svg = self.svg if "'" in self.svg else self.svg.replace('"', "'")
        return f"data:image/svg+xml,{urllib.parse.quote(svg, safe=_PLAIN)}"


def picture(model: ShownModel, *, constants: bool = False, colour: Colour | None = None) -> Picture | None:
    """Draw the graph of a model, folded to what a person can take in.

    Parameters
    ----------
    model : ShownModel
        Its layers are drawn if it has them, else its graph if that is at hand.
    constants : bool
        Whether constants and variables are drawn too.
    colour : callable, optional
        Makes what colours the boxes of a library.

    Returns
    -------
    Picture or None
        None if there is nothing to draw without tracing the model.
    """
    choices = graph_choices.choices(model)
    drawn = next((each for each in (colour.over(choices) if colour else choices) if each.library is not None), None)
    if drawn is None or drawn.library is None:
        return None
    unfolding = Unfolding(drawn.library, drawn.function, constants=constants)
    unfolding.start()
    scene = scenes.scene(unfolding, colouring=colour(drawn.library) if colour else None)
    return of_scene(scene, drawn.title) if scene["boxes"] else None


def of_scene(scene: Data, title: str, *, titled: bool = False) -> Picture:
    """Draw a scene; ``titled`` writes the whole name of each box where a pointer rests on it."""
    legend_rows, keys = legend(scene["kinds"], max(scene["width"], _LEAST_WIDTH), scene.get("coloured", ""))
    width = round(max(scene["width"], _LEAST_WIDTH) + 2 * _MARGIN)
    height = round(scene["height"] + 2 * _MARGIN + legend_rows * _LEGEND)
    words = _words(scene, title)
    boxes = scene["boxes"]
    body = "".join([_containers(boxes), *_edges(scene["edges"]), *_boxes(boxes, titled=titled)])
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{FONT}" font-size="12">'
        f"<title>{escaped(title)}</title><desc>{escaped(words)}</desc>{_ARROW}"
        f'<g transform="translate({_MARGIN} {_MARGIN})">{body}</g>'
        f'<g transform="translate({_MARGIN} {height - legend_rows * _LEGEND})" font-size="11">{keys}</g></svg>'
    )
    return Picture(svg, words, width, height)


_LEAST_WIDTH = 320
#: Where the second line of a box stands, from its upper side.
_SECOND_LINE = 33
_ARROW = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
    f'markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="{_LINE}"/></marker></defs>'
)


def _words(scene: Data, title: str) -> str:
    """Say what a picture shows."""
    boxes = [box for box in scene["boxes"] if box["state"] != "open"]
    first = ", ".join(box["label"] for box in boxes[:5])
    counts = f"{len(boxes):,} {'box' if len(boxes) == 1 else 'boxes'}, {counted(len(scene['edges']), 'edge')}"
    more = f" and {len(boxes) - 5:,} more" if len(boxes) > 5 else ""  # noqa: PLR2004 - as above
    return cell_text(f"{title}: {counts}") + f" ({cell_text(first)}{more})"


def escaped(text: str) -> str:
    """Escape a text of a model for SVG."""
    return html.escape("".join(char if char.isprintable() else "\ufffd" for char in text), quote=True)


def _containers(boxes: Sequence[Data]) -> str:
    """Draw open boxes: a frame and a title each, behind everything."""
    opened = [box for box in boxes if box["state"] == "open"]
    frames = "".join(f"{_rectangle(box, 9)}/>" for box in opened)
    titles = "".join(f'<text x="{box["x"] + 12}" y="{box["y"] + 18}">{escaped(box["label"])}</text>' for box in opened)
    return (
        f'<g fill="{_LINE}" fill-opacity=".08" stroke="{_LINE}" stroke-opacity=".6">{frames}</g>'
        f'<g fill="{_LINE}" font-weight="600">{titles}</g>'
    )


def _boxes(boxes: Sequence[Data], *, titled: bool) -> Iterator[str]:
    """Draw folded boxes and ops; what they share is said once for all of a kind."""
    closed = [box for box in boxes if box["state"] != "open"]
    for kind, colour in COLOURS.items():
        own = [box for box in closed if box["kind"] == kind]
        if own:
            below = "".join(f"M{box['x'] + 4} {box['y'] + box['h'] + 3}h{box['w'] - 8}" for box in own if _folds(box))
            more = f'<path d="{below}" stroke-width="3" stroke-opacity=".45"/>' if below else ""
            drawn = "".join(_drawn(box, titled=titled) for box in own)
            yield f'<g fill="{_PAPER}" stroke="{colour}" stroke-width="1.6">{more}{drawn}</g>'
    for kind, (fill, is_strong) in shades.FILLS.items():
        own = [box for box in closed if box["kind"] == kind]
        if own:
            drawn = "".join(_drawn(box, titled=titled) for box in own)
            yield f'<g fill="{fill}" stroke="{_FRAME}" stroke-width="1.2">{drawn}</g>'
            yield from _lines(own, *([_WHITE, _WHITE] if is_strong else [_DARK, _DARK]))
    yield from _lines([box for box in closed if box["kind"] not in shades.FILLS], _INK, _FAINT)


def _lines(boxes: Sequence[Data], ink: str, faint: str) -> Iterator[str]:
    """Write what boxes say, in the colours of their first and their second lines."""
    if not boxes:
        return
    yield f'<g text-anchor="middle" fill="{ink}">{"".join(_line(box, "label") for box in boxes)}</g>'
    yield f'<g text-anchor="middle" fill="{faint}" font-size="10.5">'
    yield "".join(_line(box, "detail") for box in boxes if box["detail"])
    yield "</g>"


def _folds(box: Data) -> bool:
    return bool(box["state"] == "folded")


def _drawn(box: Data, *, titled: bool) -> str:
    start = _rectangle(box, box["h"] / 2 if box["shape"] == "end" else 6)
    return f"{start}><title>{escaped(box['title'])}</title></rect>" if titled else f"{start}/>"


def _rectangle(box: Data, corner: float) -> str:
    """Begin a rectangle where a box is."""
    return f'<rect x="{box["x"]}" y="{box["y"]}" width="{box["w"]}" height="{box["h"]}" rx="{corner:g}"'


def _line(box: Data, which: str) -> str:
    """Write the label of a box, or what stands below it."""
    first = 18 if box["detail"] else box["h"] / 2 + 4
    y = box["y"] + (first if which == "label" else _SECOND_LINE)
    return f'<text x="{box["x"] + box["w"] / 2:g}" y="{y:g}">{escaped(box[which])}</text>'


def _edges(edges: Sequence[Data]) -> Iterator[str]:
    yield f'<g fill="none" stroke="{_LINE}" stroke-width="1.2" marker-end="url(#a)">'
    for edge in edges:
        width = f' stroke-width="{edge["w"]}"' if edge["n"] > 1 else ""
        dashes = ' stroke-dasharray="3 3"' if edge["control"] else ""
        yield f'<path d="{edge["d"]}"{width}{dashes}/>'
    yield f'</g><g font-size="9.5" fill="{_LINE}">'
    for edge in edges:
        if edge["at"]:
            x, y = edge["at"]
            yield f'<text x="{x}" y="{y}">{escaped(edge["shape"])}</text>'
    yield "</g>"


def _key(kind: str) -> str:
    if kind in COLOURS:
        return f'fill="{COLOURS[kind]}"'
    return f'fill="{shades.FILLS[kind][0]}" stroke="{_FRAME}"'


def legend(kinds: Sequence[Sequence[str]], width: float, title: str = "") -> tuple[int, str]:
    """Draw the legend, behind a title: how many lines it takes, and the lines."""
    parts, x, row = [], 0.0, 0
    if title:
        title = cut(title, _MOST_TITLE)
        parts.append(f'<text x="0" y="11" fill="{_LINE}" font-weight="600">{escaped(title)}</text>')
        x = len(title) * _LEGEND_LETTER * 1.1 + 14
    for kind, label in kinds:
        size = len(label) * _LEGEND_LETTER + _LEGEND_GAP
        if x and x + size > width:
            x, row = 0.0, row + 1
        parts.append(
            f'<rect x="{x:.0f}" y="{row * 20 + 2}" width="11" height="11" rx="3" {_key(kind)}/>'
            f'<text x="{x + 16:.0f}" y="{row * 20 + 11}" fill="{_LINE}">{escaped(label)}</text>'
        )
        x += size
    return row + 1, "".join(parts)
