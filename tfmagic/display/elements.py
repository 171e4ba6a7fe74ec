"""Elements of a page as plain data, which static HTML and a widget's script both make what is seen of.

Every text is set as text: :func:`markup` escapes it, the script never parses it. Not for: what is said
(:mod:`tfmagic.display.card`).
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tfmagic.display.render import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: An element as a widget gets it: tag, attributes, children.
Data: TypeAlias = "list[Any]"


class Element(NamedTuple):
    """An element with its attributes and what stands in it.

    Attributes
    ----------
    tag : str
        HTML's name of it.
    attributes : mapping of str to str
        Ours, never a model's, but for ``title`` and ``alt``.
    children : tuple of Element or str
        In their order; texts are a model's as often as ours.
    leads_to : mapping, optional
        Where a click leads in the live form: a tab, and what is named there. In the static form it is plain text.
    is_live : bool
        Whether it says nothing but where it leads, and has no place in the static form.
    """

    tag: str
    attributes: Mapping[str, str]
    children: tuple[Element | str, ...]
    leads_to: Mapping[str, Any] | None = None
    is_live: bool = False


def element(
    tag: str, *children: Element | str, leads_to: Mapping[str, Any] | None = None, **attributes: str
) -> Element:
    """Make an element; ``_`` in a name of an attribute is ``-``, and one at its end is left out (``class_``)."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    return Element(tag, named, children, leads_to)


def markup(item: Element | str) -> str:
    """Write an element as static HTML: what leads somewhere in the live form is text here."""
    if isinstance(item, str):
        return html.escape(cell_text(item), quote=True)
    if item.is_live:
        return ""
    tag = "span" if item.leads_to is not None else item.tag
    attributes = "".join(
        f' {name}="{html.escape(cell_text(each), quote=True)}"' for name, each in item.attributes.items()
    )
    return f"<{tag}{attributes}>{''.join(map(markup, item.children))}</{tag}>"


def data(item: Element | str) -> Data | str:
    """Return an element as a widget gets it: tag, attributes, children, and where it leads if it does."""
    if isinstance(item, str):
        return cell_text(item)
    attributes = {name: cell_text(value) for name, value in item.attributes.items()}
    leads = [] if item.leads_to is None else [dict(item.leads_to)]
    return [item.tag, attributes, list(map(data, item.children)), *leads]


def links(item: Element | str) -> Iterator[Mapping[str, Any]]:
    """Yield where the element and those in it lead."""
    if isinstance(item, str):
        return
    if item.leads_to is not None:
        yield item.leads_to
    for child in item.children:
        yield from links(child)


def texts(item: Element | str) -> Iterator[str]:
    """Yield the texts of the static form in the order in which they are read."""
    if isinstance(item, str):
        yield cell_text(item)
        return
    if item.is_live:
        return
    for child in item.children:
        yield from texts(child)
