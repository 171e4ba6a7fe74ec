"""What each part of the panel styles: itself, and nothing of the others or of the page; and what its scripts share."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfmagic import display
from tfmagic.notebook.panel import widgets
from tfmagic.notebook.panel.widgets import assets

STATIC = Path(widgets.__file__).parent / "static"
TOKENS = Path(display.__file__).parent / "tokens.css"
#: The tokens are all parts'.
ROOTS = {"tokens": r"(:is\()?\.tfm-(panel|graph|table|sections|heading|card|says)\b"}
SELECTORS = re.compile(r"([^{};]+)\{")


def selectors(style: str) -> list[str]:
    """Return the selectors of a style sheet, those inside conditions too; a comma in brackets parts none."""
    bare = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    found = [text.strip() for text in SELECTORS.findall(bare) if not text.strip().startswith("@")]
    return [each.strip() for text in found for each in re.split(r",(?![^(]*\))", text)]


def test_selectors_are_found_inside_conditions_too() -> None:
    style = "/* a { */ .a, .b:not(.c, .d) { x: y } @media (z) { .e { x: y } }"
    assert selectors(style) == [".a", ".b:not(.c, .d)", ".e"]


@pytest.mark.parametrize("path", [TOKENS, *sorted(STATIC.glob("*.css"))], ids=lambda path: path.stem)
def test_a_part_styles_itself_alone(path: Path) -> None:
    root = ROOTS.get(path.stem, rf"\.tfm-{path.stem}\b(?!-)")
    found = selectors(path.read_text(encoding="utf-8"))
    assert found
    assert [each for each in found if not re.match(root, each)] == []


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.glob("*.js")))
def test_a_script_that_is_sent_imports_nothing(name: str) -> None:
    sent = assets.script(name)
    assert not re.search(r"^\s*import\b", sent, re.MULTILINE), "anywidget's text has no files beside it"
    imported = re.findall(r'^import \{([^}]*)\} from "\./dom\.js"', assets.text(name), re.MULTILINE)
    for helper in re.findall(r"\w+", " ".join(imported)):
        assert re.search(rf"^(function|class|const) {helper}\b", sent, re.MULTILINE), helper


def test_timers_and_keys_of_the_front_end_are_kept_in_one_script() -> None:
    others = {path.name: path.read_text("utf-8") for path in STATIC.glob("*.js") if path.name != "dom.js"}
    for word in ("lm-suppress-shortcuts", "createElement(", "PING_AFTER ="):
        assert [name for name, text in others.items() if word in text] == []


def test_no_part_around_others_styles_what_these_call_their_own() -> None:
    """The panel holds the card: a class of both would have the styles of both."""
    card = (Path(display.__file__).parent / "card.css").read_text("utf-8")
    around = (STATIC / "panel.css").read_text("utf-8")
    classes = [set(re.findall(r"\.(tfm-[\w-]+)", text)) for text in (card, around)]
    assert classes[0] & classes[1] <= {"tfm-small", "tfm-quiet", "tfm-says"}


def test_colours_of_data_outweigh_the_tokens_that_another_widget_brings_later() -> None:
    style = re.sub(r"/\*.*?\*/", "", (STATIC / "graph.css").read_text("utf-8"), flags=re.DOTALL)
    rules = re.findall(r"([^{}]+)\{[^{}]*--(?:kind|fill|edge):", style)
    assert len(rules) >= 6
    assert [rule.strip() for rule in rules if not rule.strip().startswith(".tfm-graph.tfm-graph ")] == []
