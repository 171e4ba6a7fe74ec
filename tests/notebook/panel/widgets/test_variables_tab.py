"""The tab Variables without a browser: statistics on demand, in a thread where values are many."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import pytest

import tfmagic
from tests import samples as sample_forms
from tests.checkpoint_samples import entry, write_bundle
from tests.notebook.panel.widgets.test_ops_tab import Around
from tfmagic.models import variable_statistics
from tfmagic.models.variable_statistics import Statistics
from tfmagic.notebook.panel.widgets import variables_tab
from tfmagic.notebook.panel.widgets.protocols import Destination

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.samples import Built

LARGE = np.arange(1_000_000, dtype="<f4")
SMALL = np.array([0, 1, 2, 3], "<f4")


@pytest.fixture
def tab(tmp_path: Path) -> variables_tab.VariablesTab:
    """A small variable, a large one, one of strings and one whose values are not there."""
    small, large = SMALL.tobytes(), LARGE.tobytes()
    entries = {
        b"large": entry((1000, 1000), large, offset=len(small)),
        b"lost": entry((9,), b"\0" * 36, offset=1 << 40),
        b"small": entry((4,), small),
        b"words": entry((1,), b"\x01....a"),
    }
    entries[b"words"].dtype = 7
    prefix = write_bundle(tmp_path / "model", {key: entries[key] for key in sorted(entries)}, small + large)
    found = variables_tab.build(tfmagic.inspect(prefix), Around())
    assert isinstance(found, variables_tab.VariablesTab)
    return found


def ask(tab: variables_tab.VariablesTab, do: str, **what: Any) -> None:
    tab.table._handle_custom_msg({"do": do, **what}, [])


def row_of(tab: variables_tab.VariablesTab, name: str) -> int:
    return tab.table.frame["name"].tolist().index(name)


def wait(until: Callable[[], bool]) -> None:
    for _ in range(2000):
        if until():
            return
        time.sleep(0.005)
    pytest.fail("nothing came of it")


def test_a_small_variable_is_told_at_once(tab: variables_tab.VariablesTab) -> None:
    ask(tab, "open", row=row_of(tab, "small"))
    facts = dict(tab.table.details["facts"])
    assert (facts["mean"], facts["min"], facts["max"], facts["zeros"]) == ("1.5", "0", "3", "1 (25.0%)")
    assert facts["std"] == f"{SMALL.std():.6g}"
    assert facts["shape"] == "(4,)"
    chart = tab.table.details["chart"]
    assert (chart["low"], chart["high"]) == ("0", "3")
    assert max(chart["bars"]) == 1
    assert "4 values from 0 to 3" in chart["text"]


def test_a_large_variable_is_read_in_a_thread_with_a_word_meanwhile(
    tab: variables_tab.VariablesTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    of = variable_statistics.of

    def slow(*arguments: Any) -> Statistics:
        may_go_on.wait(20)
        return of(*arguments)

    monkeypatch.setattr(variable_statistics, "of", slow)
    ask(tab, "open", row=row_of(tab, "large"))
    assert tab.table.details["note"] == "Reading 1,000,000 values …"
    assert [act["text"] for act in tab.table.details["acts"]] == ["Cancel"]
    may_go_on.set()
    wait(lambda: "chart" in tab.table.details)
    assert float(dict(tab.table.details["facts"])["mean"]) == pytest.approx(LARGE.mean(dtype=np.float64), rel=1e-5)
    assert "acts" not in tab.table.details


@pytest.mark.parametrize("way", ["cancel", "another row", "close"])
def test_what_is_not_wanted_any_more_is_not_read_on(
    way: str, tab: variables_tab.VariablesTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def endless(_blocks: Any, check: Callable[[int], None]) -> Statistics:
        going.set()
        while True:
            check(1)
            time.sleep(0.002)

    monkeypatch.setattr(variable_statistics, "of", endless)
    ask(tab, "open", row=row_of(tab, "large"))
    assert going.wait(20)
    (reading,) = (thread for thread in threading.enumerate() if thread.name == "tfmagic statistics")
    monkeypatch.undo()
    if way == "cancel":
        ask(tab, "act", name="cancel")
    elif way == "close":
        ask(tab, "close")
    else:
        ask(tab, "open", row=row_of(tab, "small"))
    reading.join(20)
    assert not reading.is_alive()
    title = tab.table.details.get("title")
    assert title == {"cancel": "large", "another row": "small", "close": None}[way]
    assert tab.table.details.get("note") in {"Reading was cancelled.", "", None}


@pytest.mark.parametrize(("name", "says"), [("words", "strings"), ("lost", "truncated")])
def test_what_cannot_be_read_says_why_in_one_line(name: str, says: str, tab: variables_tab.VariablesTab) -> None:
    ask(tab, "open", row=row_of(tab, name))
    note = tab.table.details["note"]
    assert note.startswith("No statistics: ")
    assert says in note
    assert "\n" not in note
    assert "chart" not in tab.table.details
    assert dict(tab.table.details["facts"])["dtype"]


def test_whatever_a_live_object_raises_is_one_line(
    tab: variables_tab.VariablesTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Statistics:
        message = "device lost\nmore"
        raise RuntimeError(message)

    monkeypatch.setattr(variable_statistics, "of", fail)
    ask(tab, "open", row=row_of(tab, "small"))
    assert tab.table.details["note"] == "No statistics: RuntimeError: device lost"


def test_other_tabs_lead_to_a_variable(tab: variables_tab.VariablesTab) -> None:
    assert isinstance(tab, Destination)
    tab.arrive(name="small")
    assert tab.table.wanted["row"] == row_of(tab, "small")
    tab.arrive(name="sma")
    assert tab.table.wanted["query"]["text"] == "sma"


def test_sizes_are_bars_and_nothing_is_read_to_build_the_tab(tab: variables_tab.VariablesTab) -> None:
    kinds = {column["name"]: column["kind"] for column in tab.table.columns}
    assert kinds["bytes"] == "bar"
    assert tab.table.details == {}


def test_a_form_without_variables_says_so() -> None:
    class Bare:
        form, parts = "graph_def", ("graph",)

    label = variables_tab.build(Bare(), Around())  # type: ignore[arg-type]
    assert isinstance(label, ipywidgets.Label)
    assert label.value == "A graph_def has no variables; it has graph."


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Statistics(0, 0, 0, 0, None, None, None, None, ()), {"values": "none"}),
        (Statistics(3, 0, 1, 2, None, None, None, None, ()), {"zeros": "0", "NaN": "1", "Inf": "2"}),
    ],
)
def test_of_what_is_not_finite_there_is_no_mean(values: Statistics, expected: dict[str, str]) -> None:
    assert dict(variables_tab.facts(values)) == expected


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name, each in sample_forms.SAMPLES.items() if "variables" in each.parts])
def test_every_form_tells_statistics_or_why_not(name: str, samples: Built) -> None:
    tab = variables_tab.build(tfmagic.inspect(samples[name]), Around())
    assert isinstance(tab, variables_tab.VariablesTab)
    for row in range(len(tab.table.frame)):
        ask(tab, "open", row=row)
        details = tab.table.details
        assert "chart" in details or details["note"].startswith("No statistics: ")
