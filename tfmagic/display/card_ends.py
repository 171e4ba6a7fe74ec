"""What a model takes and gives, on its card: the ends of one signature, with shapes as a person writes them.

Not for: all signatures, which the tables have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.display.elements import Element, element
from tfmagic.display.render import counted
from tfmagic.files.protos import NO_DTYPE
from tfmagic.graphs.signatures import DEFAULT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.frames import Shape, SignatureRow

_TIMES = "\N{MULTIPLICATION SIGN}"
#: Ends that are shown; what is left out is counted.
_MOST_ENDS = 4
#: Ends are proposed, and the ops that only save are told apart, for graphs up to this size: both follow every edge.
FOLLOWED_NODES = 300_000


def shape_words(shape: Shape, dtype: str) -> tuple[str, str]:
    """Word a shape as a person writes it: ``224 x 224 x 3``, and ``float32, batch open``."""
    if dtype == NO_DTYPE:
        return "not known", "before it is traced"
    if shape is None:
        return "any shape", dtype
    is_batched = len(shape) > 0 and shape[0] is None
    sizes = shape[1:] if is_batched else shape
    written = _TIMES.join("?" if size is None else str(size) for size in sizes)
    return written or (
        "one number" if dtype != "string" else "one text"
    ), f"{dtype}, batch open" if is_batched else dtype


def ends(model: ShownModel) -> Iterator[Element]:
    """Yield what the default signature, else the first, takes and gives."""
    if not model.is_at_hand("signatures") and not model.is_at_hand("graph"):
        return
    if model.has_no_signature and len(model.meta_graph.graph.nodes[0]) > FOLLOWED_NODES:
        return
    listed = model.end_rows()
    keys = dict.fromkeys(row.signature for row in listed)
    if not keys:
        return
    key = DEFAULT_KEY if DEFAULT_KEY in keys else next(iter(keys))
    tags = next(row.tags for row in listed if row.signature == key)
    rows = [row for row in listed if row.signature == key and row.tags == tags]
    sides = [
        _side([row for row in rows if row.side == side], word)
        for side, word in (("input", "takes"), ("output", "gives"))
    ]
    arrow = element("span", "→", class_="tfm-arrow", aria_hidden="true")
    yield element("div", sides[0], arrow, sides[1], class_="tfm-ends")
    others = len(keys) - 1
    if others:
        more = counted(others, "more signature")
        yield element(
            "p",
            f"Signature {key}; ",
            element("button", more, leads_to={"tab": "Signatures"}, class_="tfm-link"),
            class_="tfm-small",
        )


def _side(rows: Sequence[SignatureRow], word: str) -> Element:
    items = []
    for row in rows[:_MOST_ENDS]:
        size, rest = shape_words(row.shape, row.dtype)
        items.append(
            element(
                "div",
                element("strong", row.key),
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
