"""The picture of a graph as static SVG: no script, no style sheet, nothing to load, every string escaped.

The colours are legible on white and on black. Not for: the live view (``widgets/graph_view.py``), which draws the same
scenes.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfmagic import graph_choices, graph_scenes
from tfmagic.render import cell_text
from tfmagic.unfolding import Unfolding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfmagic.graph_scenes import Data
    from tfmagic.model import Model

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
_FONT = "system-ui,-apple-system,Segoe UI,Roboto,sans-serif"
_MARGIN, _LEGEND = 12, 30
#: Letters of the legend's 11 pixels height are about this wide.
_LEGEND_LETTER, _LEGEND_GAP = 5.9, 30


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
    """

    svg: str = field(repr=False)
    words: str
    width: int
    height: int

    def _repr_svg_(self) -> str:
        """Show it where nothing but pictures is shown: GitHub strips them out of HTML, not out of outputs."""
        return self.svg

    @property
    def address(self) -> str:
        """The drawing as a ``data:`` address for an ``<img>``, in which no script ever runs."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg.encode()).decode()}"


def picture(model: Model, *, constants: bool = False) -> Picture | None:
    """Draw the graph of a model, folded to what a person can take in.

    Parameters
    ----------
    model : Model
        Its layers are drawn if it has them, else its graph if that is at hand.
    constants : bool
        Whether constants and variables are drawn too.

    Returns
    -------
    Picture or None
        None if there is nothing to draw without tracing the model.
    """
    drawn = next((each for each in graph_choices.choices(model) if each.library is not None), None)
    if drawn is None or drawn.library is None:
        return None
    unfolding = Unfolding(drawn.library, drawn.function, constants=constants)
    unfolding.start()
    scene = graph_scenes.scene(unfolding)
    return of_scene(scene, drawn.title) if scene["boxes"] else None


def of_scene(scene: Data, title: str) -> Picture:
    """Draw a scene."""
    legend_rows, legend = _legend(scene["kinds"], max(scene["width"], _LEAST_WIDTH))
    width = round(max(scene["width"], _LEAST_WIDTH) + 2 * _MARGIN)
    height = round(scene["height"] + 2 * _MARGIN + legend_rows * _LEGEND)
    words = _words(scene, title)
    body = "".join([*map(_container, scene["boxes"]), *_edges(scene["edges"]), *map(_box, scene["boxes"])])
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{_FONT}" font-size="12">'
        f"<title>{_text(title)}</title><desc>{_text(words)}</desc>{_ARROW}"
        f'<g transform="translate({_MARGIN} {_MARGIN})">{body}</g>'
        f'<g transform="translate({_MARGIN} {height - legend_rows * _LEGEND})" font-size="11">{legend}</g></svg>'
    )
    return Picture(svg, words, width, height)


_LEAST_WIDTH = 320
_ARROW = (
    '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" '
    f'markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="{_LINE}"/></marker></defs>'
)


def _words(scene: Data, title: str) -> str:
    """Say what a picture shows."""
    boxes = [box for box in scene["boxes"] if box["state"] != "open"]
    first = ", ".join(box["label"] for box in boxes[:5])
    more = f" and {len(boxes) - 5:,} more" if len(boxes) > 5 else ""  # noqa: PLR2004 - as above
    return cell_text(f"{title}: {len(boxes):,} boxes, {len(scene['edges']):,} edges") + f" ({cell_text(first)}{more})"


def _text(text: str) -> str:
    return html.escape("".join(char if char.isprintable() else "\ufffd" for char in text), quote=True)


def _container(box: Data) -> str:
    """Draw an open box: a frame and a title, behind everything."""
    if box["state"] != "open":
        return ""
    place = f'x="{box["x"]}" y="{box["y"]}" width="{box["w"]}" height="{box["h"]}"'
    return (
        f'<rect {place} rx="9" fill="{_LINE}" fill-opacity=".08" stroke="{_LINE}" stroke-opacity=".6"/>'
        f'<text x="{box["x"] + 12}" y="{box["y"] + 18}" fill="{_LINE}" font-weight="600">{_text(box["label"])}</text>'
    )


def _box(box: Data) -> str:
    """Draw a folded box or an op."""
    if box["state"] == "open":
        return ""
    colour, x, y, width, height = COLOURS[box["kind"]], box["x"], box["y"], box["w"], box["h"]
    corner = height / 2 if box["shape"] == "end" else 6
    middle, line = x + width / 2, y + (18 if box["detail"] else height / 2 + 4)
    behind = (
        f'<rect x="{x + 3}" y="{y + 3}" width="{width}" height="{height}" rx="{corner}" fill="{colour}" opacity=".35"/>'
        if box["state"] == "folded"
        else ""
    )
    detail = (
        f'<text x="{middle:.1f}" y="{y + 33}" font-size="10.5" fill="{_FAINT}">{_text(box["detail"])}</text>'
        if box["detail"]
        else ""
    )
    return (
        f'<g text-anchor="middle"><title>{_text(box["title"])}</title>{behind}'
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{corner}" fill="{_PAPER}" stroke="{colour}" '
        f'stroke-width="1.6"/><text x="{middle:.1f}" y="{line}" fill="{_INK}">{_text(box["label"])}</text>{detail}</g>'
    )


def _edges(edges: list[Data]) -> Iterator[str]:
    yield f'<g fill="none" stroke="{_LINE}">'
    for edge in edges:
        dashes = ' stroke-dasharray="3 3"' if edge["control"] else ""
        yield f'<path d="{edge["d"]}" stroke-width="{edge["w"]}"{dashes} marker-end="url(#a)"/>'
    yield f'</g><g font-size="9.5" fill="{_LINE}">'
    for edge in edges:
        if edge["at"]:
            x, y = edge["at"]
            yield f'<text x="{x}" y="{y}">{_text(edge["shape"])}</text>'
    yield "</g>"


def _legend(kinds: list[list[str]], width: float) -> tuple[int, str]:
    """Draw the legend: how many lines it takes, and the lines."""
    parts, x, row = [], 0.0, 0
    for kind, label in kinds:
        size = len(label) * _LEGEND_LETTER + _LEGEND_GAP
        if x and x + size > width:
            x, row = 0.0, row + 1
        parts.append(
            f'<rect x="{x:.0f}" y="{row * 20 + 2}" width="11" height="11" rx="3" fill="{COLOURS[kind]}"/>'
            f'<text x="{x + 16:.0f}" y="{row * 20 + 11}" fill="{_LINE}">{_text(label)}</text>'
        )
        x += size
    return row + 1, "".join(parts)
