"""Variables that hold what random numbers are drawn from, and are moved on by each run.

A generator of Keras (``SeedGenerator``) is a variable whose value seeds ops that are stateless by themselves, one of
TensorFlow (``tf.random.Generator``) a variable that ops of its own read and skip. As constants they would give the same
"random" numbers at every run. Not for: ops that draw from a kernel (``seed`` is an attribute of theirs).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from tfmagic.graphs import ops
from tfmagic.graphs.function_library import all_nodes
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.resource_uses import ResourceUses
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.files import protos

#: Ops that draw from a kernel of their own, which two attributes seed.
KERNEL_RANDOM = (
    (ops.of_kind("random", "recurrent") & ops.of_effect(Effect.RANDOM))
    | {"FractionalAvgPool", "FractionalMaxPool", "FixedUnigramCandidateSampler"}
) - {"Empty", "NonDeterministicInts", "RiscRandomUniform"}
#: Ops on the state of a ``tf.random.Generator``.
GENERATOR_OPS = ops.of_kind("generator")
#: The state of one as ops give it, whatever its algorithm.
GENERATOR_SHAPE = (3,)
#: The attribute of a node that stands in a frozen graph for such a state and draws it anew at each run: its shape.
DRAWN_STATE = "_tfmagic_drawn_state"
_READ = "ReadVariableOp"
#: Which inputs of a stateless random op are its seed: the first for those that make a key of it, the second and third
#: where a shape or the values come before, the third where two things do.
_SEEDS: Mapping[str, tuple[int, ...]] = {
    "StatelessRandomGetKeyCounter": (0,), "StatelessRandomGetKeyCounterAlg": (0,), "StatelessMultinomial": (2,),
    "StatelessSampleDistortedBoundingBox": (5,),
}  # fmt: skip
_SEEDED = re.compile(r"Stateless(Random|TruncatedNormal|ParameterizedTruncatedNormal|Shuffle)\w*")
_USUAL_SEEDS = (1, 2)


def seed_states(graph_def: protos.Message, placeholders: Iterable[str]) -> set[str]:
    """Return those placeholders of variables that are such a state.

    Parameters
    ----------
    graph_def : GraphDef
        Of any pool.
    placeholders : iterable of str
        The nodes that stand for the handles of variables.
    """
    if not any(_is_seeded(node.op) or node.op in GENERATOR_OPS for node in all_nodes(graph_def)):
        return set()
    uses, flow = ResourceUses(graph_def), _Flow(graph_def)
    states = set()
    for name in placeholders:
        taken = uses.of(name)
        reads = [(use.function, use.node.name) for use in taken if use.node.op == _READ]
        is_generator = any(use.node.op in GENERATOR_OPS for use in taken)
        if is_generator or (any(use.changes for use in taken) and flow.seeds(reads)):
            states.add(name)
    return states


def _is_seeded(op: str) -> bool:
    return op in _SEEDS or bool(_SEEDED.fullmatch(op))


class _Flow:
    """What comes of a value, in the body in which it is computed and in the functions that it is given to."""

    def __init__(self, graph_def: protos.Message) -> None:
        self._library = {function.signature.name: function for function in graph_def.library.function}
        self._consumers = {"": _consumers(graph_def.node)}
        self._consumers |= {name: _consumers(function.node_def) for name, function in self._library.items()}

    def seeds(self, starts: Iterable[tuple[str, str]]) -> bool:
        """Say whether the value of one of some nodes comes to be a seed."""
        waiting = list(starts)
        seen = set(waiting)
        while waiting:
            body, name = waiting.pop()
            for node, index in self._consumers[body].get(name, ()):
                if _is_seeded(node.op) and index in _SEEDS.get(node.op, _USUAL_SEEDS):
                    return True
                following = {(body, node.name), *self._inside(node, index)} - seen
                seen |= following
                waiting.extend(following)
        return False

    def _inside(self, node: protos.Message, index: int) -> Iterator[tuple[str, str]]:
        """Yield the arguments by which a function gets an input of its caller: a branch's condition is none."""
        for value in node.attr.values():
            for function in [value.func] if value.HasField("func") else value.list.func:
                if function.name in self._library:
                    arguments = self._library[function.name].signature.input_arg
                    place = index - 1 if node.op.endswith(("If", "Case")) else index
                    if 0 <= place < len(arguments):
                        yield function.name, arguments[place].name


def _consumers(nodes: Iterable[protos.Message]) -> Mapping[str, list[tuple[protos.Message, int]]]:
    """Return what takes a node's outputs, and as which input."""
    consumers = defaultdict(list)
    for node in nodes:
        for index, text in enumerate(node.input):
            if not text.startswith("^"):
                consumers[node_of(text)].append((node, index))
    return consumers
