"""Texts of strangers as they may reach a terminal or a page: control characters written out, nothing taken for markup.

Not for: how long a text may be, or how a shape and a list are worded (:mod:`tfmagic.display.render`), nor what is code
to copy, which is written by ``repr``.
"""

from __future__ import annotations

import html
import unicodedata

#: Classes that keep MathJax, in JupyterLab and on nbconvert's pages, from taking ``$…$`` in a name for a formula.
UNTYPESET = "tex2jax_ignore mathjax_ignore"


def visible(text: str) -> str:
    """Return a text with its control characters written out, as Python writes them in the ``repr`` of a text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_shown(char) else _written(char) for char in text)


def _is_shown(char: str) -> bool:
    """Say whether a character may reach a terminal: no control codes, and none that turn the text around."""
    return char.isprintable() and unicodedata.category(char) not in {"Cc", "Cf"}


def _written(char: str) -> str:
    number = ord(char)
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - bytes


def html_text(value: object) -> str:
    """Word a value for HTML, however long; nothing in it is markup."""
    return html.escape(visible(str(value)), quote=True)
