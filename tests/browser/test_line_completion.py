"""What a real front end offers on a line of a magic; the tests share one notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.served import LOAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.conftest import Desk

    Line = Callable[[str], list[str]]

MODELS = "import tfmagic\nserving_a = tfmagic.inspect('served_model')\nserving_b = serving_a\nserving_number = 3"
CELLS = (f"{LOAD}\n{MODELS}", "")


@pytest.fixture
def line(lasting: Desk) -> Iterator[Line]:
    """Complete a text that is typed into a cell."""
    yield lambda text: lasting.frontend.complete(1, text)
    lasting.watch.check()


def test_flags_are_completed(line: Line) -> None:
    assert {"--ops", "--signatures", "--variables"} <= set(line("%tf_inspect served_model --"))
    assert {"--signatures", "--signature"} <= set(line("table = %tf_inspect served_model --sig"))


def test_variables_that_hold_a_model_are_completed(line: Line) -> None:
    offered = line("%tf_inspect serving_")
    assert {"serving_a", "serving_b"} <= set(offered)
    assert "serving_number" not in offered


def test_paths_are_completed(line: Line) -> None:
    offered = {name.rstrip("/") for name in line("%tf_inspect served_")}
    assert {"served_model", "served_graph.pbtxt"} <= offered


def test_what_the_model_holds_is_completed(line: Line) -> None:
    keys = line("%tf_inspect served_model --signature cl")
    assert {"classify_pictures", "classify_again"} <= set(keys)
    assert "probability" in line("%tf_inspect served_model --ops --name p")
    assert "Placeholder" in line("%tf_inspect served_model --ops --op P")
