from __future__ import annotations

import pytest

from tfmagic.graphs import tensor_names


@pytest.mark.parametrize(
    ("edge", "node"), [("a", "a"), ("a:1", "a"), ("^a", "a"), ("scope/a:out:0", "scope/a"), ("^scope/a", "scope/a")]
)
def test_the_node_that_an_input_names(edge: str, node: str) -> None:
    assert tensor_names.node_of(edge) == node


@pytest.mark.parametrize(("text", "full"), [("a", "a:0"), ("a:1", "a:1"), ("scope/a:out:0", "scope/a:out:0")])
def test_a_first_output_is_written_out(text: str, full: str) -> None:
    assert tensor_names.full(text) == full
