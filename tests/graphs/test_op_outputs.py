from __future__ import annotations

import pytest

from tests.op_registry import registry
from tfmagic.files import protos
from tfmagic.graphs import op_outputs


@pytest.mark.tensorflow
def test_the_list_has_the_outputs_that_tensorflow_registers() -> None:
    registered = {name: op for name, op in registry().items() if len(op.output_arg) > 1}
    assert set(registered) - set(op_outputs.several()) == set()
    known = {name: op_outputs.several()[name] for name in registered}
    assert known == {name: op_outputs.of_definition(op) for name, op in registered.items()}


def test_an_output_has_a_number_by_the_list_and_by_the_models_own_definition() -> None:
    split = protos.message("NodeDef")(name="s", op="Split")
    split.attr["num_split"].i = 3
    assert op_outputs.number(split, "output", 2, {}) == 2
    norm = protos.message("NodeDef")(name="n", op="FusedBatchNormV3")
    assert op_outputs.number(norm, "batch_variance", 0, {}) == 2
    assert op_outputs.number(norm, "nothing", 0, {}) is None
    ragged = protos.message("NodeDef")(name="r", op="RaggedTensorToSparse")
    assert op_outputs.number(ragged, "sparse_values", 0, {}) == 1
    parse = protos.message("NodeDef")(name="p", op="ParseExample")
    parse.attr["Nsparse"].i = 2
    parse.attr["sparse_types"].list.type.extend([1, 1])
    assert op_outputs.number(parse, "sparse_values", 1, {}) == 3

    own = protos.message("NodeDef")(name="o", op="OneOfTheUser")
    assert op_outputs.number(own, "out", 0, {}) is None
    definition = protos.message("OpDef")(name="OneOfTheUser")
    definition.output_arg.add(name="first", number_attr="N")
    definition.output_arg.add(name="out")
    own.attr["N"].i = 4
    assert op_outputs.number(own, "out", 0, {"OneOfTheUser": definition}) == 4
