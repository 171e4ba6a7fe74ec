from __future__ import annotations

import html.parser
import re
from dataclasses import dataclass
from typing import Any

import bleach  # type: ignore[import-untyped]
import pandas as pd
import pytest

from tfmagic.display import render
from tfmagic.display.render import Section

HOSTILE = (
    "<script>alert(1)</script>",
    "</td></table></details></div><b>free",
    '" onmouseover="alert(1)',
    "' style='position:fixed",
    "&lt;i&gt; &amp;",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://example.com\x07link\x1b]8;;\x07",
    "\u202egnp.exe\u202c",
    "\u2066isolated\u2069",
    "nul\0bell\x07back\x08",
    "line\nbreak\r\ttab",
    "zero\u200bwidth\ufeff",
    "\ud800",
    "\x9b31m",
    "javascript:alert(1)",
)
SECTIONS = [
    Section("Summary", (("ops", "3 (1 of them in 1 functions)"), ("tags", ("serve", "gpu")))),
    Section("Table", table=pd.DataFrame({"name": ["a", "b"], "shape": [(None, 3), None], "bytes": [1, 2]})),
    Section("Both", (("fact", 7),), pd.DataFrame({"n": range(30)})),
    Section("Cut before", table=pd.DataFrame({"n": range(5)}), total=1234),
    Section("Empty", table=pd.DataFrame({"n": []})),
]
#: All elements that a display is made of; none runs, loads or submits anything.
ELEMENTS = {"div", "p", "strong", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"style", "scope", "open", "class"}


class Reader(html.parser.HTMLParser):
    """Reads what a browser would show of a page, and what the page is made of."""

    def __init__(self, page: str, *, strict: bool = True) -> None:
        super().__init__()
        self.strict = strict
        self.texts: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [] or not strict, "an element does not close"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert not self.strict or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []


def test_html_is_well_formed_and_made_of_harmless_elements_only() -> None:
    found = Reader(render.markup("heading", SECTIONS))
    assert found.elements == ELEMENTS
    assert found.attributes == ATTRIBUTES


def test_text_and_html_say_the_same() -> None:
    text = render.text("heading", SECTIONS)
    shown = " ".join(Reader(render.markup("heading", SECTIONS)).texts)
    # The layout differs, the words and their order do not.
    assert shown.split() == text.replace(": ", " ").split()


def test_a_long_table_says_how_much_of_it_is_not_shown() -> None:
    for form in (render.text("h", SECTIONS), render.markup("h", SECTIONS)):
        assert f"… and {30 - render.MAX_ROWS:,} more" in form
        assert "… and 1,229 more" in form
        assert form.count("more") == 2


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("short", 8, "short"),
        ("a_scope/a_layer/kernel", 11, "a_sco…ernel"),
        ("a\u202eb", 20, "a\\u202eb"),
        ("a" * 40 + "\u202e", 9, "aaaa…202e"),
        ("", 4, ""),
    ],
)
def test_a_long_name_is_cut_in_its_middle(text: str, most: int, expected: str) -> None:
    assert render.cut(text, most) == expected


def test_of_an_endless_name_the_ends_alone_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def seen(text: str) -> str:
        looked.append(len(text))
        return text

    monkeypatch.setattr(render, "visible", seen)
    assert render.cut("x" * 10_000_000 + "the end").endswith("the end")
    assert looked == [2 * render.MAX_CELL]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_shown_and_do_nothing(name: str) -> None:
    table = pd.DataFrame([[name]], columns=pd.Index([name], dtype=object), dtype=object)
    sections = [Section(name, ((name, name), ("x", (name, name))), table, total=3)]
    page = render.markup(name, sections)
    found = Reader(page)
    assert found.elements <= ELEMENTS
    assert found.attributes <= ATTRIBUTES
    # One class alone, at the root: what keeps MathJax from taking a name for a formula.
    assert re.findall(r'class="([^"]*)"', page)[:1] == ["tex2jax_ignore mathjax_ignore"]
    assert page.index("class=") < page.index(">")
    visible = render.cell_text(name)
    assert sum(visible in text for text in found.texts) >= 6
    for form in (page, render.text(name, sections)):
        assert all(char.isprintable() or char == "\n" for char in form)
        form.encode()


@pytest.mark.parametrize("name", ["x" * 100_000, "\0" * 100_000, '"' * 100_000, "<" * 100_000])
def test_a_cell_is_never_long(name: str) -> None:
    assert len(render.cell_text(name)) <= render.MAX_CELL
    assert render.cell_text(name).endswith("…")
    assert len(render.escaped(name)) <= 6 * render.MAX_CELL


def test_what_is_just_short_enough_is_not_cut() -> None:
    assert render.cell_text("x" * render.MAX_CELL) == "x" * render.MAX_CELL


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ((), "()"), ((None, 3), "(None, 3)"), (("a", "b"), "a, b"), (7, "7"), (True, "True"),
        (pd.NA, ""), (float("nan"), "nan"), ("größer 日本", "größer 日本"),
    ],
)  # fmt: skip
def test_cells(value: object, text: str) -> None:
    assert render.cell_text(value) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (14_300_000, "14.3 MB"),
        (2_400_000_000, "2.4 GB"),
        (10**15, "1000.0 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert render.size_text(size) == text


def test_a_column_of_wide_text_keeps_the_others_in_line() -> None:
    table = pd.DataFrame({"a": ["x", "longer"], "b": ["1", "2"]})
    lines = render.text("h", [Section("T", table=table)]).splitlines()
    assert [line.index(mark) for line, mark in zip(lines[-3:], "b12", strict=True)] == [10] * 3


def sanitised(page: str) -> str:
    """Clean a page as GitHub does: known elements only, no style, no script."""
    return str(bleach.clean(page, tags=ELEMENTS, attributes={"th": ["scope"], "details": ["open"]}, strip=True))


def test_all_of_it_survives_sanitising() -> None:
    page = render.markup("heading", [*SECTIONS, Section("Hostile", tuple((name, name) for name in HOSTILE))])
    assert Reader(sanitised(page)).texts == Reader(page).texts
    assert "style" not in Reader(sanitised(page)).attributes


def test_all_of_it_survives_nbconvert() -> None:
    import nbconvert  # noqa: PLC0415 - seconds that few workers should take
    import nbformat  # noqa: PLC0415 - as above

    page = render.markup("heading", [*SECTIONS, Section("Hostile", tuple((name, name) for name in HOSTILE[:5]))])
    output = nbformat.v4.new_output("display_data", {"text/html": page, "text/plain": "plain"})
    cell = nbformat.v4.new_code_cell("model", outputs=[output])
    exporter: Any = nbconvert.HTMLExporter()  # type: ignore[no-untyped-call]
    converted, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    texts, shown = Reader(page).texts, Reader(converted, strict=False).texts
    start = shown.index("heading")
    assert shown[start : start + len(texts)] == texts
    assert "<script>alert" not in converted


@dataclass
class Result:
    """A result with both forms."""

    def __repr__(self) -> str:
        return "plain"

    def _repr_html_(self) -> str:
        return "<p>html</p>"


@pytest.mark.parametrize(("named", "mode"), [("text", "text"), ("colour", "auto")])
def test_the_environment_names_the_display_when_it_is_first_asked_for(
    named: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    display = render.Display()
    monkeypatch.setenv("TFMAGIC_DISPLAY", named)
    assert display.mode == mode


@pytest.mark.parametrize(("mode", "forms"), [("auto", 2), ("html", 2), ("text", 1)])
def test_the_users_choice_of_display(mode: str, forms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render.display, "mode", mode)
    found: dict[str, Any] = render.bundle(Result())
    assert found["text/plain"] == "plain"
    assert len(found) == forms
