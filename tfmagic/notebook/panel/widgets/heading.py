"""The line above the tabs: what is shown, and the word that the kernel is gone.

A live panel comes with its model's static form below it, an output of its own. The script here takes that form off the
page while the panel lives, and puts it back when the kernel ends. Where a notebook is opened again there is no script,
and the static form stands. Not for: the static form (:mod:`tfmagic.display.render`).
"""

from __future__ import annotations

import anywidget
import traitlets

from tfmagic.notebook.panel.widgets import assets


class Heading(anywidget.AnyWidget):
    """A heading.

    Parameters
    ----------
    text : str
        The name of what is shown; drawn as text.
    detail : str
        What it is and where it came from, in softer ink.
    """

    _esm = assets.script("heading.js")
    _css = assets.style("heading.css", "panel.css")
    text = traitlets.Unicode().tag(sync=True)
    detail = traitlets.Unicode().tag(sync=True)
    #: The id of the element that holds the static form, empty where there is none.
    stand_in = traitlets.Unicode().tag(sync=True)
    #: How often it was brought into view: what a click opens far below is else not seen.
    arrivals = traitlets.Int(0).tag(sync=True)

    def come_into_view(self) -> None:
        """Bring what it stands above into view, once it is drawn."""
        self.arrivals += 1
