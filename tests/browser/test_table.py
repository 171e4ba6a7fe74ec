"""The table in a bare page: what a person sees and does, by mouse and by keyboard, up to a million rows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.bench_table import ROW_WATCH, million
from tests.browser import axe
from tests.browser.table_page import TablePage
from tests.drawn_graphs import HOSTILE
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.browser.conftest import OpenNotebook

    Show = Callable[..., TablePage]

OPS = ("Conv2D", "BiasAdd", "Relu", "Const")
LIGHT = "background:#fff;--jp-layout-color1:#fff;--jp-ui-font-color1:rgba(0,0,0,.87);--jp-brand-color1:#1976d2"
DARK = (
    "background:#111;--jp-layout-color1:#111;--jp-ui-font-color1:rgb(222,222,222);--jp-brand-color1:#2196f3;"
    "--jp-content-link-color:#64b5f6"
)
COUNT = 500


def frame(count: int = COUNT) -> pd.DataFrame:
    return pd.DataFrame({
        "name": pd.Series([f"net/block_{row // 10}/unit_{row}" for row in range(count)], dtype=object),
        "op": pd.Categorical([OPS[row % 4] for row in range(count)], categories=OPS),
        "inputs": pd.Series(np.fromiter(((f"unit_{row}",) for row in range(count)), object, count), dtype=object),
        "bytes": [row * 37 % 101 for row in range(count)],
        "function": pd.Categorical(["" if row < 300 else "inner" for row in range(count)], categories=["", "inner"]),
    })  # fmt: skip


@pytest.fixture
def show(page: Page) -> Show:
    """Show a table in a bare page."""

    def mounted(rows: pd.DataFrame | None = None, style: str = LIGHT, **more: Any) -> TablePage:
        table = Table(
            frame() if rows is None else rows,
            **{"label": "Ops", "facets": {"function": "main graph", "op": ""}, "bars": ("bytes",), **more},
        )
        return TablePage.mount(page, table, style)

    return mounted


def details(table: Table) -> Callable[[int], None]:
    """Return what tells details of a row: a link to the row before it, one to nowhere, a button."""

    def tell(row: int) -> None:
        if row >= 0:
            links: Any = [{"text": f"row {row - 1}", "row": row - 1}, {"text": "nowhere"}]
            table.tell({
                "row": row, "title": cell_text.long_text(table.frame["name"].iloc[row]), "facts": [("op", "Relu")],
                "groups": [{"title": "inputs", "links": links, "more": 3}],
                "acts": [{"name": "go", "text": "Show in graph"}],
                "chart": {"bars": [0.5, 1], "low": "0", "high": "9", "text": "Histogram of 2 values"},
            })  # fmt: skip

    return tell


def with_details(shown: TablePage) -> TablePage:
    shown.table._on_row = details(shown.table)
    return shown


def name_of(row: int) -> str:
    return f"net/block_{row // 10}/unit_{row}"


@pytest.mark.parametrize(("rows", "told"), [(0, "0 rows"), (1, "1 row")])
def test_a_table_with_next_to_nothing_says_so(show: Show, rows: int, told: str) -> None:
    shown = show(frame(rows))
    assert shown.count() == told
    assert "name" in shown.grid.inner_text()
    assert ("There are no ops." in shown.grid.inner_text()) is (rows == 0)


def test_typing_filters_by_name_or_op_and_says_how_many(show: Show) -> None:
    shown = show()
    assert shown.count() == "500 rows"
    shown.type("unit_49")
    assert shown.column("name") == [name_of(row) for row in (49, *range(490, 500))]
    assert shown.count() == "11 of 500 rows"
    shown.type("bias")
    assert set(shown.column("op")) == {"BiasAdd"}
    shown.type("nowhere")
    assert shown.rows() == []
    assert "No row matches" in shown.grid.inner_text()
    shown.page.get_by_role("button", name="Clear").click()
    shown.settle()
    assert shown.count() == "500 rows"
    assert shown.search.input_value() == ""


def test_one_question_is_under_way_and_of_those_that_wait_the_last_one_counts(show: Show) -> None:
    shown = show()
    answer = shown.table._actions["window"]
    asked: list[str] = []

    def slow(question: Any) -> None:
        asked.append(question["query"]["text"])
        threading.Event().wait(0.25)
        answer(question)

    shown.table._actions["window"] = slow
    shown.search.press_sequentially("unit_499", delay=60)
    shown.settle()
    assert asked[-1] == "unit_499"
    assert len(asked) <= 4
    assert shown.column("name") == [name_of(499)]
    assert shown.count() == "1 of 500 rows"


def test_a_question_that_fails_is_said_and_the_next_one_answered(show: Show) -> None:
    shown = show()
    answer = shown.table._actions["window"]

    def fail(_question: Any) -> None:
        message = "out of memory"
        raise MemoryError(message)

    shown.table._actions["window"] = fail
    shown.type("unit_4")
    assert "out of memory" in shown.page.locator(".tfm-status").inner_text()
    assert shown.column("name")[0] == name_of(0)
    shown.table._actions["window"] = answer
    shown.type("unit_499")
    assert shown.column("name") == [name_of(499)]


def test_a_regular_expression_is_a_switch_and_one_that_is_none_is_said(show: Show) -> None:
    shown = show()
    shown.type("unit_.$")
    assert shown.count() == "0 of 500 rows"
    switch = shown.page.get_by_role("button", name="Regular expression")
    switch.click()
    shown.settle()
    assert switch.get_attribute("aria-pressed") == "true"
    assert shown.count() == "10 of 500 rows"
    shown.type("unit_(")
    assert "not a regular expression" in shown.page.locator(".tfm-status").inner_text()
    assert shown.search.get_attribute("aria-invalid") == "true"
    shown.type("unit_(1|2)$")
    assert shown.count() == "2 of 500 rows"
    assert shown.search.get_attribute("aria-invalid") == "false"


def test_a_header_sorts_one_way_the_other_and_not_at_all(show: Show) -> None:
    shown = show()
    header = shown.page.get_by_role("columnheader", name="name")
    first = shown.column("name")
    header.get_by_role("button").click()
    shown.settle()
    assert header.get_attribute("aria-sort") == "ascending"
    assert shown.column("name")[:3] == sorted(name_of(row) for row in range(COUNT))[:3]
    header.get_by_role("button").click()
    shown.settle()
    assert header.get_attribute("aria-sort") == "descending"
    assert shown.column("name")[0] == max(name_of(row) for row in range(COUNT))
    header.get_by_role("button").click()
    shown.settle()
    assert header.get_attribute("aria-sort") == "none"
    assert shown.column("name") == first


def test_sizes_begin_with_the_largest_and_are_as_long_as_their_share(show: Show) -> None:
    shown = show()
    shown.page.get_by_role("columnheader", name="bytes").get_by_role("button").click()
    shown.settle()
    assert shown.column("bytes")[0] == "100 B"
    widths = shown.page.eval_on_selector_all(
        ".tfm-row",
        "rows => rows.slice(0, 120).map((row) => row.querySelector('.tfm-share')?.getBoundingClientRect().width ?? 0)",
    )
    assert widths == sorted(widths, reverse=True)
    cell = shown.page.locator(".tfm-row .tfm-bar").first.bounding_box()
    assert cell is not None
    # No bar touches that of the next column.
    assert widths[0] == pytest.approx(cell["width"] - 8, abs=1)


def headings(shown: TablePage) -> list[str]:
    names = shown.page.eval_on_selector_all(".tfm-head > *", "all => all.map((each) => each.dataset.column)")
    return [str(name) for name in names]


def width_of(shown: TablePage, name: str) -> float:
    box = shown.page.get_by_role("columnheader", name=name, exact=True).bounding_box()
    assert box is not None
    return box["width"]


def test_sizes_are_said_in_units_and_exact_where_the_pointer_rests(show: Show) -> None:
    rows = pd.DataFrame({"name": ["a", "b", "c", "d"], "bytes": [5_124_000, 614_400, 12, 0], "size": [5, 6, 7, 8]})
    shown = show(rows, facets={}, label="Variables", largest="bytes")
    assert shown.column("bytes") == ["5.1 MB", "614 kB", "12 B", "0 B"]
    titles = shown.page.eval_on_selector_all(".tfm-bar", "all => all.map((each) => each.title)")
    assert titles[1:] == ["5,124,000 bytes", "614,400 bytes", "12 bytes", "0 bytes"]
    ends = shown.page.eval_on_selector_all(".tfm-unit", "all => all.map((each) => each.getBoundingClientRect().left)")
    assert max(ends) - min(ends) < 0.5


def test_the_largest_may_come_first_until_somebody_sorts(show: Show) -> None:
    shown = show(largest="bytes")
    header = shown.page.get_by_role("columnheader", name="bytes")
    assert header.get_attribute("aria-sort") == "descending"
    assert shown.column("bytes")[0] == "100 B"
    for expected in ("0 B", shown.table.frame["bytes"].astype(str)[0] + " B"):
        header.get_by_role("button").click()
        shown.settle()
        assert shown.column("bytes")[0] == expected
    assert header.get_attribute("aria-sort") == "none"


@pytest.mark.parametrize(("rows", "most"), [(1, 2), (3, 3), (7, 7), (COUNT, 16)])
def test_a_table_is_as_high_as_its_rows(show: Show, rows: int, most: int) -> None:
    shown = show(frame(rows))
    assert shown.page.locator(".tfm-pane").evaluate("each => Math.floor(each.clientHeight / 26)") == pytest.approx(
        most, abs=1 if rows == COUNT else 0
    )


def test_a_long_name_keeps_its_end_and_gives_way_in_its_scope(show: Show) -> None:
    scope = "a_scope/that_goes_on/and_on/and_on/until/nobody_reads_it/"
    names = [f"{scope}kernel", f"{scope}{'x' * 50}_the_end", "conv_1", "conv_2", "other"]
    shown = show(pd.DataFrame({"name": names, "bytes": range(5)}), facets={})
    shown.page.set_viewport_size({"width": 600, "height": 900})
    shown.settle()
    cells = shown.page.locator(".tfm-row .tfm-name")
    assert shown.column("name") == names
    assert cells.nth(0).get_attribute("aria-label") == names[0]
    inside = """cell => [...cell.querySelectorAll(".tfm-text > span")].map((part) => {
      const { left, right } = part.getBoundingClientRect(), around = cell.getBoundingClientRect();
      return [part.className, part.scrollWidth > part.clientWidth, left >= around.left && right <= around.right];
    })"""
    assert cells.nth(0).evaluate(inside) == [["tfm-scope", True, True], ["tfm-tail", False, True]]
    assert cells.nth(1).evaluate(inside)[1:] == [["tfm-stem", True, True], ["tfm-tail", False, True]]
    # Without a scope, what neighbours share is said softly.
    assert [cells.nth(row).locator(".tfm-scope").all_inner_texts() for row in (2, 3, 4)] == [["conv_"], ["conv_"], []]


def test_a_name_is_copied_in_one_piece(show: Show) -> None:
    shown = show()
    copied = shown.page.evaluate("""() => {
      const cell = document.querySelectorAll(".tfm-row .tfm-name")[3], data = new DataTransfer();
      getSelection().selectAllChildren(cell);
      cell.firstChild.firstChild.dispatchEvent(new ClipboardEvent("copy", { bubbles: true, clipboardData: data }));
      return data.getData("text/plain");
    }""")
    assert copied == name_of(3)


def test_columns_are_hidden_and_moved_by_keyboard_and_kept(show: Show) -> None:
    shown = show()
    keys = shown.page.keyboard
    assert headings(shown) == ["name", "op", "inputs", "bytes", "function"]
    shown.page.get_by_role("button", name="Columns", exact=True).focus()
    keys.press("Enter")
    assert shown.page.evaluate("document.activeElement.type") == "checkbox"
    shown.page.get_by_role("checkbox", name="inputs").focus()
    keys.press("Space")
    shown.settle()
    assert headings(shown) == ["name", "op", "bytes", "function"]
    assert shown.rows()[1] == {"name": name_of(1), "op": "BiasAdd", "bytes": "37 B", "function": ""}
    move = shown.page.get_by_role("button", name="Move bytes to the left")
    move.focus()
    for _ in range(3):
        keys.press("Enter")
        shown.settle()
        assert move.evaluate("each => each === document.activeElement")
    assert headings(shown) == ["bytes", "name", "op", "function"]
    assert shown.rows()[1] == {"name": name_of(1), "op": "BiasAdd", "bytes": "37 B", "function": ""}
    keys.press("Escape")
    assert shown.page.evaluate("document.activeElement.textContent") == "Columns"
    kept = shown.table.layout_of_columns
    assert (kept["hidden"], kept["order"][:2]) == (["inputs"], ["bytes", "name"])
    # Another view of the table, or the page read anew, has them so.
    shown.page.evaluate("() => { window.unmount(); document.getElementById('here').replaceChildren(); }")
    again = TablePage.mount(shown.page.context.new_page(), shown.table, LIGHT)
    assert headings(again) == ["bytes", "name", "op", "function"]
    again.page.get_by_role("button", name="Columns", exact=True).click()
    again.page.get_by_role("button", name="As at first").click()
    again.settle()
    assert headings(again) == ["name", "op", "inputs", "bytes", "function"]
    again.page.close()


def test_one_column_always_stays(show: Show) -> None:
    shown = show(frame()[["name", "bytes"]], facets={})
    shown.page.get_by_role("button", name="Columns", exact=True).click()
    shown.page.get_by_role("checkbox", name="name").click()
    shown.page.get_by_role("checkbox", name="bytes").click(force=True)
    shown.settle()
    assert headings(shown) == ["bytes"]


def test_columns_are_made_wider_by_mouse_and_by_keyboard(show: Show) -> None:
    shown = show()
    before = width_of(shown, "op")
    header = shown.page.get_by_role("columnheader", name="op", exact=True)
    grip = header.locator(".tfm-grip").bounding_box()
    assert grip is not None
    shown.page.mouse.move(grip["x"] + 4, grip["y"] + 8)
    shown.page.mouse.down()
    shown.page.mouse.move(grip["x"] + 94, grip["y"] + 8, steps=4)
    shown.page.mouse.up()
    shown.settle()
    assert width_of(shown, "op") == pytest.approx(before + 90, abs=2)
    # Nothing was sorted by it.
    assert header.get_attribute("aria-sort") == "none"
    header.get_by_role("button").focus()
    shown.page.keyboard.press("Shift+ArrowLeft")
    shown.settle()
    assert width_of(shown, "op") == pytest.approx(before + 74, abs=2)
    cell = shown.page.locator(".tfm-row > :nth-child(2)").first.bounding_box()
    assert cell is not None
    assert cell["width"] == pytest.approx(width_of(shown, "op"), abs=1)
    header.locator(".tfm-grip").dblclick()
    shown.settle()
    assert width_of(shown, "op") < before + 40
    assert shown.page.locator(".tfm-row > :nth-child(2)").first.evaluate("each => each.scrollWidth <= each.clientWidth")


def test_a_heading_is_dragged_to_another_place(show: Show) -> None:
    shown = show()
    begin = shown.page.get_by_role("columnheader", name="bytes").bounding_box()
    end = shown.page.get_by_role("columnheader", name="op", exact=True).bounding_box()
    assert begin is not None
    assert end is not None
    shown.page.mouse.move(begin["x"] + 20, begin["y"] + 8)
    shown.page.mouse.down()
    shown.page.mouse.move(end["x"] + 5, end["y"] + 8, steps=6)
    shown.page.mouse.up()
    shown.settle()
    assert headings(shown) == ["name", "bytes", "op", "inputs", "function"]
    header = shown.page.get_by_role("columnheader", name="bytes")
    assert header.get_attribute("aria-sort") == "none"
    header.get_by_role("button").click()
    shown.settle()
    assert header.get_attribute("aria-sort") == "descending"


def test_values_of_a_facet_are_chosen_by_mouse_and_counted_under_the_others(show: Show) -> None:
    shown = show()
    shown.page.get_by_role("button", name="op", exact=True).first.click()
    options = shown.page.get_by_role("option")
    assert [text.split() for text in options.all_inner_texts()] == [[op, str(COUNT // 4)] for op in OPS]
    shown.page.get_by_role("option", name="Relu").click()
    shown.settle()
    shown.page.get_by_role("option", name="Const").click()
    shown.settle()
    assert set(shown.column("op")) == {"Relu", "Const"}
    assert shown.count() == "250 of 500 rows"
    chooser = shown.page.get_by_role("button", name="op: Relu, Const")
    assert chooser.get_attribute("aria-expanded") == "true"
    shown.page.get_by_role("button", name="function").first.click()
    texts = [text.split() for text in shown.page.get_by_role("option").all_inner_texts()]
    assert texts == [["main", "graph", "150"], ["inner", "100"]]
    chooser.click()
    shown.page.get_by_role("option", name="Relu").click()
    shown.settle()
    assert set(shown.column("op")) == {"Const"}


def test_many_values_scroll_down_and_not_aside(show: Show) -> None:
    count = 240
    rows = pd.DataFrame({
        "name": pd.Series([f"n{row}" for row in range(count)], dtype=object),
        "op": pd.Categorical([f"CustomOp{row:03}" for row in range(count)]),
    })  # fmt: skip
    shown = show(rows, facets={"op": ""}, bars=())
    shown.page.get_by_role("button", name="op", exact=True).first.click()
    listbox = shown.page.get_by_role("listbox")
    assert listbox.evaluate(
        "each => [each.scrollWidth <= each.clientWidth, each.scrollHeight > each.clientHeight]"
    ) == [
        True,
        True,
    ]
    assert "… and 40 more" in listbox.inner_text()
    shown.page.keyboard.press("End")
    last = shown.page.get_by_role("option", name="CustomOp199").bounding_box()
    around = listbox.bounding_box()
    assert last is not None
    assert around is not None
    assert around["y"] <= last["y"] < around["y"] + around["height"]


def test_facets_by_keyboard(show: Show) -> None:
    shown = show()
    keys = shown.page.keyboard
    shown.page.get_by_role("button", name="op", exact=True).first.focus()
    keys.press("Enter")
    assert shown.page.evaluate("document.activeElement.getAttribute('role')") == "listbox"
    keys.press("ArrowDown")
    keys.press("Space")
    shown.settle()
    assert set(shown.column("op")) == {"BiasAdd"}
    keys.press("End")
    keys.press("Enter")
    shown.settle()
    assert set(shown.column("op")) == {"BiasAdd", "Const"}
    keys.press("Escape")
    assert shown.page.get_by_role("listbox").count() == 0
    assert shown.page.evaluate("document.activeElement.textContent") == "op: BiasAdd, Const"


def test_rows_by_keyboard_and_no_key_leaks_to_the_front_end(show: Show) -> None:
    shown = with_details(show())
    leaked: list[str] = []
    shown.page.expose_function("leaked", lambda key: leaked.append(key))  # noqa: PLW0108 - playwright takes no builtin
    shown.page.evaluate("document.addEventListener('keydown', (event) => leaked(event.key))")
    keys = shown.page.keyboard

    def active() -> str:
        shown.settle()
        found: str = shown.page.evaluate(
            "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).dataset.row"
        )
        return found

    shown.search.focus()
    keys.press("ArrowDown")
    assert active() == "0"
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    assert active() == "2"
    keys.press("PageDown")
    page = int(active())
    assert 8 < page < 20
    keys.press("PageUp")
    assert active() == "2"
    keys.press("End")
    assert active() == str(COUNT - 1)
    assert shown.column("name")[-1] == name_of(COUNT - 1)
    keys.press("ArrowUp")
    assert active() == str(COUNT - 2)
    keys.press("Enter")
    shown.settle()
    about = shown.page.locator("section[aria-live]")
    assert name_of(COUNT - 2) in about.inner_text()
    assert shown.page.locator('[aria-selected="true"][role="row"]').get_attribute("data-row") == str(COUNT - 2)
    keys.press("Escape")
    shown.settle()
    assert not about.is_visible()
    keys.press("Home")
    assert active() == "0"
    keys.press("/")
    assert shown.page.evaluate("document.activeElement.type") == "search"
    assert leaked == []


def test_every_focusable_element_keeps_notebook_7s_shortcuts_away(show: Show) -> None:
    shown = with_details(show(namespace={}, variable="ops", aside=("Plumbing", np.arange(COUNT) < 5)))
    shown.page.locator(".tfm-row").first.click()
    shown.settle()
    shown.page.get_by_role("button", name="op", exact=True).first.click()
    bare = shown.page.eval_on_selector_all(
        "button, input, [tabindex]",
        "all => all.filter((each) => each.dataset.lmSuppressShortcuts !== 'true').map((each) => each.outerHTML)",
    )
    assert bare == []


def test_a_link_in_the_details_leads_to_its_row_through_any_filter(show: Show) -> None:
    shown = with_details(show())
    shown.type("unit_250")
    shown.page.locator(".tfm-row").first.click()
    shown.settle()
    about = shown.page.locator("section[aria-live]")
    assert about.locator("h4").inner_text() == name_of(250)
    assert about.get_by_role("img", name="Histogram of 2 values").is_visible()
    assert "… and 3 more" in about.inner_text()
    about.get_by_role("button", name="row 249").click()
    shown.settle()
    assert about.locator("h4").inner_text() == name_of(249)
    assert name_of(249) in shown.column("name")
    assert shown.count() == "500 rows"
    # The link that had the focus is gone; a key must not become the front end's.
    assert about.evaluate("each => each === document.activeElement")
    shown.page.keyboard.press("Escape")
    shown.settle()
    assert not about.is_visible()
    assert shown.grid.evaluate("each => each === document.activeElement")
    shown.page.locator(".tfm-row").first.click()
    shown.settle()
    about.get_by_role("button", name="Close").click()
    shown.settle()
    assert not about.is_visible()


def test_a_button_of_the_details_is_told_to_the_kernel(show: Show) -> None:
    acts: list[tuple[str, int]] = []
    shown = with_details(show(on_act=lambda name, row: acts.append((name, row))))
    shown.page.locator(".tfm-row").nth(3).click()
    shown.settle()
    shown.page.get_by_role("button", name="Show in graph").click()
    shown.settle()
    assert acts == [("go", 3)]


def test_python_shows_a_row_behind_the_switch_and_filters_by_op(show: Show) -> None:
    shown = with_details(show(aside=("Plumbing", np.arange(COUNT) < 5)))
    assert shown.count() == "495 rows"
    shown.table.show(2)
    shown.update()
    switch = shown.page.get_by_role("button", name="Plumbing")
    assert switch.get_attribute("aria-pressed") == "true"
    assert shown.page.locator('[role=row][aria-selected="true"]').get_attribute("data-row") == "2"
    shown.table.filter(op="Const")
    shown.update()
    assert set(shown.column("op")) == {"Const"}
    assert shown.page.get_by_role("button", name="op: Const").is_visible()


def test_what_was_asked_before_the_table_was_seen_is_there_when_it_is(page: Page) -> None:
    table = Table(frame(), facets={"op": ""})
    table._on_row = details(table)
    table.show(400)
    shown = TablePage.mount(page, table, LIGHT)
    assert name_of(400) in shown.column("name")
    assert shown.page.locator("section[aria-live] h4").inner_text() == name_of(400)


def test_filtered_rows_are_put_into_a_variable_whose_name_is_checked_while_typing(show: Show) -> None:
    variables: dict[str, Any] = {"taken": 1}
    shown = show(namespace=variables, variable="ops")
    shown.type("unit_1")
    name = shown.page.get_by_role("textbox", name="Name of the variable")
    button = shown.page.get_by_role("button", name="to DataFrame")
    status = shown.page.locator(".tfm-status")
    assert name.input_value() == "ops"
    name.fill("1x")
    shown.settle()
    assert "no name for a variable" in status.inner_text()
    assert button.is_disabled()
    name.fill("taken")
    shown.settle()
    assert "will be replaced" in status.inner_text()
    button.click()
    shown.settle()
    assert "press again to replace it" in status.inner_text()
    assert variables["taken"] == 1
    button.click()
    shown.settle()
    assert len(variables["taken"]) == 111
    assert "taken is now a DataFrame of 111 rows" in status.inner_text()


def test_names_of_a_model_are_text(show: Show) -> None:
    names = [*HOSTILE, *(f"n{row}" for row in range(20))]
    rows = pd.DataFrame({
        "name": pd.Series(names, dtype=object),
        "op": pd.Categorical(names),
        "function": pd.Categorical(names),
    })  # fmt: skip
    shown = with_details(show(rows))
    shown.page.evaluate("() => { window.alert = () => { throw new Error('a script of the model ran'); }; }")
    for row in range(len(HOSTILE)):
        shown.table.show(row)
        shown.update()
        title = shown.page.locator("section[aria-live] h4").inner_text()
        assert title[:8] == HOSTILE[row].replace("\u202e", "\\u202e")[:8]
    shown.page.get_by_role("button", name="op", exact=True).first.click()
    shown.page.get_by_role("option").first.click()
    shown.settle()
    assert shown.page.locator("main script, main img, main b, main svg, main [onload], main [onclick]").count() == 0
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_the_table_keeps_nobody_out(show: Show, style: str) -> None:
    shown = with_details(show(style=style, namespace={}, variable="ops", aside=("Plumbing", np.arange(COUNT) < 5)))
    assert axe.violations(shown.page) == []
    shown.page.get_by_role("button", name="op", exact=True).first.click()
    shown.page.get_by_role("option").first.click()
    shown.page.get_by_role("button", name="Columns", exact=True).click()
    shown.settle()
    shown.page.locator(".tfm-row").nth(2).click()
    shown.settle()
    assert axe.violations(shown.page) == []
    shown.type("nowhere")
    assert axe.violations(shown.page) == []


def test_a_dark_theme_is_followed(show: Show) -> None:
    shown = show(style=DARK)
    colours = (
        shown.page.locator(".tfm-row")
        .nth(1)
        .evaluate("row => [getComputedStyle(row).color, getComputedStyle(row.closest('.tfm-table')).backgroundColor]")
    )
    assert colours == ["rgb(222, 222, 222)", "rgb(17, 17, 17)"]


def test_it_is_as_high_as_the_rows_that_a_filter_leaves_when_nobody_types_on(show: Show) -> None:
    shown = show()
    height = "each => each.offsetHeight"
    whole = shown.grid.evaluate(height)
    shown.search.fill("block_7/")
    shown.page.get_by_text("10 of 500 rows").wait_for()
    # Nothing below it moves while somebody types.
    assert shown.grid.evaluate(height) == whole
    shown.settle()
    assert len(shown.rows()) == 10
    assert 30 + 10 * 26 <= shown.grid.evaluate(height) < 30 + 11 * 26 < whole
    # None matches: there is room to say so.
    shown.type("nowhere")
    assert shown.page.get_by_text("No row matches.").is_visible()
    # What comes needs its room at once.
    shown.search.fill("")
    shown.page.get_by_text("500 rows", exact=True).wait_for()
    assert shown.grid.evaluate(height) == whole


@pytest.mark.parametrize("width", [600, 1600])
def test_it_fits_a_narrow_and_a_wide_page(show: Show, width: int) -> None:
    shown = with_details(show(namespace={}, variable="ops"))
    shown.page.set_viewport_size({"width": width, "height": 900})
    shown.settle()
    shown.page.locator(".tfm-row").nth(2).click()
    shown.settle()
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name = shown.page.locator(".tfm-row .tfm-name").first.bounding_box()
    assert name is not None
    assert name["width"] >= 200
    outside = shown.page.eval_on_selector_all(
        ".tfm-tools > *, .tfm-status > *, section[aria-live] *",
        "all => all.filter((each) => each.getBoundingClientRect().right > innerWidth).map((each) => each.outerHTML)",
    )
    assert outside == []


LIVE = """import numpy as np, pandas as pd
from tfmagic.notebook.panel.widgets.table import Table
names = [f"net/block_{row // 10}/unit_{row}" for row in range(500)]
frame = pd.DataFrame({"name": pd.Series(names, dtype=object), "bytes": range(500)})
opened = []
table = Table(frame, label="Ops", bars=("bytes",), namespace=globals(), variable="kept", on_row=opened.append)
table"""


def test_in_a_real_front_end_keys_reach_the_table_and_nothing_else(notebook: OpenNotebook) -> None:
    frontend = notebook([LIVE, "opened, len(kept)"])
    frontend.run(0)
    cell = frontend.cell(0)
    cell.get_by_role("gridcell", name="net/block_0/unit_0").first.wait_for()
    cells = frontend.page.locator(".jp-Notebook .jp-Cell").count()
    search = cell.get_by_role("searchbox")
    search.press_sequentially("block_dd")
    cell.get_by_text("0 of 500 rows").wait_for()
    search.fill("block_4/")
    cell.get_by_text("10 of 500 rows").wait_for()
    search.press("ArrowDown")
    # Without care, these would delete, copy, add and convert cells.
    for key in ("d", "d", "b", "m", "x", "j", "ArrowDown", "Enter"):
        frontend.page.keyboard.press(key)
    cell.locator('[role=row][aria-selected="true"]').wait_for()
    cell.get_by_role("button", name="to DataFrame").press("Enter")
    cell.get_by_text("kept is now a DataFrame of 10 rows").wait_for()
    cell.get_by_role("columnheader", name="name").get_by_role("button").press("d")
    frontend.page.keyboard.press("d")
    assert frontend.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert frontend.page.locator(".jp-Notebook .jp-MarkdownCell").count() == 0
    assert frontend.run(1)[0]["data"]["text/plain"] == "([41], 10)"


# A million rows


@pytest.fixture(scope="module")
def large() -> pd.DataFrame:
    return million()


def covered(shown: TablePage) -> list[str]:
    """Return the names in view, once it is certain that they fill it."""
    names = shown.column("name")
    height = shown.page.locator(".tfm-pane").evaluate("each => each.clientHeight")
    assert len(names) >= height // 26 - 1
    return names


def test_a_million_rows_are_reached_from_the_first_to_the_last(show: Show, large: pd.DataFrame) -> None:
    shown = show(large)
    assert shown.count() == "1,000,000 rows"
    assert covered(shown)[0] == large["name"][0]
    shown.grid.focus()
    shown.page.keyboard.press("End")
    shown.settle()
    assert covered(shown)[-1] == large["name"].iloc[-1]
    shown.page.keyboard.press("ArrowUp")
    shown.page.keyboard.press("PageUp")
    shown.settle()
    row = int(shown.page.evaluate(
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).dataset.row"
    ))  # fmt: skip
    assert large["name"][row] in covered(shown)
    shown.page.evaluate(
        "document.querySelector('.tfm-view').scrollTop = document.querySelector('.tfm-view').scrollHeight / 2"
    )
    shown.settle()
    middle = large.index[large["name"] == covered(shown)[0]][0]
    assert abs(middle - 500_000) < 1_000
    shown.table.show(777_777)
    shown.update()
    assert large["name"][777_777] in covered(shown)


def test_the_wheel_moves_by_rows_even_where_the_position_is_scaled(show: Show, large: pd.DataFrame) -> None:
    shown = show(large)
    box = shown.page.locator(".tfm-pane").bounding_box()
    assert box is not None
    shown.page.mouse.move(box["x"] + 50, box["y"] + 50)
    for _ in range(4):
        shown.page.mouse.wheel(0, 260)
    shown.settle()
    assert covered(shown)[0] == large["name"][40]


def test_no_frame_is_blank_while_a_million_rows_are_scrolled_through(show: Show, large: pd.DataFrame) -> None:
    shown = show(large)
    answer = shown.table._actions["window"]

    def slow(asked: Any) -> None:
        threading.Event().wait(0.06)
        answer(asked)

    shown.table._actions["window"] = slow
    frames = shown.page.evaluate(ROW_WATCH, 60)
    shown.settle()
    assert len(frames) >= 60
    assert min(frames) == max(frames) > 0.97
    covered(shown)


def test_what_goes_over_the_wire_to_show_a_million_rows_is_little(show: Show, large: pd.DataFrame) -> None:
    shown = show(large)
    assert sum(shown.sizes) < 200_000
    shown.type("conv")
    assert max(shown.sizes) < 100_000
