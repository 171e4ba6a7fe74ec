from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import tfmagic
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
    assert kinds["parameters"] == kinds["bytes"] == "bar"
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
