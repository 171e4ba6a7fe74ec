from __future__ import annotations

import pytest

from tests.op_registry import registry
from tfmagic.files import protos
from tfmagic.graphs import node_descriptions, op_defaults


@pytest.mark.tensorflow
def test_the_list_has_the_defaults_that_tensorflow_registers() -> None:
    """What a node that states its defaults computes is what one computes that states nothing."""
    wrong = []
    for name, op in registry().items():
        node = protos.message("NodeDef")(name="n", op=name)
        for each in op.attr:
            if each.HasField("default_value"):
                node.attr[each.name].CopyFrom(each.default_value)
        if node_descriptions.of_attributes(node):
            wrong.append((name, node_descriptions.of_attributes(node)))
    assert wrong == []


@pytest.mark.tensorflow
def test_nothing_is_a_default_that_tensorflow_does_not_register() -> None:
    ops = registry()
    stated = [
        (op, key)
        for op, definition in ops.items()
        for key in (each.name for each in definition.attr if not each.HasField("default_value"))
        if op_defaults.default(op, key)
    ]
    assert stated == []


def test_a_value_that_is_not_the_default_counts_whatever_it_is() -> None:
    """NotEqual raises where shapes do not go together, unless it is told not to: that is zero, and no default."""
    stated, silent, other = (protos.message("NodeDef")(name="n", op="NotEqual") for _ in range(3))
    stated.attr["incompatible_shape_error"].b = True
    other.attr["incompatible_shape_error"].b = False
    described = [node_descriptions.of_attributes(node) for node in (stated, silent, other)]
    assert described == [(), (), (("incompatible_shape_error", "False"),)]
