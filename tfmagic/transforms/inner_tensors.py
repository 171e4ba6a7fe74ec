"""Tensors within the functions of a stored graph, which have names in it once its calls are inlined.

Not for: freezing between them (:mod:`tfmagic.transforms.freeze_stored`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.signatures import Endpoint
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.tensors import GraphTensors
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How names begin that say through which calls a node is reached.
_CALLS = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")


class FlatGraph(NamedTuple):
    """A graph whose calls are inlined.

    Attributes
    ----------
    graph_def : GraphDef
        Of our pool.
    header : MetaGraphDef
        Of the model: the ops that it lists.
    inputs, outputs : tuple of Endpoint
        The signature's keys, and their tensors in this graph.
    """

    graph_def: protos.Message
    header: protos.Message
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]

    def end(self, key: str, name: str) -> Endpoint:
        """Return a tensor of the flat graph under a key.

        Parameters
        ----------
        key : str
            The key that it is to have.
        name : str
            Its name in its function, as the table of ops has it, or with the calls that lead there.

        Raises
        ------
        UnknownNameError
            If there is no such tensor, or several calls lead to some of this name; names the nearest.
        """
        node, _, number = name.partition(":")
        names = [each.name for each in self.graph_def.node]
        meant = [each for each in names if each == node] or [each for each in names if each.endswith(f"/{node}")]
        if not meant:
            ends = {node_of(end.tensor): end.key for end in (*self.inputs, *self.outputs)}
            known = [*ends.values(), *(_CALLS.sub("", each) for each in names if each not in ends)]
            raise errors.UnknownNameError(name, "tensor", list(dict.fromkeys(known)))
        if len(meant) > 1:
            raise errors.UnknownNameError(name, "single tensor", meant)
        info = _tensors(self).info(f"{meant[0]}:{number or 0}")
        dtype, shape = protos.dtype_name(info.dtype), protos.shape_of(info.tensor_shape)
        return Endpoint(key, info.name, dtype, shape)

    def missing_inputs(self, inputs: Sequence[Endpoint], outputs: Sequence[Endpoint]) -> str | None:
        """Say which other inputs of the signature than those given the outputs need, None if they need none."""
        nodes = {node.name: node for node in self.graph_def.node}
        stops = {node_of(end.tensor) for end in inputs}
        needed = reached(
            [node_of(end.tensor) for end in outputs],
            lambda name: () if name in stops else map(node_of, nodes[name].input),
        )
        missing = [end.key for end in self.inputs if node_of(end.tensor) in needed - stops]
        if not missing:
            return None
        return (
            f"the outputs also need {errors.listed(missing)}, which is not among the inputs "
            f"{errors.listed(end.key for end in inputs)}; add it, or choose inputs further down the graph"
        )


def _tensors(flat: FlatGraph) -> GraphTensors:
    whole = protos.message("MetaGraphDef")()
    whole.meta_info_def.stripped_op_list.CopyFrom(flat.header.meta_info_def.stripped_op_list)
    whole.graph_def.CopyFrom(flat.graph_def)
    return GraphTensors(MetaGraph.of_message(whole))
