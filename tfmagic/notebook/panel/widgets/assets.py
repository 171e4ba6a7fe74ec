"""The scripts and style sheets of the widgets, as text.

Given a path, anywidget watches the file for its author, and so keeps every widget that was ever made, with its model.
Not for: what the scripts do.
"""

from __future__ import annotations

from importlib import resources


def text(name: str) -> str:
    """Return the content of a file in ``static/``."""
    return resources.files("tfmagic.notebook.panel.widgets").joinpath("static", name).read_text("utf-8")


def style(name: str) -> str:
    """Return a style sheet behind the theme that all widgets share."""
    return text("theme.css") + text(name)
