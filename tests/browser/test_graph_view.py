from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

import tfmagic
from tests import drawn_graphs
from tests.browser.graph_page import GraphPage
from tests.drawn_graphs import HOSTILE, LOOP, LOOPING, chain
from tfmagic.display.graph import shades
from tfmagic.notebook.panel.widgets import assets
from tfmagic.notebook.panel.widgets.graph_view import GraphView

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import OpenNotebook

    Show = Callable[..., GraphPage]

NAMES = ["x", *(f"net/block_{n // 5}/unit_{n}" for n in range(60))]
#: JupyterLab's dark theme, as far as the graph uses it.
DARK = "background:#111;--jp-layout-color1:#111;--jp-ui-font-color1:rgb(222,222,222);--jp-brand-color1:#2196f3"


@pytest.fixture
def show(page: Page) -> Show:
    """Show a graph in a bare page."""

    def mounted(rows: list[drawn_graphs.Node], functions: Any = None, style: str = "", **more: Any) -> GraphPage:
        return GraphPage.mount(page, GraphView(drawn_graphs.model(rows, functions), **more), style)

    return mounted


def middle(box: Locator) -> tuple[float, float]:
    found = box.bounding_box()
    assert found is not None
    return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2


def is_inside(box: Locator, stage: Locator) -> bool:
    x, y = middle(box)
    around = stage.bounding_box()
    assert around is not None
    return around["x"] < x < around["x"] + around["width"] and around["y"] < y < around["y"] + around["height"]


def classes(shown: GraphPage, label: str) -> set[str]:
    return set((shown.box(label).get_attribute("class") or "").split())


def test_a_click_unfolds_and_folds_and_the_box_stays_at_hand(show: Show) -> None:
    shown = show(chain(NAMES))
    before = shown.labels()
    x, y = middle(shown.box("block_1").locator("text").first)
    shown.click("block_1")
    assert set(shown.labels()) - set(before) == {f"unit_{n}" for n in range(5, 10)}
    assert shown.box("block_1").get_attribute("aria-expanded") == "true"
    box = shown.box("block_1").bounding_box()
    assert box is not None
    assert box["x"] - 5 < x < box["x"] + box["width"]
    assert abs(box["y"] - y) < 120
    shown.click("block_1")
    assert sorted(shown.labels()) == sorted(before)


def test_a_loop_unfolds_into_its_functions(show: Show) -> None:
    shown = show(LOOP, LOOPING)
    assert {"cond: cond", "body: body", "scope/mul"} <= set(shown.labels())
    shown.click("loop")
    assert shown.labels() == ["x", "loop", "y"]


def test_a_search_unfolds_to_the_hit_and_brings_it_into_view(show: Show) -> None:
    shown = show(chain(NAMES))
    search = shown.page.get_by_role("combobox", name="Find an op by name or type")
    search.fill("unit_58")
    option = shown.page.locator(".tfm-hits li")
    option.wait_for()
    assert option.inner_text().split() == ["net/block_11/unit_58", "Relu"]
    search.press("Enter")
    shown.settle()
    assert is_inside(shown.box("unit_58"), shown.page.locator(".tfm-stage"))
    assert "tfm-chosen" in classes(shown, "unit_58")
    assert shown.page.evaluate("document.activeElement.dataset.n") == shown.box("unit_58").get_attribute("data-n")
    assert "net/block_11/unit_58" in shown.page.locator(".tfm-about").inner_text()


def test_what_nothing_matches_is_said(show: Show) -> None:
    shown = show(chain(NAMES))
    shown.page.get_by_role("combobox").first.fill("nowhere")
    shown.page.get_by_role("status").get_by_text("0 found").wait_for()


def test_what_feeds_and_what_follows_is_marked_and_nothing_fades(show: Show) -> None:
    rows: list[drawn_graphs.Node] = [
        ("x", "Placeholder", ()), ("other", "Placeholder", ()), ("a", "Relu", ("x",)), ("b", "Neg", ("a",)),
        ("c", "Add", ("b", "side")), ("side", "Abs", ("other",)),
    ]  # fmt: skip
    shown = show(rows)
    shown.click("b")
    assert [label for label in "xabc" if "tfm-up" in classes(shown, label)] == ["x", "a"]
    assert "tfm-down" in classes(shown, "c")
    assert not {"tfm-up", "tfm-down"} & classes(shown, "side")
    faint = "[...document.querySelectorAll('.tfm-box, .tfm-edge')].filter((each) => getComputedStyle(each).opacity < 1)"
    assert shown.page.evaluate(f"{faint}.length") == 0
    filled = "[...document.querySelectorAll('.tfm-edge')].filter((each) => getComputedStyle(each).fill !== 'none')"
    assert shown.page.evaluate(f"{filled}.length") == 0
    assert shown.page.locator(".tfm-edge.tfm-up").count() == 2
    assert shown.page.locator(".tfm-edge.tfm-down").count() == 1
    shown.click("b")
    assert shown.page.locator(".tfm-up, .tfm-down").count() == 0


def test_details_lead_to_neighbours_and_to_the_table_of_ops(show: Show) -> None:
    rows: list[int] = []
    shown = show(chain(NAMES), on_row=rows.append)
    shown.click("block_0")
    shown.click("unit_4")
    about = shown.page.locator(".tfm-about")
    about.get_by_role("button", name="block_1/unit_5").click()
    shown.settle()
    assert "tfm-chosen" in classes(shown, "unit_5")
    about.get_by_role("button", name="Show in Ops").click()
    shown.settle()
    assert rows == [6]


def weighty(on: list[Any]) -> GraphView:
    """Show a small graph with a weight of known values, whose links are noted."""
    graph = drawn_graphs.graph([("x", "Placeholder", ()), ("w", "Const", ()), ("y", "MatMul", ("x", "w"))])
    graph.node[1].attr["dtype"].type = 1
    tensor = graph.node[1].attr["value"].tensor
    tensor.dtype = 1
    for size in (4, 5):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = np.arange(20, dtype="<f4").tobytes()
    graph.node[2].attr["transpose_a"].b = True
    view = GraphView(
        tfmagic.inspect(graph),
        lambda row: on.append(("row", row)),
        on_variable=lambda row: on.append(("variable", row)),
        on_output=lambda tensor, _signature: on.append(("output", tensor)),
    )
    assert isinstance(view, GraphView)
    return view


def test_the_pane_tells_settings_ends_and_weights_and_leads_on(page: Page) -> None:
    went: list[Any] = []
    shown = GraphPage.mount(page, weighty(went))
    shown.click("y")
    about = page.get_by_role("region", name="Details of the chosen box")
    text = about.inner_text()
    assert "transpose_a" in text
    assert "4\N{MULTIPLICATION SIGN}5 float32, 80 B" in text
    chart = about.get_by_role("img")
    chart.wait_for()
    assert "20 values from 0 to 19" in (chart.get_attribute("aria-label") or "")
    assert "9.5" in about.inner_text()
    about.get_by_role("button", name="w", exact=True).last.click()
    about.get_by_role("button", name="Show in Ops").click()
    shown.settle()
    assert went == [("variable", 0), ("row", 2)]


@pytest.mark.parametrize(("width", "is_beside"), [(1280, True), (600, False)])
def test_the_pane_stands_beside_the_picture_or_below_it(page: Page, width: int, is_beside: bool) -> None:  # noqa: FBT001
    page.set_viewport_size({"width": width, "height": 1000})
    shown = GraphPage.mount(page, weighty([]))
    shown.click("y")
    stage, about = page.locator(".tfm-stage").bounding_box(), page.locator(".tfm-about").bounding_box()
    assert stage is not None
    assert about is not None
    assert (about["x"] >= stage["x"] + stage["width"]) == is_beside
    assert (about["y"] >= stage["y"] + stage["height"]) != is_beside
    assert is_inside(shown.box("y"), page.locator(".tfm-stage"))
    page.keyboard.press("Escape")
    page.locator(".tfm-about").wait_for(state="hidden")


def test_closing_the_pane_gives_the_focus_back_to_its_box(page: Page) -> None:
    shown = GraphPage.mount(page, weighty([]))
    shown.click("y")
    page.get_by_role("button", name="Close the details").click()
    assert page.evaluate("document.activeElement.dataset.n") == shown.box("y").get_attribute("data-n")
    assert page.locator(".tfm-about").is_hidden()


def test_the_list_of_a_search_lies_over_the_picture_and_hits_are_outlined(show: Show) -> None:
    shown = show(chain(NAMES))
    stage = shown.page.locator(".tfm-stage")
    before = stage.bounding_box()
    search = shown.page.get_by_role("combobox", name="Find an op by name or type")
    search.fill("unit_1")
    shown.page.locator(".tfm-hits li").first.wait_for()
    assert stage.bounding_box() == before
    listed = shown.page.get_by_role("listbox").bounding_box()
    assert listed is not None
    assert before is not None
    assert listed["y"] + listed["height"] > before["y"]
    assert "tfm-hit" in classes(shown, "block_0")
    assert "tfm-hit" not in classes(shown, "block_9")
    assert shown.page.locator(".tfm-hits mark").first.inner_text() == "unit_1"
    search.press("Escape")
    shown.page.locator(".tfm-hits li").first.wait_for(state="hidden")
    search.press("Escape")
    assert shown.page.evaluate("document.activeElement.classList.contains('tfm-box')")


def test_the_picture_is_made_higher_by_its_handle(show: Show) -> None:
    shown = show(chain(NAMES))
    height = "document.querySelector('.tfm-stage').clientHeight"
    before = shown.page.evaluate(height)
    handle = shown.page.get_by_role("separator", name="Height of the picture")
    x, y = middle(handle)
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x, y + 90, steps=3)
    shown.page.mouse.up()
    assert shown.page.evaluate(height) == pytest.approx(before + 90, abs=2)
    handle.press("ArrowUp")
    assert shown.page.evaluate(height) == pytest.approx(before + 50, abs=2)
    shown.page.get_by_role("button", name="Fit", exact=True).click()
    assert shown.page.evaluate(height) == pytest.approx(before + 50, abs=2)


def test_a_picture_that_stays_as_it_is_is_fitted_to_another_width(page: Page) -> None:
    page.set_viewport_size({"width": 1200, "height": 900})
    shown = GraphPage.mount(page, GraphView(drawn_graphs.model(chain(["x", "a", "y"]))))
    for width in (700, 1100):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function("document.querySelector('.tfm-graph').clientWidth < innerWidth - 10")
        shown.settle()
        stage = page.locator(".tfm-stage").bounding_box()
        assert stage is not None
        assert middle(shown.box("a"))[0] == pytest.approx(stage["x"] + stage["width"] / 2, abs=6)
    # The next unfolding keeps what is clicked where it is: nothing is still waiting to be fitted.
    assert shown.page.evaluate("window.sent === window.answered")


@pytest.mark.parametrize("calm", [True, False])
def test_boxes_move_to_their_new_places_unless_less_motion_is_wanted(page: Page, calm: bool) -> None:  # noqa: FBT001
    shown = GraphPage.mount(page, GraphView(drawn_graphs.model(chain(NAMES))), calm=calm)
    page.evaluate(
        "() => { window.moved = 0; const animate = Element.prototype.animate;"
        " Element.prototype.animate = function (...rest) { window.moved += 1; return animate.apply(this, rest); }; }"
    )
    shown.box("block_1").focus()
    page.keyboard.press("Enter")
    shown.settle()
    assert (page.evaluate("window.moved") == 0) == calm


def test_what_stays_as_it_was_keeps_its_element(show: Show) -> None:
    shown = show(chain(NAMES))
    page = shown.page
    page.evaluate("document.querySelectorAll('.tfm-box, .tfm-edge').forEach((each) => { each.kept = true; })")
    shown.click("block_1")
    kept = "(all) => all.map((each) => [each.querySelector('text').textContent, Boolean(each.kept)])"
    found = dict(page.locator(".tfm-box").evaluate_all(kept))
    # Another box is drawn for what has parts now, and for what is around it, which is larger.
    new = {*(f"unit_{n}" for n in range(5, 10)), "block_1", "net"}
    assert {label for label, is_kept in found.items() if not is_kept} == new
    assert page.locator(".tfm-edge").evaluate_all("(all) => all.filter((each) => each.kept).length") > 5
    assert len(found) == len(shown.view.scene["boxes"])
    assert page.locator(".tfm-edge").count() == len(shown.view.scene["edges"])
    # Each stands where the kernel has it, and so does each edge.
    places = "(all) => all.map((each) => [Number(each.dataset.n), each.getAttribute('transform')])"
    assert dict(page.locator(".tfm-box").evaluate_all(places)) == {
        box["n"]: f"translate({box['x']} {box['y']})" for box in shown.view.scene["boxes"]
    }
    ways = "(all) => all.map((each) => each.getAttribute('d'))"
    assert sorted(page.locator(".tfm-edge").evaluate_all(ways)) == sorted(
        edge["d"] for edge in shown.view.scene["edges"]
    )
    # Those around others come before them, and all in the order in which they are read.
    numbers = "(all) => all.map((each) => Number(each.dataset.n))"
    for state in ("open", "folded", "op"):
        assert page.locator(f".tfm-box.tfm-{state}").evaluate_all(numbers) == [
            box["n"] for box in shown.view.scene["boxes"] if box["state"] == state
        ]


def test_marks_go_from_elements_that_stay(show: Show) -> None:
    shown = show(chain(NAMES))
    shown.box("block_3").focus()
    shown.page.keyboard.press(" ")
    shown.settle()
    assert shown.page.locator(".tfm-edge.tfm-up").count() > 0
    shown.click("block_1")
    shown.page.keyboard.press("Escape")
    shown.settle()
    assert shown.page.locator(".tfm-up, .tfm-down, .tfm-chosen").count() == 0
    tips = "(all) => new Set(all.map((each) => each.getAttribute('marker-end'))).size"
    assert shown.page.locator(".tfm-edge").evaluate_all(tips) == 1


def test_everything_by_keyboard(show: Show) -> None:
    shown = show(chain(NAMES))
    outside: list[str] = []
    shown.page.expose_function("leaked", lambda key: outside.append(key))  # noqa: PLW0108 - playwright takes no builtin
    shown.page.evaluate("document.addEventListener('keydown', (event) => leaked(event.key))")
    keys = shown.page.keyboard

    def focused() -> str:
        number = shown.page.evaluate("Number(document.activeElement.dataset.n)")
        return str(next(box["label"] for box in shown.view.scene["boxes"] if box["n"] == number))

    assert shown.page.locator('.tfm-box[tabindex="0"]').count() == 1
    shown.page.get_by_role("button", name="Full screen").focus()
    keys.press("Tab")
    first = focused()
    shown.box("x").focus()
    keys.press("ArrowDown")
    assert focused() == "block_0"
    keys.press("Enter")
    shown.settle()
    assert "unit_0" in shown.labels()
    assert focused() == "block_0"
    shown.box("unit_0").focus()
    keys.press("ArrowDown")
    assert focused() == "unit_1"
    keys.press("ArrowUp")
    assert focused() == "unit_0"
    keys.press(" ")
    shown.settle()
    assert "tfm-chosen" in classes(shown, "unit_0")
    keys.press("Escape")
    keys.press("Escape")
    shown.settle()
    assert "unit_0" not in shown.labels()
    assert focused() == "block_0"
    keys.press("/")
    assert shown.page.evaluate("document.activeElement.type") == "search"
    assert first in shown.labels()
    assert outside == []


def test_the_focus_stays_on_its_box_when_the_picture_is_laid_out_anew(show: Show) -> None:
    shown = show(chain(NAMES))
    number = shown.box("block_5").get_attribute("data-n")
    shown.box("block_5").focus()
    shown.page.set_viewport_size({"width": 600, "height": 900})
    shown.page.wait_for_function("window.sent >= 2")
    shown.settle()
    assert shown.page.evaluate("document.activeElement.dataset.n") == number


def test_boxes_are_a_tree_to_a_screen_reader(show: Show) -> None:
    shown = show(chain(NAMES))
    assert shown.page.get_by_role("tree").count() == 1
    assert shown.page.get_by_role("treeitem").count() == len(shown.view.scene["boxes"])
    item = shown.page.get_by_role("treeitem", name="block_3: 5 ops")
    assert (item.get_attribute("aria-expanded"), item.get_attribute("aria-level")) == ("false", "2")


def test_saving_gives_the_picture_that_is_seen(show: Show, tmp_path: Path) -> None:
    shown = show(chain(NAMES))
    shown.click("block_1")
    with shown.page.expect_download() as downloading:
        shown.page.get_by_role("button", name="Save SVG").click()
    downloading.value.save_as(tmp_path / "graph.svg")
    assert downloading.value.suggested_filename == "graph.svg"
    tree = ET.parse(tmp_path / "graph.svg")  # noqa: S314 - our own
    texts = {each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert {"unit_7", "block_2"} <= texts


def test_constants_appear_when_they_are_asked_for(show: Show) -> None:
    shown = show(LOOP, LOOPING)
    button = shown.page.get_by_role("button", name="Constants")
    button.click()
    shown.settle()
    assert "v" in shown.labels()
    assert button.get_attribute("aria-pressed") == "true"


def test_constants_are_not_offered_where_there_are_none(show: Show) -> None:
    shown = show(chain(NAMES))
    assert shown.page.get_by_role("button", name="Constants").count() == 0
    # A function may have some.
    calling: list[drawn_graphs.Node] = [
        ("x", "Placeholder", ()), ("call", "PartitionedCall", ("x",), {"f": "f"}), ("y", "Relu", ("call",)),
    ]  # fmt: skip
    body = ([("a", 1)], [("c", "Const", ()), ("inner", "Add", ("a", "c:output:0"))], {"r": "inner:z:0"})
    view = GraphView(drawn_graphs.model(calling, {"f": body}))
    call = next(box["n"] for box in view.scene["boxes"] if box["label"] == "call")
    view._handle_custom_msg({"do": "fold", "n": call}, [])
    assert not view.scene["tucked"]
    view._handle_custom_msg({"do": "open", "n": call}, [])
    assert view.scene["tucked"]


def test_another_function_can_be_chosen(show: Show) -> None:
    shown = show(LOOP, LOOPING)
    shown.page.get_by_role("combobox", name="Graph or function to show").select_option("self")
    shown.settle()
    assert {"b", "neg", "again", "out"} <= set(shown.labels())


def test_capitals_stay_in_their_box(show: Show) -> None:
    """As TFLite's ops are written."""
    ops = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM_OF_MANY_LETTERS")
    shown = show([("x", "Placeholder", ()), *((op[0], op, ("x",)) for op in ops)])
    widths = "(box) => [...box.querySelectorAll('.tfm-detail, rect')].map((each) => each.getBBox().width)"
    for op in ops:
        box, text = shown.box(op[0]).evaluate(widths)
        assert text < box - 6


def test_hostile_names_are_text(show: Show) -> None:
    rows: list[drawn_graphs.Node] = [("x", "Placeholder", ())]
    rows += [(f"s{n}/{name}", name, (rows[-1][0],)) for n, name in enumerate(HOSTILE)]
    rows += [(f"{HOSTILE[0]}/{name}", "Relu", ("x",)) for name in HOSTILE]
    shown = show(rows)
    elements = "[...document.querySelectorAll('script, img, iframe, a, b, i')].length"
    scripts = shown.page.evaluate(elements)
    for number in [box["n"] for box in shown.view.scene["boxes"] if box["state"] == "folded"]:
        shown.page.locator(f'.tfm-box[data-n="{number}"]').focus()
        shown.page.keyboard.press("Enter")
        shown.settle()
    shown.page.get_by_role("combobox").first.fill("script")
    shown.page.locator(".tfm-hits li").first.wait_for()
    shown.page.get_by_role("combobox").first.press("Enter")
    shown.settle()
    assert shown.page.evaluate(elements) == scripts == 0
    assert shown.page.evaluate("document.querySelectorAll('[onload], [onclick], [onerror]').length") == 0
    assert HOSTILE[0] in shown.page.locator(".tfm-about h4").inner_text()


@pytest.mark.parametrize(("style", "dark"), [("", False), (DARK, True)])
def test_colours_follow_the_theme(show: Show, style: str, dark: bool) -> None:  # noqa: FBT001 - a parameter of the test
    shown = show(chain(NAMES), style=style)

    def lightness(selector: str, part: str) -> float:
        script = """([selector, part]) => {
          const canvas = document.createElement("canvas").getContext("2d");
          canvas.fillStyle = getComputedStyle(document.querySelector(selector))[part];
          canvas.fillRect(0, 0, 1, 1);
          return Math.max(...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)) / 255;
        }"""
        return float(shown.page.evaluate(script, [selector, part]))

    box, text = lightness(".tfm-box.tfm-op > rect", "fill"), lightness(".tfm-box.tfm-op > text", "fill")
    assert (text > box + 0.5) if dark else (box > text + 0.5)


@pytest.mark.parametrize("width", [600, 1600])
def test_what_is_shown_at_first_can_be_read(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    names = ["x", *(f"model/block_{n}_{part}" for n in range(1, 25) for part in ("conv", "bn", "relu")), "model/out"]
    shown = GraphPage.mount(page, GraphView(drawn_graphs.model(chain(names))))
    shown.settle()
    heights = page.evaluate(
        "[...document.querySelectorAll('.tfm-box > text')].map((each) => each.getBoundingClientRect().height)"
    )
    assert len(heights) > 20
    assert min(heights) >= 9.5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    stage = page.locator(".tfm-stage").bounding_box()
    assert stage is not None
    assert stage["height"] <= 640


def test_the_wheel_scrolls_the_page_and_zooms_with_control(show: Show) -> None:
    shown = show(chain(NAMES))
    zoom = "document.querySelector('.tfm-stage g').getAttribute('transform')"
    shown.page.evaluate("document.body.style.height = '4000px'")
    shown.page.mouse.move(*middle(shown.page.locator(".tfm-stage")))
    before = shown.page.evaluate(zoom)
    shown.page.mouse.wheel(0, 50)
    shown.page.wait_for_function("window.scrollY > 0")
    assert shown.page.evaluate(zoom) == before
    shown.page.keyboard.down("Control")
    shown.page.mouse.wheel(0, -100)
    shown.page.keyboard.up("Control")
    shown.page.wait_for_function(f"{zoom} !== {before!r}")


def test_small_print_goes_where_it_could_not_be_read(show: Show) -> None:
    shown = show(chain(NAMES))
    shown.click("block_0")
    details = shown.page.locator(".tfm-detail")
    assert details.first.is_visible()
    shown.page.mouse.move(*middle(shown.page.locator(".tfm-stage")))
    shown.page.keyboard.down("Control")
    for _ in range(12):
        shown.page.mouse.wheel(0, 200)
    shown.page.keyboard.up("Control")
    details.first.wait_for(state="hidden")


def test_a_drag_moves_the_picture_and_unfolds_nothing(show: Show) -> None:
    shown = show(chain(NAMES))
    before, labels = middle(shown.box("block_0")), shown.labels()
    shown.page.mouse.move(*before)
    shown.page.mouse.down()
    shown.page.mouse.move(before[0] + 60, before[1] + 40, steps=4)
    shown.page.mouse.up()
    shown.settle()
    after = middle(shown.box("block_0"))
    assert (round(after[0] - before[0]), round(after[1] - before[1])) == (60, 40)
    assert shown.labels() == labels


def test_a_view_that_is_taken_away_listens_no_more(show: Show) -> None:
    shown = show(LOOP, LOOPING)
    shown.page.evaluate("window.unmount()")
    labels = shown.labels()
    shown.page.evaluate("python({do: 'fold', n: 1})")
    assert shown.labels() == labels


LIVE = """
from tests import drawn_graphs
from tfmagic.notebook.panel.widgets.graph_view import GraphView
view = GraphView(drawn_graphs.model(drawn_graphs.chain(["x", *(f"net/block_{n // 5}/unit_{n}" for n in range(60))])))
view
"""


def test_in_a_real_front_end_a_click_reaches_the_kernel(notebook: OpenNotebook) -> None:
    frontend = notebook([LIVE, "sorted(box['label'] for box in view.scene['boxes'])[-3:]"])
    outputs = frontend.run(0)
    assert [output["output_type"] for output in outputs] == ["execute_result"]
    box = frontend.cell(0).get_by_role("treeitem", name="block_1: 5 ops")
    box.locator("text").first.wait_for()
    box.focus()
    frontend.page.keyboard.press("Enter")
    frontend.cell(0).get_by_role("treeitem", name="block_1/unit_7 (Relu)").wait_for()
    # The front end's own shortcuts hear nothing: no cell becomes Markdown, none is added.
    cells = frontend.page.locator(".jp-Notebook .jp-Cell").count()
    frontend.page.keyboard.press("m")
    frontend.page.keyboard.press("b")
    assert frontend.page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert frontend.page.locator(".jp-Notebook .jp-MarkdownCell").count() == 0
    assert "unit_9" in frontend.run(1)[0]["data"]["text/plain"]


def test_boxes_are_coloured_by_numbers_that_the_legend_tells(page: Page) -> None:
    """In light and dark, the strongest class is legible, and no other widget's sheet takes the colours away."""
    model = drawn_graphs.model(chain(NAMES))
    view = tfmagic.graph_view(model, color={f"net/block_{n // 5}/unit_{n}": float(n) for n in range(60)} | {"x": -1.0})
    shown = GraphPage.mount(page, view, DARK)
    chooser = page.get_by_label("What boxes are coloured by")
    assert chooser.locator("option:checked").inner_text() == "Colour: values"
    # As another widget does that is shown later.
    page.add_style_tag(content=assets.tokens())
    legend = page.locator(".tfm-legend").inner_text()
    assert "values" in legend
    assert "to 290" in legend
    fills = [fill_of(shown, label) for label in ("x", "block_0", "block_11")]
    assert len(set(fills)) == 3
    chooser.select_option(label="Colour: kind of op")
    shown.settle()
    assert "values" not in page.locator(".tfm-legend").inner_text()
    assert fill_of(shown, "block_0") == fill_of(shown, "block_11")
    chooser.select_option(label="Colour: values")
    shown.settle()
    assert [fill_of(shown, label) for label in ("x", "block_0", "block_11")] == fills


def fill_of(shown: GraphPage, label: str) -> str:
    fill: str = shown.box(label).locator("rect").last.evaluate("(rect) => getComputedStyle(rect).fill")
    return fill


#: Of a box of each class: how light it is, and the least contrast of its words.
CLASSES = """(kinds) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const box = [...document.querySelectorAll(".tfm-box:not(.tfm-open)")].find((box) => box.querySelector(".tfm-detail"));
  return kinds.map((kind) => {
    box.dataset.kind = kind;
    const fill = light(getComputedStyle([...box.querySelectorAll(":scope > rect")].at(-1)).fill);
    return [fill, Math.min(...[...box.querySelectorAll("text")].map((text) => light(getComputedStyle(text).fill))
      .map((ink) => (Math.max(ink, fill) + 0.05) / (Math.min(ink, fill) + 0.05)))];
  });
}"""


@pytest.mark.parametrize("style", ["", DARK])
@pytest.mark.parametrize("forced", ["none", "active"])
def test_words_on_every_class_of_data_are_legible_and_lightness_orders_them(
    page: Page, style: str, forced: Literal["none", "active"]
) -> None:
    page.emulate_media(forced_colors=forced, color_scheme="dark" if style else "light")
    view = tfmagic.graph_view(drawn_graphs.model(chain(NAMES)), color={"x": 1.0})
    shown = GraphPage.mount(page, view, style)
    kinds = list(shades.FILLS)
    measured = dict(zip(kinds, shown.page.evaluate(CLASSES, kinds), strict=True))
    assert {kind: contrast for kind, (_, contrast) in measured.items() if contrast < 4.5} == {}
    for side in ("up", "down"):
        fills = [measured[f"{side}{level}"][0] for level in range(1, shades.STEPS + 1)]
        assert fills == sorted(fills, reverse=not style)


#: Of each class in the legend, whether it shows the fill that boxes of it have.
KEYS = """() => [...document.querySelectorAll(".tfm-key")].map((key) => {
  const box = document.querySelector(`.tfm-box[data-kind="${key.dataset.kind}"] > rect:last-of-type`);
  return getComputedStyle(key, "::before").backgroundColor === getComputedStyle(box).fill;
})"""


@pytest.mark.parametrize("forced", ["none", "active"])
def test_the_legend_has_the_colours_of_the_boxes_with_forced_colours_too(
    page: Page, forced: Literal["none", "active"]
) -> None:
    page.emulate_media(forced_colors=forced)
    first, second = (drawn_graphs.model(chain(["x", *names])) for names in (["a", "only"], ["a", "gone", "gone_too"]))
    GraphPage.mount(page, tfmagic.graph_view(first, compare=second))
    found = page.evaluate(KEYS)
    assert len(found) > 1
    assert all(found)
