from __future__ import annotations

import gc
import html
import json
import sys
import threading
import types
import weakref
from typing import TYPE_CHECKING, Any

import ipywidgets
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import chain
from tests.samples import SAMPLES
from tfmagic import errors
from tfmagic.display import render
from tfmagic.models.model import Model, Part
from tfmagic.notebook import live_display
from tfmagic.notebook.panel.widgets import model_tab
from tfmagic.notebook.panel.widgets import panel as panels
from tfmagic.notebook.panel.widgets.panel import TABS, VIEW, Panel
from tfmagic.notebook.panel.widgets.verb import panel as opened
from tfmagic.verbs.conversion import plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.samples import Built

#: What the kernel is asked to run, as JupyterLab asks for it.
PARENT: dict[str, dict[str, str]] = {"header": {"msg_id": "first"}, "metadata": {"cellId": "cell"}}
HOSTILE = "<script>alert(1)</script>"


def joined() -> None:
    """Wait for the threads that panels began."""
    for thread in [each for each in threading.enumerate() if each.name.startswith("tfmagic ")]:
        thread.join(60)


def shown(panel: Panel, title: str) -> list[Any]:
    """Return what a tab holds."""
    return list(panel.tabs.children[panel.tabs.titles.index(title)].children)


def said(panel: Panel, title: str) -> str:
    """Return the text of a tab that is a line."""
    return html.unescape(shown(panel, title)[0].value)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """A tab of this test's own in place of Ops, and what happened to it."""
    seen = types.SimpleNamespace(built=[], arrived=[], fails=False, waits=threading.Event())
    seen.waits.set()

    class Tab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
        def arrive(self, **what: object) -> None:
            seen.arrived.append(what)

    def build(model: Model, panel: Panel) -> Tab:  # noqa: ARG001 - a tab's signature
        seen.waits.wait(30)
        if seen.fails:
            raise errors.CorruptSourceError(f"the file {HOSTILE} is damaged, and this line is long: " + "x" * 200)
        seen.built.append(threading.current_thread().name)
        return Tab()

    module = types.ModuleType("tfmagic.notebook.panel.widgets.ops_tab")
    module.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tfmagic.notebook.panel.widgets.ops_tab", module)
    yield seen
    seen.waits.set()
    joined()


def graph() -> Model:
    return drawn_graphs.model(chain(["x", "y"]))


@pytest.mark.parametrize("name", list(SAMPLES))
def test_every_form_has_the_tabs_that_it_has_something_for(samples: Built, name: str) -> None:
    if not SAMPLES[name].is_file:
        pytest.importorskip("tensorflow")
    model = tfmagic.inspect(samples[name])
    titles = list(Panel(model, {}).tabs.titles)
    assert titles == [title for title in TABS if title in titles]
    assert {"Model", "Convert"} <= set(titles)
    parts = {"Ops": {"graph"}, "Variables": {"variables"}, "Run": {"function"}, "Layers": {"graph", "keras"}}
    for title, any_of in parts.items():
        assert (title in titles) is bool(any_of & set(model.parts))


def test_only_the_first_tab_is_built_at_first(made: types.SimpleNamespace) -> None:
    panel = Panel(graph(), {})
    assert made.built == []
    assert shown(panel, "Ops") == []
    (tab,) = shown(panel, "Model")
    assert tab.more.sections[0]["title"] == "Summary"


def test_a_tab_is_built_once_when_it_is_seen_and_not_in_the_handlers_thread(made: types.SimpleNamespace) -> None:
    panel = Panel(graph(), {})
    made.waits.clear()
    panel.tabs.selected_index = panel.tabs.titles.index("Signatures")
    panel.tabs.selected_index = panel.tabs.titles.index("Ops")
    assert "Reading" in said(panel, "Ops")
    assert panel.show("Ops") is None
    made.waits.set()
    joined()
    panel.tabs.selected_index = 0
    panel.tabs.selected_index = panel.tabs.titles.index("Ops")
    joined()
    assert made.built == ["tfmagic Ops"]


def test_a_link_leads_to_a_tab_whether_it_is_built_or_not(made: types.SimpleNamespace) -> None:
    panel = Panel(graph(), {})
    panel.go_to("Ops", name="x")
    joined()
    panel.go_to("Ops", name="y")
    assert made.arrived == [{"name": "x"}, {"name": "y"}]
    assert panel.tabs.titles[panel.tabs.selected_index] == "Ops"


def test_a_link_to_a_tab_that_there_is_not_leads_nowhere() -> None:
    panel = Panel(graph(), {})
    panel.go_to("Assets", name="x")
    assert panel.tabs.selected_index == 0


def test_what_fails_is_said_in_one_escaped_line_and_can_be_tried_again(made: types.SimpleNamespace) -> None:
    panel = Panel(graph(), {})
    made.fails = True
    panel.go_to("Ops")
    joined()
    line, again = shown(panel, "Ops")
    assert HOSTILE not in line.value
    assert HOSTILE in html.unescape(line.value)
    assert "x" * 200 in line.value
    made.fails = False
    again.click()
    joined()
    assert len(made.built) == 1
    assert hasattr(shown(panel, "Ops")[0], "arrive")


def test_an_error_of_a_models_code_is_named_by_its_kind() -> None:
    assert panels.problem_line(ZeroDivisionError("\nfirst\nsecond")) == "ZeroDivisionError: first"
    assert panels.problem_line(KeyError()) == "KeyError: KeyError"
    assert panels.problem_line(errors.ReadError("plain")) == "plain"


def test_the_summary_links_to_rows(samples: Built) -> None:
    panel = Panel(tfmagic.inspect(samples["saved_model_tf1"]), {})
    (tab,) = shown(panel, "Model")
    summary = tab.more
    counts = next(each for each in summary.sections if each["title"] == "Op counts")
    links = [cell["link"] for row in counts["rows"] for cell in row if "link" in cell]
    assert {"tab": "Ops", "what": {"op": "MatMul"}} in links
    biggest = next(each for each in summary.sections if each["title"] == "Biggest variables")
    names = [cell["link"]["what"]["name"] for row in biggest["rows"] for cell in row if "link" in cell]
    assert names == list(tfmagic.inspect(samples["saved_model_tf1"]).variables.sort_values("bytes")["name"])[::-1]
    json.dumps(summary.sections)


def test_the_card_does_not_wait_for_the_scan(samples: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tfmagic.inspect(samples["saved_model_tf2"])
    may_scan = threading.Event()
    own = type(model.reader).findings

    def findings(reader: Any, of: Any) -> Any:
        assert may_scan.wait(60)
        return own(reader, of)

    monkeypatch.setattr(type(model.reader), "findings", findings)
    tab = model_tab.build(model, Panel(model, {}))
    assert "under way" in str(tab.card.words)
    assert "scan" not in dict(tab.more.sections[0]["facts"])
    # Nor does anything else that is asked of the model meanwhile.
    assert len(model.table("ops", all=True))
    may_scan.set()
    joined()
    verdict = dict(tab.more.sections[0]["facts"])["scan"]["text"]
    assert verdict.startswith("clean")
    assert verdict in str(tab.card.words)
    assert verdict in repr(model).split("Summary")[0]
    # It is known by now.
    assert verdict in str(model_tab.build(model, Panel(model, {})).card.words)


def test_only_links_that_were_given_are_followed() -> None:
    followed: list[Any] = []
    panel = Panel(graph(), {})
    (tab,) = shown(panel, "Model")
    for widget in (tab.card, tab.more):
        widget._follow = lambda tab, **what: followed.append((tab, what))
        for link in (
            {"tab": "Ops"},
            {"tab": "Graph"},
            {"tab": "Nowhere"},
            None,
            {"tab": "Ops", "what": {"row": 10**9}},
        ):
            widget._handle_custom_msg({"follow": link}, [])
    assert followed == [("Graph", {}), ("Ops", {}), ("Graph", {})]


def test_a_model_is_called_as_the_notebook_calls_it(samples: Built) -> None:
    path = tfmagic.inspect(samples["saved_model_tf1"])
    assert panels.source_name(path, {}) == str(samples["saved_model_tf1"])
    live = object()
    model = Model("function", "made", {Part.GRAPH: lambda: ()}, live=live)
    assert panels.source_name(model, {"_": live, "net": live}) == "net"
    assert panels.source_name(model, {"seen": model}) == "seen"
    assert panels.source_name(model, {"_1": model}) == "model"


# Display


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is published, as if this process were a kernel."""
    seen: list[dict[str, Any]] = []
    shell = types.SimpleNamespace(display_pub=types.SimpleNamespace(publish=seen.append))
    kernel = types.SimpleNamespace(get_parent=lambda _channel: PARENT)
    monkeypatch.setattr(live_display, "kernel_app", lambda: types.SimpleNamespace(shell=shell, kernel=kernel))
    monkeypatch.setattr(live_display, "_shown", [])
    monkeypatch.setattr(render.display, "live", live_display.show)
    return seen


def test_where_no_kernel_lives_a_model_shows_its_static_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render.display, "live", live_display.show)
    assert live_display.kernel_app() is None
    model = graph()
    assert model._repr_mimebundle_() == {"text/plain": repr(model), "text/html": model._repr_html_()}


def test_in_a_kernel_a_model_shows_the_panel_and_below_it_its_static_forms(published: list[dict[str, Any]]) -> None:
    model = graph()
    found: dict[str, Any] = model._repr_mimebundle_()
    ((kind, view),) = published[0].items()
    assert (kind, len(published)) == (VIEW, 1)
    panel: Any = ipywidgets.widgets.widget._instances[view["model_id"]]
    # By this the live form finds the static one.
    assert f'id="{panel.heading.stand_in}"' in found["text/html"]
    assert model._repr_html_() in found["text/html"]
    assert set(found) == {"text/plain", "text/html"}


def test_a_panel_that_is_shown_again_takes_the_place_of_its_newest_static_form(published: list[dict[str, Any]]) -> None:
    panel: Any = opened(graph())
    marks = []
    for _ in range(2):
        found = panel._repr_mimebundle_()
        marks.append(panel.heading.stand_in)
        assert marks[-1] in found["text/html"]
    assert len(set(marks)) == 2
    assert published[0] == published[1]


def test_a_cell_that_runs_again_lets_go_of_the_model_that_it_showed(
    published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = graph()
    seen = weakref.ref(model)
    mine = opened(model)
    mine._repr_mimebundle_()
    model._repr_mimebundle_()
    model._repr_mimebundle_()
    (_, *shown) = [view[VIEW]["model_id"] for view in published]
    living = ipywidgets.widgets.widget._instances
    assert set(shown) <= set(living)
    before = len(living)
    monkeypatch.setitem(PARENT["header"], "msg_id", "second")
    graph()._repr_mimebundle_()
    assert not set(shown) & set(living)
    assert mine.model_id in living
    # As many widgets as one panel has are there, where there were those of two.
    assert len(living) < before
    for title in mine.tabs.titles:
        mine.go_to(title)
    joined()
    mine.dispose()
    del mine, model
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("has_cells", [True, False])
def test_of_many_panels_the_newest_twenty_live(
    published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, *, has_cells: bool
) -> None:
    model = graph()
    mine = opened(model)
    mine._repr_mimebundle_()
    for number in range(23):
        monkeypatch.setitem(PARENT, "metadata", {"cellId": f"cell {number // 2}"} if has_cells else {})
        monkeypatch.setitem(PARENT["header"], "msg_id", f"request {number // 2}")
        graph()._repr_mimebundle_()
    shown = [view[VIEW]["model_id"] for view in published]
    living = [each in ipywidgets.widgets.widget._instances for each in shown]
    # The first one was asked for by name.
    assert living == [True, *[False] * 3, *[True] * 20]


def test_a_panel_that_cannot_be_made_leaves_the_static_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_model: Model) -> str:
        raise RuntimeError("no widgets here")

    monkeypatch.setattr(render.display, "live", fails)
    model = graph()
    with pytest.warns(UserWarning, match="no widgets here"):
        assert model._repr_mimebundle_() == {"text/plain": repr(model), "text/html": model._repr_html_()}


@pytest.mark.parametrize(
    ("mode", "kinds", "views"),
    [("auto", {"text/plain", "text/html"}, 1), ("html", {"text/plain", "text/html"}, 0), ("text", {"text/plain"}, 0)],
)
def test_the_choice_of_display_holds_for_models_and_panels(
    mode: str, kinds: set[str], views: int, published: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render.display, "mode", mode)
    assert set(graph()._repr_mimebundle_()) == kinds
    assert set(opened(graph())._repr_mimebundle_()) == kinds
    assert len(published) == 2 * views


def test_opening_what_is_no_model_is_an_error_of_ours() -> None:
    with pytest.raises(FileNotFoundError):
        opened("nowhere/at/all")


@pytest.mark.tensorflow
def test_a_tab_is_built_under_the_users_dtype_policy(
    made: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras  # noqa: PLC0415 - seconds for this test only

    seen: list[str] = []
    tab = sys.modules["tfmagic.notebook.panel.widgets.ops_tab"]
    built = tab.build

    def build(model: Model, panel: Panel) -> Any:
        seen.append(keras.config.dtype_policy().name)
        return built(model, panel)

    monkeypatch.setattr(tab, "build", build)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        panel = Panel(graph(), {})
    finally:
        keras.config.set_dtype_policy(before)
    panel.go_to("Ops")
    joined()
    assert seen == ["mixed_bfloat16"]
    assert made.built == ["tfmagic Ops"]


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.is_file])
def test_to_convert_is_a_next_step_where_there_is_a_format(samples: Built, name: str) -> None:
    model = tfmagic.inspect(samples[name])
    words = str(model_tab.build(model, Panel(model, {})).card.words)
    assert ("Convert it" in words) == (not all(plan.formats(model).values()))
