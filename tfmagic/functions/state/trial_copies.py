"""Copies of a function to try it on: of its graph, and of what a run changes.

A trial of the function itself would leave a count moved, a word in a table, a generator further on. Putting that back
is no way: another thread may be training meanwhile, and what a kernel draws from cannot be read. What is only read is
shared with the original. Not for: saying whether a function may be tried (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.functions.state import resource_copies, trial_graph
from tfmagic.functions.state.resource_copies import ResourceCopy, UncopyableError
from tfmagic.graphs.named_resources import named_resources
from tfmagic.graphs.resource_uses import READS, ResourceUses
from tfmagic.graphs.seed_states import seed_states
from tfmagic.graphs.tensor_names import full
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.files import protos
    from tfmagic.functions.named_function import NamedFunction
    from tfmagic.graphs.named_resources import NamedResource

_SCOPE = "trial"


class _Changed(NamedTuple):
    """A resource that a run changes: a placeholder that stands for it, its handle, the ops that take it."""

    name: str
    handle: runtime.Live
    ops: list[protos.Message]


@dataclass(frozen=True)
class TrialCopies:
    """Makes copies of one function.

    Attributes
    ----------
    function : NamedFunction
        The original.
    repeatable : bool
        Whether what draws without a seed gets one, the same in every copy of every function.
    silent : bool
        Whether nothing prints.
    sharing : bool
        Whether what nobody can copy, such as a live queue, is used itself.
    """

    function: NamedFunction
    repeatable: bool = False
    silent: bool = True
    sharing: bool = False
    _shared: dict[str, str] = field(default_factory=dict)

    def fresh(self) -> NamedFunction:
        """Return a function to run that begins where the original stands now.

        It is the original itself where a run of that would leave no trace.

        Raises
        ------
        UncopyableError
            If a run changes what nobody can copy.
        """
        if not self.leaves_traces:
            return self.function
        for node in self._foreign:
            if not self.sharing:
                raise UncopyableError(f"{node.name!r} ({node.op}), which lies inside the graph")
            self._shared[node.name] = f"{node.name!r} ({node.op}), which lies inside the graph"
        self.function.restore()
        with runtime.eager():
            return self._imported({each: self._copied(entry) for each, entry in self._changed.items()})

    def _copied(self, entry: _Changed) -> ResourceCopy:
        seed = trial_graph.SEED if self.repeatable and entry.name in self._seed_states else None
        try:
            return resource_copies.copied(entry.handle, entry.ops, seed)
        except UncopyableError as error:
            if not self.sharing:
                raise
            self._shared[entry.name] = str(error)
            return ResourceCopy(entry.handle, None)

    @cached_property
    def leaves_traces(self) -> bool:
        """Whether a run of the original would change something, print, or could not be repeated."""
        graph_def = self._graph_def
        changes = self._changed or any(each.changes for each in self._named)
        return bool(changes or self.draws) or (self.silent and trial_graph.prints(graph_def))

    @cached_property
    def _named(self) -> Sequence[NamedResource]:
        return named_resources(self._graph_def)

    @property
    def _foreign(self) -> Iterator[protos.Message]:
        """Yield the nodes of what a run changes, and a graph of its own would not have with its content."""
        return (each.node for each in self._named if each.changes and not each.is_own)

    @cached_property
    def draws(self) -> frozenset[str]:
        """The ops by which a run draws what another run would not: equal sets of two functions can draw the same."""
        return trial_graph.drawing(self._graph_def, bool(self._seed_states))

    @cached_property
    def _seed_states(self) -> set[str]:
        return seed_states(self._graph_def, self._resources)

    @property
    def shared(self) -> tuple[str, ...]:
        """What was used itself, as nobody can copy it: said in the words of the errors."""
        return tuple(self._shared.values())

    @property
    def changed(self) -> tuple[str, ...]:
        """What runs change and was copied, by the names of the variables or of the placeholders that stand for it."""
        known = {id(variable.handle): name for name, variable in self._variables() if hasattr(variable, "handle")}
        changed = [entry for entry in self._changed.values() if entry.name not in self._shared]
        return tuple(known.get(id(entry.handle), entry.name) for entry in changed)

    def changes(self, placeholder: str) -> bool:
        """Say whether a run changes the resource behind a placeholder."""
        return self._resources.get(placeholder) in self._changed

    def _variables(self) -> Iterator[tuple[str, runtime.Live]]:
        yield from ((variable.name, variable) for variable in self.function.concrete.graph.variables)
        yield from self.function.variables.items()

    @cached_property
    def _graph_def(self) -> protos.Message:
        return concrete_functions.graph_def(self.function.concrete)

    @cached_property
    def _captures(self) -> Mapping[str, runtime.Live]:
        """What the function takes from outside, by the names of the placeholders that stand for it."""
        concrete = self.function.concrete
        outside = concrete.captured_inputs
        inside = concrete.inputs[len(concrete.inputs) - len(outside) :]
        return {tensor.op.name: value for tensor, value in zip(inside, outside, strict=True)}

    @cached_property
    def _resources(self) -> Mapping[str, bytes]:
        """What identifies the resource behind each placeholder: several may stand for one."""
        return {
            name: resource_copies.described_handle(value).SerializeToString(deterministic=True)
            for name, value in self._captures.items()
            if value.dtype.name == "resource"
        }

    @cached_property
    def _changed(self) -> Mapping[bytes, _Changed]:
        """What a run changes."""
        uses = ResourceUses(self._graph_def)
        by_resource: dict[bytes, _Changed] = {}
        for name, resource in self._resources.items():
            entry = by_resource.setdefault(resource, _Changed(name, self._captures[name], []))
            entry.ops.extend(use.node for use in uses.of(name))
        return {
            resource: entry for resource, entry in by_resource.items() if any(op.op not in READS for op in entry.ops)
        }

    def _imported(self, copies: Mapping[bytes, ResourceCopy]) -> NamedFunction:
        """Import the graph anew around the copies."""
        tf = runtime.tensorflow()
        concrete = self.function.concrete
        graph_def = self._edited()
        arguments = concrete.inputs[: len(concrete.inputs) - len(self._captures)]
        taken = {full(text) for node in graph_def.node for text in node.input if not text.startswith("^")}
        names = [tensor.name for tensor in concrete.outputs]
        controls = [op.name for op in concrete.graph.control_outputs]

        def call(*tensors: runtime.Live) -> list[runtime.Live]:
            known = {argument.name: tensor for argument, tensor in zip(arguments, tensors, strict=True)}
            for name, value in self._captures.items():
                copy = copies.get(self._resources.get(name, b""))
                known[f"{name}:0"] = concrete_functions.capture(value if copy is None else copy.handle)
            wanted = [name for name in dict.fromkeys(names) if name not in known]
            used = {name: tensor for name, tensor in known.items() if name in taken}
            elements = tf.graph_util.import_graph_def(
                graph_def, input_map=used, return_elements=[*wanted, *controls], name=_SCOPE
            )
            known.update(zip(wanted, elements, strict=False))
            with tf.control_dependencies(elements[len(wanted) :]):
                return [tf.identity(known[name]) for name in names]

        specs = [tf.TensorSpec(each.shape, each.dtype, f"argument_{place}") for place, each in enumerate(arguments)]
        wrapped = tf.compat.v1.wrap_function(call, specs)
        # The process would keep them for ever.
        functions = [function.signature.name for function in graph_def.library.function]
        weakref.finalize(wrapped, concrete_functions.forget_functions, functions).atexit = False
        inner = {argument.name: tensor.name for argument, tensor in zip(arguments, wrapped.inputs, strict=False)}
        return replace(
            self.function,
            concrete=wrapped,
            inputs=tuple(end._replace(tensor=inner.get(end.tensor, end.tensor)) for end in self.function.inputs),
            outputs=tuple(
                end._replace(tensor=inner.get(end.tensor, f"{_SCOPE}/{end.tensor}")) for end in self.function.outputs
            ),
            owner=(self.function.owner, [copy.owner for copy in copies.values()]),
        )

    def _edited(self) -> protos.Message:
        """Return the graph to import, without the placeholders that arguments and captures take the place of."""
        graph_def = type(self._graph_def)()
        graph_def.CopyFrom(self._graph_def)
        gone = {tensor.op.name for tensor in self.function.concrete.inputs}
        kept = [node for node in self._graph_def.node if node.name not in gone]
        del graph_def.node[:]
        graph_def.node.extend(kept)
        trial_graph.isolate(graph_def, {each.node.name for each in self._named if each.changes and each.is_own})
        trial_graph.under_own_names(graph_def)
        if self.silent:
            trial_graph.cut_prints(graph_def)
        if self.repeatable:
            trial_graph.seed(graph_def)
        return graph_def
