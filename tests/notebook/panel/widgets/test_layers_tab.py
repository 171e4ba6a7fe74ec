from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import tfmagic
from tests.notebook.panel.test_scope_rows import tower
from tfmagic.notebook.panel.widgets import layers_tab

if TYPE_CHECKING:
    from tests.samples import Built


def built(samples: Built) -> tuple[Any, list[tuple[str, dict[str, Any]]]]:
    """Return the tab of a Keras file, and where its buttons led."""
    went: list[tuple[str, dict[str, Any]]] = []
    panel: Any = SimpleNamespace(namespace={}, source="model", go_to=lambda tab, **what: went.append((tab, what)))
    return layers_tab.build(tfmagic.inspect(samples["keras_archive"]), panel), went


def test_layers_have_bars_of_their_parameters_and_bytes(samples: Built) -> None:
    tab, _ = built(samples)
    kinds = {column["name"]: column["kind"] for column in tab.table.columns}
    assert kinds["parameters"] == kinds["bytes"] == kinds["flops"] == "bar"
    assert list(tab.table.frame["bytes"]) == [0, 60, 32]


def test_a_layer_leads_to_its_box_and_to_its_weights(samples: Built) -> None:
    tab, went = built(samples)
    tab.table._handle_custom_msg({"do": "open", "row": 1}, [])
    assert tab.table.details["title"] == "hidden"
    assert dict(tab.table.details["facts"])["class"] == "Dense"
    for act in ("Graph", "Variables"):
        tab.table._handle_custom_msg({"do": "act", "name": act}, [])
    assert went == [("Graph", {"layer": "hidden"}), ("Variables", {"name": "hidden/"})]


def test_of_an_input_no_weights_are_offered(samples: Built) -> None:
    tab, _ = built(samples)
    tab.table._handle_custom_msg({"do": "open", "row": 0}, [])
    assert [act["name"] for act in tab.table.details["acts"]] == ["Graph"]


def test_a_link_shows_the_layer_that_it_names(samples: Built) -> None:
    tab, _ = built(samples)
    tab.arrive(name="out")
    assert tab.table.wanted["row"] == 2
    tab.arrive(name="hid")
    assert tab.table.wanted["query"]["text"] == "hid"


def test_layers_tell_their_activation_and_configuration(samples: Built) -> None:
    tab, _ = built(samples)
    assert {"activation", "configuration"} <= {column["name"] for column in tab.table.columns}
    rows = tab.table.frame.set_index("name")
    assert rows["activation"]["hidden"] == "relu"
    assert rows["configuration"]["hidden"] == "units 3"
    tab.table._handle_custom_msg({"do": "open", "row": 1}, [])
    facts = dict(tab.table.details["facts"])
    assert (facts["units"], facts["activation"]) == ("3", "relu")
    assert "GlorotUniform" in facts["kernel_initializer"]


def test_a_graph_without_keras_has_its_scopes_at_a_chosen_depth() -> None:
    went: list[tuple[str, dict[str, Any]]] = []
    panel: Any = SimpleNamespace(namespace={}, source="model", go_to=lambda tab, **what: went.append((tab, what)))
    tab = layers_tab.build(tfmagic.inspect(tower(4)), panel)
    assert isinstance(tab, layers_tab.ScopesTab)
    assert list(tab.depth.options) == [1, 2, 3, 4]
    names = tab.table.frame["name"].tolist()
    row = names.index("net/block_0")
    tab.table._handle_custom_msg({"do": "columns", "layout": {"hidden": ["ops"]}}, [])
    tab.table._handle_custom_msg({"do": "open", "row": row}, [])
    assert dict(tab.table.details["facts"])["parameters"] == "10"
    for act in ("Graph", "Variables"):
        tab.table._handle_custom_msg({"do": "act", "name": act}, [])
    node = {"name": "net/block_0/dense/MatMul", "function": ""}
    assert went == [("Graph", node), ("Variables", {"name": "net/block_0/"})]
    before = tab.table
    tab.depth.value = 1
    assert len(tab.table.frame) < len(names)
    # What was made of the columns stays, and so does a table that was there.
    assert tab.table.layout_of_columns["hidden"] == ["ops"]
    tab.depth.value = 2
    assert tab.table is before
    tab.arrive(name="net/block_2")
    assert tab.table.wanted["row"] == names.index("net/block_2")
