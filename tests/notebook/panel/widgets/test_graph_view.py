from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import LOOP, LOOPING, chain
from tests.notebook.panel.widgets.test_ops_tab import Around
from tfmagic.display.graph import unfolding
from tfmagic.frames import LayerRow
from tfmagic.models import variable_statistics
from tfmagic.models.model import Model, Part
from tfmagic.notebook.panel.widgets import graph_tab, graph_weights, threads
from tfmagic.notebook.panel.widgets.graph_view import GraphView
from tfmagic.verbs import colouring

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [f"net/block_{n // 10}/unit_{n}" for n in range(300)]


class Asked:
    """A view, and what it answered."""

    def __init__(self, model: Model, **more: Any) -> None:
        self.view = GraphView(model, **more)
        self.answers: list[Any] = []
        self.view.send = lambda content, buffers=None: self.answers.append(content)  # noqa: ARG005 - as the widget's

    def ask(self, do: str, **what: Any) -> None:
        self.view._handle_custom_msg({"do": do, **what}, [])

    def labels(self) -> list[str]:
        return [box["label"] for box in self.view.scene["boxes"]]

    def number(self, label: str) -> int:
        return int(next(box["n"] for box in self.view.scene["boxes"] if box["label"] == label))


def looping(**more: Any) -> Asked:
    return Asked(drawn_graphs.model(LOOP, LOOPING), **more)


def test_one_box_is_unfolded_and_folded_at_a_time() -> None:
    asked = Asked(drawn_graphs.model(chain(["x", *NAMES])))
    before = asked.labels()
    asked.ask("open", n=asked.number("block_3"))
    assert set(asked.labels()) - set(before) == {f"unit_{n}" for n in range(30, 40)}
    assert asked.view.scene["anchor"] == asked.number("block_3")
    asked.ask("fold", n=asked.number("block_3"))
    assert asked.labels() == before


def test_folding_the_body_of_a_loop_folds_the_loop() -> None:
    asked = looping()
    assert "body: body" in asked.labels()
    asked.ask("fold", n=asked.number("body: body"))
    assert asked.labels() == ["x", "loop", "y"]


def test_a_search_leads_to_its_hit() -> None:
    asked = Asked(drawn_graphs.model(chain(["x", *NAMES])))
    asked.ask("find", text="UNIT_77")
    (found,) = asked.answers
    assert (found["total"], found["text"], found["hits"][0]["name"]) == (1, "UNIT_77", "net/block_7/unit_77")
    asked.ask("reveal", function=found["hits"][0]["function"], node=found["hits"][0]["node"])
    assert asked.view.scene["focus"] == asked.number("unit_77")


def test_an_empty_search_finds_nothing() -> None:
    asked = looping()
    asked.ask("find", text="  ")
    assert asked.answers == [{"hits": [], "total": 0, "text": "  "}]


def test_python_can_do_what_a_person_does() -> None:
    asked = Asked(drawn_graphs.model(chain(["x", *NAMES])))
    asked.view.show("net/block_9/unit_91")
    assert "unit_91" in asked.labels()
    ET.fromstring(asked.view.svg())  # noqa: S314 - our own
    assert ">unit_91<" in asked.view.svg()
    with pytest.raises(tfmagic.UnknownNameError, match="unit_9"):
        asked.view.show("unit_9")


def test_constants_are_boxes_when_asked_for() -> None:
    asked = looping()
    assert "v" not in asked.labels()
    asked.ask("constants", on=True)
    assert "v" in asked.labels()
    assert asked.view.constants
    asked.ask("constants", on=False)
    assert "v" not in asked.labels()


def test_another_body_can_be_chosen() -> None:
    asked = looping()
    assert asked.view.entries == ["main graph", "cond", "body", "self"]
    asked.ask("choose", entry=2)
    assert asked.view.entry == 2
    assert {"a", "next"} <= set(asked.labels())


def test_details_name_what_feeds_and_what_follows() -> None:
    asked = looping()
    asked.ask("detail", n=asked.number("scope/mul"))
    detail = asked.answers[0]["detail"]
    assert (detail["name"], detail["op"], detail["function"]) == ("scope/mul", "Mul", "body")
    assert [each["name"] for each in detail["inputs"]] == ["a", "read"]
    assert [each["name"] for each in detail["outputs"]] == ["inner"]


def test_a_box_leads_to_its_row_of_the_table_of_ops() -> None:
    rows: list[int] = []
    asked = looping(on_row=rows.append)
    asked.ask("row", n=asked.number("scope/mul"))
    ops = drawn_graphs.model(LOOP, LOOPING).table("ops", all=True)
    assert [ops["name"].iloc[row] for row in rows] == ["scope/mul"]
    # An argument is no row.
    asked.ask("row", n=asked.number("next"))
    assert len(rows) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"do": "open", "n": 10**9}, {"do": "open", "n": -1}, {"do": "open", "n": "x"}, {"do": "open"},
        {"do": "choose", "entry": 99}, {"do": "reveal", "function": "gone", "node": 0},
        {"do": "reveal", "function": "", "node": -5}, {"do": "ratio", "ratio": "wide"},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_told_and_changes_nothing(message: dict[str, Any]) -> None:
    asked = looping()
    before = asked.labels()
    asked.view._handle_custom_msg(message, [])
    assert [list(answer) for answer in asked.answers] == [["error"]]
    assert asked.labels() == before


def test_what_is_not_known_is_not_done() -> None:
    asked = looping()
    asked.ask("__init__")
    asked.view._handle_custom_msg({}, [])
    assert asked.answers == []


def test_there_are_never_more_boxes_than_a_browser_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfmagic.notebook.panel.widgets import graph_view  # noqa: PLC0415 - the name as the view uses it

    asked = Asked(drawn_graphs.model(chain(["x", *NAMES])))
    monkeypatch.setattr(graph_view, "MAX_VISIBLE", len(asked.labels()) + 5)
    asked.ask("open", n=asked.number("block_3"))
    assert "fold some first" in asked.answers[-1]["error"]
    assert "unit_30" not in asked.labels()
    assert unfolding.MAX_VISIBLE <= 2000


def test_messages_of_two_threads_at_once_leave_a_whole_scene() -> None:
    asked = Asked(drawn_graphs.model(chain(["x", *NAMES])))
    numbers = [asked.number(f"block_{index}") for index in range(20)]
    wrong: list[Exception] = []

    def work(mine: list[int]) -> None:
        try:
            for number in mine * 3:
                asked.ask("open", n=number)
                asked.ask("fold", n=number)
            for number in mine:
                asked.ask("open", n=number)
        except Exception as error:  # noqa: BLE001 - told below
            wrong.append(error)

    workers = [threading.Thread(target=work, args=(numbers[start::2],)) for start in (0, 1)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert wrong == []
    assert not [answer for answer in asked.answers if "error" in answer]
    assert {f"unit_{n}" for n in range(200)} <= set(asked.labels())


def test_layers_come_first_and_the_graph_is_traced_when_it_is_chosen() -> None:
    traced: list[int] = []
    source = drawn_graphs.model(chain(["x", "y"]))

    def trace() -> Any:
        traced.append(1)
        return source.part(Part.GRAPH)

    rows = (LayerRow("in", "InputLayer", (), (), None, 0, None), LayerRow("d", "Dense", ("in",), (), None, 2, None))
    model = Model(
        "keras_model", "made", {Part.KERAS: lambda: rows, Part.GRAPH: trace}, computed=frozenset({Part.GRAPH})
    )
    asked = Asked(model, on_row=traced.append)
    assert asked.labels() == ["in", "d"]
    # A layer is no row of the table of ops.
    asked.ask("row", n=asked.number("d"))
    assert traced == []
    asked.ask("choose", entry=1)
    assert traced == [1]
    assert asked.labels() == ["x", "y"]
    assert asked.view.entries == ["layers", "main graph"]


def test_a_graph_that_has_to_be_traced_and_cannot_be_is_told() -> None:
    def fail() -> Any:
        message = "no input shapes"
        raise tfmagic.ConversionError(message)

    rows = (LayerRow("in", "InputLayer", (), (), None, 0, None), LayerRow("d", "Dense", ("in",), (), None, 2, None))
    model = Model("keras_model", "made", {Part.KERAS: lambda: rows, Part.GRAPH: fail}, computed=frozenset({Part.GRAPH}))
    asked = Asked(model)
    asked.ask("choose", entry=1)
    assert asked.answers == [{"error": "no input shapes"}]
    assert asked.labels() == ["in", "d"]


def test_the_tab_says_so_where_there_is_no_graph() -> None:
    tab = graph_tab.build(Model("checkpoint", "made", {Part.VARIABLES: tuple}))
    assert tab.value == "A checkpoint has no graph; it has variables."


def test_the_tab_links_to_the_tab_of_ops() -> None:
    panel = Around()
    tab = graph_tab.build(drawn_graphs.model(LOOP, LOOPING), panel)
    assert isinstance(tab, GraphView)
    assert tab.links == ["row", "variable", "output"]
    number = next(box["n"] for box in tab.scene["boxes"] if box["label"] == "scope/mul")
    tab._handle_custom_msg({"do": "row", "n": number}, [])
    ((title, what),) = panel.went
    assert (title, what["name"], what["function"]) == ("Ops", "scope/mul", "body")


def test_a_node_that_another_tab_speaks_of_is_unfolded() -> None:
    asked = Asked(drawn_graphs.model(chain(["x", *NAMES])))
    asked.view.arrive(name=NAMES[137], function="", row=3)
    assert "unit_137" in asked.labels()
    assert asked.view.scene["focus"] == asked.number("unit_137")


def test_a_node_of_a_function_is_shown_in_the_body_that_holds_it() -> None:
    asked = looping()
    asked.view.arrive(name="scope/mul", function="body")
    assert "scope/mul" in asked.labels()
    assert asked.answers == []


def test_a_node_is_sought_among_ops_and_not_among_layers() -> None:
    rows = tuple(
        LayerRow(name, "Dense", inputs, (), (None, 4), 0, None)
        for name, inputs in (("a", ()), ("b", ("a",)), ("unit_1", ("b",)))
    )
    graph = drawn_graphs.model(chain(["x", *NAMES])).loaders[Part.GRAPH]
    model = Model(
        "keras_model", "made", {Part.KERAS: lambda: rows, Part.GRAPH: graph}, computed=frozenset({Part.GRAPH})
    )
    asked = Asked(model)
    assert asked.view.entries[0] == "layers"
    asked.view.arrive(name=NAMES[137])
    assert asked.view.entries[asked.view.entry] != "layers"
    assert asked.view.scene["focus"] == asked.number("unit_137")


def test_what_is_not_drawn_is_said() -> None:
    asked = looping()
    asked.view.arrive(name="nowhere", function="")
    asked.view.arrive(name="x", function="no function")
    assert [next(iter(answer)) for answer in asked.answers] == ["error", "error"]
    assert "nowhere" in asked.answers[0]["error"]


def test_a_layer_that_another_tab_speaks_of_is_shown_among_layers() -> None:
    rows = tuple(
        LayerRow(name, "Dense", inputs, (), (None, 4), 0, None)
        for name, inputs in (("a", ()), ("inner/b", ("a",)), ("inner/c", ("inner/b",)))
    )
    asked = Asked(Model("keras_model", "made", {Part.KERAS: lambda: rows}))
    asked.view.arrive(layer="inner/c")
    assert asked.view.scene["focus"] == next(
        box["n"] for box in asked.view.scene["boxes"] if box["label"].endswith("c")
    )
    asked.view.arrive(layer="inner")
    assert asked.view.scene["focus"] == next(
        box["n"] for box in asked.view.scene["boxes"] if box["label"].endswith("b")
    )
    asked.view.arrive(layer="gone")
    assert "gone" in asked.answers[-1]["error"]


def test_a_picture_that_stays_says_that_it_was_fitted() -> None:
    asked = Asked(drawn_graphs.model(chain(["x", "y"])))
    before = asked.view.scene
    asked.ask("ratio", ratio=0.9)
    assert asked.answers == [{"fitted": 0.9}]
    assert asked.view.scene["boxes"] == before["boxes"]


def test_what_another_box_is_asked_for_ends_the_reading_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_weights, "_AT_ONCE", -1)
    begun, go_on = threading.Event(), threading.Event()
    work: list[threading.Thread] = []
    real_begin, real_statistics = threads.begin, variable_statistics.of

    def begin(task: Any, name: str) -> threading.Thread:
        work.append(real_begin(task, name))
        return work[-1]

    def slow(blocks: Any, check: Any) -> Any:
        begun.set()
        go_on.wait(60)
        return real_statistics(blocks, check)

    monkeypatch.setattr(threads, "begin", begin)
    monkeypatch.setattr(variable_statistics, "of", slow)
    graph = drawn_graphs.graph([("x", "Placeholder", ()), ("w", "Const", ()), ("y", "MatMul", ("x", "w"))])
    graph.node[1].attr["dtype"].type = graph.node[1].attr["value"].tensor.dtype = 1
    graph.node[1].attr["value"].tensor.tensor_shape.dim.add(size=2)
    graph.node[1].attr["value"].tensor.float_val.extend([1.0, 2.0])
    asked = Asked(tfmagic.inspect(graph))
    asked.ask("detail", n=asked.number("y"))
    assert begun.wait(60)
    asked.ask("detail", n=asked.number("x"))
    go_on.set()
    for thread in work:
        thread.join(60)
    assert [next(iter(answer)) for answer in asked.answers] == ["detail", "detail"]


def test_the_graph_alone_is_a_bare_widget_and_says_what_has_none(tmp_path: Path) -> None:
    view = tfmagic.graph_view(drawn_graphs.graph(LOOP, LOOPING))
    assert isinstance(view, GraphView)
    assert view.links == []
    with pytest.raises(FileNotFoundError):
        tfmagic.graph_view(tmp_path / "nothing.pb")


def test_a_model_without_a_graph_has_no_view_of_it() -> None:
    with pytest.raises(tfmagic.MissingPartError, match="graph"):
        tfmagic.graph_view(Model("checkpoint", "made", {Part.VARIABLES: tuple}))


def coloured(**more: Any) -> Asked:
    colour = colouring.of(drawn_graphs.model(chain(["x", *NAMES])), dict.fromkeys(NAMES, 1.0))
    return Asked(drawn_graphs.model(chain(["x", *NAMES])), colour=colour, **more)


def test_a_graph_is_coloured_by_what_is_given_and_by_what_is_chosen() -> None:
    asked = coloured()
    assert (asked.view.colour, asked.view.scene["coloured"]) == ("own", "values")
    assert [word for word, _ in asked.view.colours] == ["", "own", "parameters", "bytes", "flops", "time"]
    assert {box["kind"] for box in asked.view.scene["boxes"] if box["label"].startswith("block_")} == {"up6"}
    asked.ask("open", n=asked.number("block_3"))
    kinds = {box["label"]: box["kind"] for box in asked.view.scene["boxes"]}
    assert (kinds["unit_30"], kinds["block_4"]) == ("up1", "up6")
    asked.ask("colour", colour="")
    assert (asked.view.colour, asked.view.scene["coloured"]) == ("", "")
    assert "up6" not in {box["kind"] for box in asked.view.scene["boxes"]}
    asked.ask("colour", colour="own")
    assert asked.view.scene["coloured"] == "values"


@pytest.mark.parametrize("word", ["<b>", "color", "0"])
def test_a_colour_that_there_is_not_changes_nothing(word: str) -> None:
    asked = coloured()
    before = asked.view.scene
    asked.ask("colour", colour=word)
    assert "choose what to colour by" in asked.answers[-1]["error"]
    assert asked.view.scene == before


def test_the_saved_picture_has_the_colours_and_the_classes() -> None:
    svg = coloured().view.svg()
    assert "#084594" in svg
    assert ">values</text>" in svg
