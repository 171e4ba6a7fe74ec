"""A table in a bare page: the real Python widget and the real ESM, joined without a server or a kernel.

Not for: what only a real front end shows, its theme and its shortcuts (``frontend.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.browser.graph_page import MODEL, settle

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tfmagic.notebook.panel.widgets.table import Table

ADDRESS = "http://127.0.0.1/table"
#: As for the graph; and what the kernel does by itself is taken over when a test says so.
REFRESH = "window.refresh = () => { window.sent = (window.sent ?? 0) + 1; python({ do: 'nothing' }).then(apply); };"
REFRESHED = MODEL.replace("const model = {", f"{REFRESH}\n  const model = {{")
KEYS = (
    *("label", "columns", "sought", "total", "height", "facets", "switch", "variable", "details", "wanted"),
    *("sorted", "layout_of_columns"),
)


@dataclass(frozen=True)
class TablePage:
    """A page that shows a table.

    Attributes
    ----------
    page : Page
        The page.
    table : Table
        The Python side.
    sizes : list of int
        The bytes of each answer of the kernel.
    """

    page: Page
    table: Table
    sizes: list[int]

    @classmethod
    def mount(cls, page: Page, table: Table, style: str = "") -> TablePage:
        """Show a table in a page, with a theme's variables."""
        messages: list[Any] = []
        sizes: list[int] = []
        table.send = lambda content, buffers=None: messages.append(content)  # noqa: ARG005 - the widget's own signature

        def answer(message: dict[str, Any] | None) -> dict[str, Any]:
            if message is not None:
                table._handle_custom_msg(message, [])
            found = json.dumps(
                {"state": {key: table.get_state(key)[key] for key in KEYS}, "messages": messages}, allow_nan=False
            )
            sizes.append(len(found))
            messages.clear()
            plain: dict[str, Any] = json.loads(found)
            return plain

        page.expose_function("python", answer)
        body = (
            f'<!doctype html><html lang="en"><title>table</title><body style="margin:8px;{style}">'
            '<main><div id="here"></div></main>'
        )
        page.route(ADDRESS, lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(ADDRESS)
        page.evaluate("() => {" + REFRESHED + "}")
        page.evaluate("window.mount", [answer(None)["state"], table._esm.__str__(), table._css.__str__()])
        shown = cls(page, table, sizes)
        shown.settle()
        return shown

    def settle(self) -> None:
        """Wait until the kernel has answered all that was asked, and the page has drawn it."""
        settle(self.page)

    def update(self) -> None:
        """Let the page take over what Python changed by itself."""
        self.page.evaluate("() => window.refresh()")
        self.settle()

    @property
    def search(self) -> Locator:
        """The field to filter by."""
        return self.page.get_by_role("searchbox")

    @property
    def grid(self) -> Locator:
        """The table."""
        return self.page.get_by_role("grid")

    def type(self, text: str) -> None:
        """Type a filter and wait for the rows."""
        self.search.fill(text)
        self.settle()

    def count(self) -> str:
        """Return what is said of the number of rows."""
        return self.page.locator(".tfm-count").inner_text()

    def column(self, name: str) -> list[str]:
        """Return the texts that are drawn of one column, of the rows that are in view."""
        return [row[name] for row in self.rows()]

    def rows(self) -> list[dict[str, str]]:
        """Return the rows that are in view, by column."""
        found: list[dict[str, str]] = self.page.evaluate(IN_VIEW)
        return found


#: What of the table is in view, measured: a row is in it if its middle is.
IN_VIEW = """() => {
  const pane = document.querySelector(".tfm-pane").getBoundingClientRect();
  const names = [...document.querySelectorAll("[role=columnheader]")].map((each) => each.dataset.column);
  return [...document.querySelectorAll(".tfm-row")].filter((row) => {
    const { top, height } = row.getBoundingClientRect(), middle = top + height / 2;
    return middle > pane.top && middle < pane.bottom;
  }).map((row) => Object.fromEntries([...row.children].map((cell, place) => [names[place], cell.textContent])));
}"""
