"""What several tabs share: fields of one width, lists of lines, results, what is said where a model has no such part.

Not for: what a form asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic.escaping import html_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfmagic.models.model import Model

#: Side by side where there is room, one below the other on a narrow page.
# Front ends put a margin around each control.
WIDTH = "min(560px, calc(100% - 8px))"
STYLE = {"description_width": "130px"}
_SHOWN, _GONE = None, "none"
_OFF = "tfm-off"


class Act(ipywidgets.Button):  # type: ignore[misc] # ipywidgets has no types
    """A button that keeps the keyboard's focus while it can do nothing: one that is disabled lets it fall to the page.

    Parameters
    ----------
    text : str
        What stands on it.
    is_primary : bool
        Whether it is what the form is for.
    is_off : bool
        Whether it does nothing for now; the heading's script says so to screen readers.
    """

    def __init__(self, text: str, *, is_primary: bool = False, is_off: bool = False) -> None:
        layout = ipywidgets.Layout(width="auto")
        super().__init__(description=text, button_style="primary" if is_primary else "", layout=layout)
        self.is_off = is_off

    @property
    def is_off(self) -> bool:
        """Whether it does nothing for now."""
        return _OFF in self._dom_classes

    @is_off.setter
    def is_off(self, value: bool) -> None:
        (self.add_class if value else self.remove_class)(_OFF)

    def click(self) -> None:
        """Do what it is for, unless it is off."""
        if not self.is_off:
            super().click()


def field(kind: Callable[..., Any], description: str, **more: Any) -> Any:  # noqa: ANN401 - a widget of that kind
    """Make a control with a label that is seen, as wide as the others."""
    return kind(description=description, layout=ipywidgets.Layout(width=WIDTH), style=STYLE, **more)


def tick(description: str, *, value: bool = False) -> ipywidgets.Checkbox:
    """Make a box to tick."""
    layout = ipywidgets.Layout(width="auto", margin="0 16px 0 0")
    return ipywidgets.Checkbox(value=value, description=description, indent=False, layout=layout)


def row(*widgets: ipywidgets.Widget) -> ipywidgets.Box:
    """Put widgets side by side, on further lines where they do not fit."""
    box = ipywidgets.Box(widgets, layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"))
    box.add_class("tfm-beside")
    return box


def show(widget: ipywidgets.Widget, *, shown: bool) -> None:
    """Show a widget or take it out of sight."""
    widget.layout.display = _SHOWN if shown else _GONE


def without(model: Model, part: str) -> ipywidgets.Label:
    """Return what stands in a tab that shows a part which a model has not."""
    return ipywidgets.Label(f"A {model.form} has no {part}; it has {', '.join(model.parts) or 'nothing'}.")


def listed(title: str, lines: Iterable[object]) -> str:
    """Return a list with a title, nothing if it is empty."""
    items = "".join(f"<li>{html_text(line)}</li>" for line in lines)
    return (
        f'<p style="margin:4px 0 0"><strong>{html_text(title)}</strong></p><ul style="margin:0">{items}</ul>'
        if items
        else ""
    )


def result(value: Any) -> str:  # noqa: ANN401 - any result of a verb
    """Return the HTML of a result, its text where the user wants nothing else."""
    try:
        return str(value._repr_html_())
    except NotImplementedError:
        return f"<pre>{html_text(repr(value))}</pre>"


def code(label: str, source: str) -> str:
    """Return code to be read, and to be selected by keyboard too."""
    lines = "\n".join(html_text(line) for line in source.splitlines())
    return (
        f'<p style="margin:4px 0 0"><strong>{html_text(label)}</strong></p>'
        f'<pre tabindex="0" role="region" aria-label="{html_text(label)}" style="overflow:auto;margin:0">{lines}</pre>'
    )
