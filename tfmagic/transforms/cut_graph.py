"""The part of a graph between the ends of its signatures: what stays as it is, and what stands for what is fed.

A node is cut only where no signature needs it whole: one signature may begin at a tensor that another computes. Not
for: changing what stays (:mod:`tfmagic.transforms.reference_variables`, :mod:`tfmagic.transforms.freeze_graph`), or
cutting functions (:mod:`tfmagic.transforms.cut_function`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.importable_part import refuse_arguments, require_placeholders
from tfmagic.graphs import loop_bodies
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.pipelines import handed_out
from tfmagic.graphs.signatures import tensors_of
from tfmagic.graphs.tensor_names import FreeNames, node_of, plain
from tfmagic.graphs.tensors import output_dtypes
from tfmagic.graphs.walks import ancestors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.runtime.ops_and_devices import Definitions

#: What has a value of its own where nobody feeds it.
_OWN_VALUE = frozenset({"Const", "PlaceholderWithDefault"})
_PASSING = _OWN_VALUE | {"Identity"}
_PLACEHOLDERS = of_kind("placeholder")


class Part:
    """The part of a graph that some signatures need, growing by what else is to stay.

    Parameters
    ----------
    nodes : mapping of str to NodeDef
        The whole graph, in its order.
    signatures : mapping of str to SignatureDef
        What is fed and fetched, by key.

    Attributes
    ----------
    kept : set of str
        The nodes that stay as they are.
    holes : set of str
        The nodes of which only tensors that are fed are wanted.

    Raises
    ------
    ConversionError
        If the graph is incomplete, or the inputs of a signature do not suffice for its outputs.
    """

    def __init__(self, nodes: Mapping[str, protos.Message], signatures: Mapping[str, protos.Message]) -> None:
        self.nodes = nodes
        self.kept: set[str] = set()
        self.holes: set[str] = set()
        self.feeds = {tensor: info for each in signatures.values() for tensor, info in fed(each)}
        for key, signature in signatures.items():
            own = {tensor for tensor, _ in fed(signature)}
            needed, leaves = ancestors(nodes, fetched(signature), own)
            _refuse_pipelines(nodes, key, needed, own)
            require_placeholders(nodes, f"the outputs of {key!r}", needed, own)
            loop_bodies.require_outside(nodes, needed, own, fetched(signature))
            self.kept |= needed
            self.holes |= leaves | {node_of(tensor) for tensor in own}
        self.holes -= self.kept
        for name in sorted(self.holes):
            if nodes[name].op in _OWN_VALUE:
                behind, _ = ancestors(nodes, [name])
                if all(nodes[each].op in _PASSING for each in behind):
                    self.kept |= behind
        self.holes -= self.kept
        refuse_arguments(nodes, self.kept)

    def need(self, roots: Iterable[str]) -> None:
        """Let more nodes or tensors stay, with what they depend on."""
        cut = {tensor for tensor in self.feeds if node_of(tensor) in self.holes}
        needed, _ = ancestors(self.nodes, roots, cut)
        self.kept |= needed
        self.holes -= self.kept

    def ancestors_of(self, root: str) -> set[str]:
        """Return the nodes that one depends on, the inputs given."""
        return ancestors(self.nodes, [root], self.feeds)[0]

    def node_defs(self, definitions: Definitions, names: FreeNames) -> Iterator[protos.Message]:
        """Yield copies of the nodes that stay, and what stands for those that are cut, in the old order.

        Raises
        ------
        ConversionError
            If nothing says of which dtypes the outputs of a node are that is cut.
        """
        for name, node in self.nodes.items():
            if name in self.kept:
                yield copy_of(node)
            elif name in self.holes:
                yield from self._stand_ins(node, definitions, names)

    def _stand_ins(self, node: protos.Message, definitions: Definitions, names: FreeNames) -> Iterator[protos.Message]:
        """Yield a Placeholder of the node's name, or for several outputs Placeholders behind an IdentityN of it."""
        if node.op in _PLACEHOLDERS:
            yield copy_of(node)
            return
        definition = definitions.of(node.op)
        dtypes = [] if definition is None else list(output_dtypes(definition, node))
        if not dtypes:
            info = self.feeds.get(node.name)
            if info is None or any(node_of(tensor) == node.name and tensor != node.name for tensor in self.feeds):
                raise errors.ConversionError(
                    f"nothing says how many outputs {node.name!r} ({node.op}) has and of which dtypes, as the op is "
                    "not registered here; choose inputs before or behind it"
                )
            dtypes = [info.dtype]
        if len(dtypes) == 1:
            yield self._placeholder(node.name, dtypes[0], plain(node.name))
            return
        parts = [
            self._placeholder(names(f"{node.name}/input_{place}"), dtype, plain(f"{node.name}:{place}"))
            for place, dtype in enumerate(dtypes)
        ]
        yield from parts
        joined = protos.message("NodeDef")(name=node.name, op="IdentityN", device=node.device)
        joined.input.extend(each.name for each in parts)
        joined.attr["T"].list.type.extend(each.attr["dtype"].type for each in parts)
        yield joined

    def _placeholder(self, name: str, dtype: int, tensor: str) -> protos.Message:
        result = protos.message("NodeDef")(name=name, op="Placeholder")
        result.attr["dtype"].type = protos.value_dtype(dtype)
        info = self.feeds.get(tensor)
        if info is not None and info.name and info.HasField("tensor_shape"):
            result.attr["shape"].shape.CopyFrom(info.tensor_shape)
        else:
            result.attr["shape"].shape.unknown_rank = True
        return result


def copy_of(node: protos.Message) -> protos.Message:
    """Return a copy of a node."""
    result = protos.message("NodeDef")()
    result.CopyFrom(node)
    return result


def fed(signature: protos.Message) -> Iterator[tuple[str, protos.Message]]:
    """Yield the tensors that a signature takes, as nodes name their inputs, and the TensorInfo of each."""
    for info in signature.inputs.values():
        yield from ((plain(tensor), info) for tensor in tensors_of(info))


def fetched(signature: protos.Message) -> list[str]:
    """Return the tensors that a signature gives."""
    return [plain(tensor) for info in signature.outputs.values() for tensor in tensors_of(info)]


def _refuse_pipelines(nodes: Mapping[str, protos.Message], key: str, needed: set[str], inputs: set[str]) -> None:
    """Refuse outputs that wait for the next element of what no signature starts."""
    fed = {plain(tensor) for tensor in inputs}
    tensors = handed_out(
        {name: node.op for name, node in nodes.items()},
        ((name, [text for text in nodes[name].input if plain(text) not in fed]) for name in nodes if name in needed),
    )
    if tensors:
        raise errors.ConversionError(
            f"the outputs of {key!r} come out of an input pipeline, a queue or an iterator, which hands out something "
            f"else at each run and which no signature starts: name what it hands out as inputs, inputs={tensors!r} "
            f"(--inputs {','.join(tensors)})"
        )
