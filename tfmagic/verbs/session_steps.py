"""A step of a graph of TensorFlow 1 as a function: what writes to variables, such as a training op, or has no outputs.

Variables by reference become resources first, as no function of TensorFlow 2 writes to a reference. Not for: running
it, which changes copies of the variables (:mod:`tfmagic.functions.state.trial_copies`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.functions import wrap_graph_def
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.signatures import own_key
from tfmagic.graphs.tensor_names import FreeNames, full, node_of, plain
from tfmagic.graphs.walks import ancestors
from tfmagic.runtime.ops_and_devices import Definitions
from tfmagic.transforms.cut_function import by_key
from tfmagic.transforms.cut_graph import copy_of
from tfmagic.transforms.reference_variables import upgraded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.models.model import Model
    from tfmagic.verbs.conversion.options import Ends

_WRITES = of_kind("reference write", "variable write")
_PLACEHOLDERS = of_kind("placeholder")


def step(model: Model, outputs: Ends, inputs: Iterable[object]) -> NamedFunction | None:
    """Return the function of a step, None if the outputs are none: only computed, keys, or not there.

    Parameters
    ----------
    model : Model
        Of a graph, with a way to its variables' values.
    outputs : sequence or mapping of str to tensor or op
        As :func:`tfmagic.run` takes them. An op that has no output is true once it has run.
    inputs : iterable
        The tensors, or names of some, that a user gives; placeholders that are needed besides are inputs too.
    """
    store = model.state() if model.state else None
    if store is None or outputs is None:
        return None
    wanted = {key: str(getattr(end, "name", end)) for key, end in by_key(outputs).items()}
    graph = _StepGraph(store, wanted, [str(getattr(end, "name", end)) for end in inputs])
    return graph.function() if graph.is_step else None


class _StepGraph:
    """The part of a graph that a step needs."""

    def __init__(self, store: Store, outputs: Mapping[str, str], inputs: Iterable[str]) -> None:
        self._store = store
        self._nodes = {node.name: node for node in store.graph_def.node}
        self._outputs = outputs
        self._feeds = {plain(name) for name in inputs if node_of(name) in self._nodes}
        self._definitions = Definitions(store.graph_def, store.meta_graph.header)
        known = all(node_of(name) in self._nodes for name in outputs.values())
        self._needed = ancestors(self._nodes, outputs.values(), self._feeds)[0] if known else set()

    @property
    def is_step(self) -> bool:
        """Whether something is written, or an op is named and not a tensor."""
        return any(self._nodes[name].op in _WRITES for name in self._needed) or any(
            self._is_bare(name) for name in self._outputs.values() if self._needed
        )

    def _is_bare(self, name: str) -> bool:
        definition = self._definitions.of(self._nodes[node_of(name)].op)
        return definition is not None and not definition.output_arg

    def function(self) -> NamedFunction:
        """Take the step out of the graph."""
        names = FreeNames(self._nodes)
        ends = {key: full(name) for key, name in self._outputs.items()}
        nodes = [copy_of(node) for node in self._store.graph_def.node if node.name in self._needed | self._fed_nodes]
        for key, name in self._outputs.items():
            if self._is_bare(name):
                nodes.extend(_after(node_of(name), names))
                ends[key] = full(nodes[-1].name)
        inputs = self._inputs()
        resources = upgraded(nodes, [*map(plain, ends.values()), *inputs.values()], self._definitions, names)
        graph_def = protos.message("GraphDef")(versions=self._store.graph_def.versions)
        graph_def.library.CopyFrom(self._store.graph_def.library)
        graph_def.node.extend(resources.nodes)
        return wrap_graph_def(
            graph_def,
            inputs,
            {key: full(resources.moved.get(plain(name), name)) for key, name in ends.items()},
            values=self._store.values,
            tables=self._store.tables,
        )

    @property
    def _fed_nodes(self) -> set[str]:
        return {node_of(name) for name in self._feeds}

    def _inputs(self) -> dict[str, str]:
        """Return what the user gives, and the placeholders that are needed besides."""
        needed = [name for name in self._nodes if name in self._needed and self._nodes[name].op in _PLACEHOLDERS]
        return {own_key(full(name)): full(name) for name in dict.fromkeys((*sorted(self._feeds), *needed))}


def _after(op: str, names: FreeNames) -> Iterator[protos.Message]:
    """Yield a constant, and a node that gives it once an op has run."""
    constant = protos.message("NodeDef")(name=names(f"{op}/true"), op="Const")
    constant.attr["dtype"].type = protos.dtype_number("bool")
    tensor = constant.attr["value"].tensor
    tensor.dtype = protos.dtype_number("bool")
    tensor.tensor_shape.SetInParent()
    tensor.bool_val.append(True)
    yield constant
    ran = protos.message("NodeDef")(name=names(f"{op}/ran"), op="Identity", input=[constant.name, f"^{op}"])
    ran.attr["T"].type = protos.dtype_number("bool")
    yield ran
