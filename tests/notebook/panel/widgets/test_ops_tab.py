"""The tab Ops without a browser: details, links, what leads to it and where it leads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import pandas as pd
import pytest

import tfmagic
from tests import drawn_graphs
from tests.drawn_graphs import LOOP, LOOPING
from tfmagic.graphs.node_neighbours import Neighbours
from tfmagic.notebook.panel.widgets import ops_tab, table
from tfmagic.notebook.panel.widgets.protocols import Destination

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tests.samples import Built


class Around:
    """A panel that notes where it was sent."""

    def __init__(self) -> None:
        self.namespace: MutableMapping[str, object] = {}
        self.source = "model"
        self.colour, self.compared, self.trust = None, None, False
        self.went: list[tuple[str, dict[str, object]]] = []

    def go_to(self, title: str, **what: object) -> None:
        self.went.append((title, what))


def opened(source: object, row: int | None = None) -> tuple[ops_tab.OpsTab, Around]:
    around = Around()
    tab = ops_tab.build(tfmagic.inspect(source), around)
    assert isinstance(tab, ops_tab.OpsTab)
    if row is not None:
        ask(tab, "open", row=row)
    return tab, around


def ask(tab: ops_tab.OpsTab, do: str, **what: Any) -> None:
    tab.table._handle_custom_msg({"do": do, **what}, [])


def row_of(tab: ops_tab.OpsTab, name: str) -> int:
    return tab.table.frame["name"].tolist().index(name)


def test_details_tell_columns_attributes_inputs_and_consumers() -> None:
    tab, _ = opened(drawn_graphs.graph(LOOP, LOOPING))
    ask(tab, "open", row=row_of(tab, "inner"))
    details = tab.table.details
    facts = dict(details["facts"])
    assert details["title"] == "inner"
    assert (facts["function"], facts["op"], facts["attribute f"]) == ("body", "PartitionedCall", "self")
    groups = {group["title"]: group["links"] for group in details["groups"]}
    assert groups["inputs"] == [{"text": "scope/mul:z:0", "row": row_of(tab, "scope/mul")}]
    assert groups["consumers"] == [{"text": "Identity", "row": row_of(tab, "Identity")}]


def test_an_argument_is_said_and_leads_nowhere() -> None:
    tab, _ = opened(drawn_graphs.graph(LOOP, LOOPING))
    ask(tab, "open", row=row_of(tab, "less"))
    assert tab.table.details["groups"] == [{"title": "inputs", "links": [{"text": "a"}], "more": 0}]


def test_a_constants_first_values_are_told() -> None:
    graph = drawn_graphs.graph([("c", "Const", ())])
    graph.node[0].attr["value"].tensor.dtype = 1
    graph.node[0].attr["value"].tensor.tensor_shape.dim.add(size=100)
    graph.node[0].attr["value"].tensor.tensor_content = np.arange(100, dtype="<f4").tobytes()
    tab, _ = opened(graph, 0)
    assert dict(tab.table.details["facts"])["first values"].startswith("0.0, 1.0, 2.0")


def test_a_node_with_thousands_of_inputs_lists_some_and_counts_all() -> None:
    tab, _ = opened(drawn_graphs.graph(drawn_graphs.wide(3000)))
    ask(tab, "open", row=3001)
    (group,) = tab.table.details["groups"]
    assert (len(group["links"]), group["more"]) == (40, 2960)


def test_neighbours_in_a_large_graph_come_later_with_a_word_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops_tab, "_AT_ONCE", 2)
    may_go_on = threading.Event()
    consumers = Neighbours.consumers
    monkeypatch.setattr(Neighbours, "consumers", lambda self, row: may_go_on.wait(20) and consumers(self, row))
    tab, _ = opened(drawn_graphs.graph(LOOP, LOOPING))
    ask(tab, "open", row=row_of(tab, "inner"))
    assert tab.table.details["note"] == "Looking for its neighbours among 4 ops …"
    assert dict(tab.table.details["facts"])["attribute f"] == "self"
    may_go_on.set()
    for _ in range(2000):
        if "groups" in tab.table.details:
            break
        time.sleep(0.005)
    assert {group["title"] for group in tab.table.details["groups"]} == {"inputs", "consumers"}
    assert "note" not in tab.table.details


def test_neighbours_of_a_row_that_was_left_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    tab, _ = opened(drawn_graphs.graph(LOOP, LOOPING))
    monkeypatch.setattr(ops_tab, "_AT_ONCE", 3)
    may_go_on = threading.Event()
    details = tab.details
    monkeypatch.setattr(tab, "details", lambda row: may_go_on.wait(20) and details(row))
    ask(tab, "open", row=row_of(tab, "inner"))
    (looking,) = (thread for thread in threading.enumerate() if thread.name == "tfmagic neighbours")
    ask(tab, "close")
    may_go_on.set()
    looking.join(20)
    assert not looking.is_alive()
    assert tab.table.details == {}


def test_the_graph_is_shown_the_node_that_is_meant() -> None:
    tab, around = opened(drawn_graphs.graph(LOOP, LOOPING))
    ask(tab, "open", row=row_of(tab, "scope/mul"))
    ask(tab, "act", name="Graph")
    assert around.went == [("Graph", {"name": "scope/mul", "function": "body"})]


def test_filtered_rows_go_into_the_notebook_as_the_public_table() -> None:
    tab, around = opened(drawn_graphs.graph(LOOP, LOOPING))
    ask(tab, "keep", text="ops", query={"text": "identity"})
    kept = around.namespace["ops"]
    assert isinstance(kept, pd.DataFrame)
    whole = tfmagic.inspect(drawn_graphs.graph(LOOP, LOOPING)).ops
    pd.testing.assert_frame_equal(kept, whole[whole["op"] == "Identity"].reset_index(drop=True))


def test_other_tabs_lead_to_a_row_a_name_an_op_type_or_a_function() -> None:
    tab, _ = opened(drawn_graphs.graph(LOOP, LOOPING))
    assert isinstance(tab, Destination)
    tab.arrive(row=2, name="ignored")
    assert tab.table.wanted["row"] == 2
    tab.arrive(name="neg", function="self")
    assert tab.table.wanted["row"] == row_of(tab, "neg")
    tab.arrive(op="Identity")
    found = tab.table._pages.find(query(tab)).rows.tolist()
    assert found == np.flatnonzero(tab.table.frame["op"] == "Identity").tolist()
    tab.arrive(function="cond")
    found = tab.table._pages.find(query(tab)).rows.tolist()
    assert found == [row_of(tab, "less")]


def query(tab: ops_tab.OpsTab) -> Any:
    return table._query(tab.table.wanted["query"])


def test_a_form_without_a_graph_says_so() -> None:
    class Bare:
        form, parts = "checkpoint", ("variables",)

    label = ops_tab.build(Bare(), Around())  # type: ignore[arg-type]
    assert isinstance(label, ipywidgets.Label)
    assert label.value == "A checkpoint has no graph; it has variables."


def test_a_damaged_node_is_said_and_the_table_lives() -> None:
    tab, _ = opened(drawn_graphs.graph(LOOP, LOOPING))
    answers: list[Any] = []
    tab.table.send = lambda content, buffers=None: answers.append(content)  # noqa: ARG005 - as the widget's

    class Damaged:
        def node_def(self, _row: int) -> Any:
            message = "does not parse"
            raise ValueError(message)

    tab._model.meta_graph.__dict__["graph"] = Damaged()
    ask(tab, "open", row=0)
    assert answers == [{"error": "does not parse"}]


@pytest.mark.tensorflow
def test_saving_ops_are_behind_a_switch(samples: Built) -> None:
    tab, _ = opened(samples["saved_model_tf2"])
    model = tfmagic.inspect(samples["saved_model_tf2"])
    assert tab.table.switch
    assert tab.table.total == len(model.ops)
    assert len(tab.table.frame) == len(model.table("ops", all=True)) > tab.table.total


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["keras_model", "keras_archive", "session", "tf_function"])
def test_a_graph_that_must_be_traced_is_traced(name: str, samples: Built) -> None:
    tab, _ = opened(samples[name])
    assert "MatMul" in set(tab.table.frame["op"])
    ask(tab, "open", row=0)
    assert tab.table.details["title"] == tab.table.frame["name"][0]
