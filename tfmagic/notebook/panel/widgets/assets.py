"""The scripts and style sheets of the widgets, as text.

Given a path, anywidget watches the file for its author, and so keeps every widget that was ever made, with its model.
Not for: what the scripts do.
"""

from __future__ import annotations

import re
from importlib import resources

#: How a script takes names of another one beside it.
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=function|class|const)", re.MULTILINE)


def text(name: str) -> str:
    """Return the content of a file in ``static/``."""
    return resources.files("tfmagic.notebook.panel.widgets").joinpath("static", name).read_text("utf-8")


def script(name: str) -> str:
    """Return a script behind what it imports from ``static/``, each once: anywidget takes one text, no files."""
    *imported, own = _behind(name, set())
    return "".join(_EXPORT.sub("", each) for each in imported) + own


def _behind(name: str, seen: set[str]) -> list[str]:
    """Return the scripts that one imports, those that these import before them, and the script itself."""
    seen.add(name)
    source = text(name)
    parts = [part for match in _IMPORT.finditer(source) if match[1] not in seen for part in _behind(match[1], seen)]
    return [*parts, _IMPORT.sub("", source)]


def style(*names: str) -> str:
    """Return style sheets behind the tokens that all that is shown shares."""
    return tokens() + "".join(map(text, names))


def tokens() -> str:
    """Return the style sheet of the tokens."""
    return shown("tokens.css")


def shown(name: str) -> str:
    """Return a style sheet that the static forms have too."""
    return resources.files("tfmagic.display").joinpath(name).read_text("utf-8")
