"""The functions behind the signatures of a TensorFlow 2 SavedModel: what ``tf.saved_model.load`` goes by.

It orders the arguments of a function by what it makes of their keys, and the results by theirs, so another key means
another place: to rename an end, the function is copied with its arguments and results in the new order. The graph
inside stays as it is. Not for: the SignatureDefs, by which TensorFlow 1 and servers go.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs.node_attributes import wire_message
from tfmagic.graphs.signature_keys import argument_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.transforms.signature_plans import Planned

_SIGNATURES = "signatures"
#: As TensorFlow calls a function that it makes for a signature; a number follows.
_NAME = "__inference_signature_wrapper_{}"
_USER_NAME = "_user_specified_name"


class Rewritten(NamedTuple):
    """An edited object graph, the functions that the library must gain, and what a person should know."""

    object_graph: protos.Message
    functions: tuple[protos.Message, ...]
    notes: tuple[str, ...]


def rewritten(meta_graph: MetaGraph, plan: Mapping[str, Planned]) -> Rewritten:
    """Return the object graph with the signatures of a plan, the old one untouched.

    Raises
    ------
    ConversionError
        If a function is not as TensorFlow saves those of signatures.
    """
    objects = protos.message("SavedObjectGraph")()
    objects.CopyFrom(meta_graph.object_graph_def)
    return _Rewriter(meta_graph, objects).run(plan)


@dataclass
class _Rewriter:
    meta_graph: MetaGraph
    objects: protos.Message
    added: list[protos.Message] = field(default_factory=list)

    def run(self, plan: Mapping[str, Planned]) -> Rewritten:
        map_id = next(each.node_id for each in self.objects.nodes[0].children if each.local_name == _SIGNATURES)
        node = self.objects.nodes[map_id]
        old = {each.local_name: each.node_id for each in node.children}
        stays = [each for each in plan.values() if each.base in old]
        new = {each.key: self._node(each, old[each.base]) for each in stays}
        # What only the object graph has is nobody's signature: it stays, unless its key is taken.
        others = {key: place for key, place in old.items() if key not in self.meta_graph.signature_def}
        # Adding nodes may have moved them.
        node = self.objects.nodes[map_id]
        del node.children[:]
        for key, place in (others | new).items():
            node.children.add(local_name=key, node_id=place)
        return Rewritten(self.objects, tuple(self.added), _notes(plan, old))

    def _node(self, planned: Planned, base: int) -> int:
        """Return the object of a signature: that of the base, if no end is called otherwise."""
        if not planned.has_own_ends:
            return base
        self._require_function(planned, base)
        node = self.objects.nodes.add()
        node.CopyFrom(self.objects.nodes[base])
        bare = node.bare_concrete_function
        concrete = self.objects.concrete_functions[bare.concrete_function_name]
        layout = Layout.of(planned, concrete)
        function = reordered(self._function(bare.concrete_function_name), layout)
        function.signature.name = self._free_name()
        self.added.append(function)
        bare.concrete_function_name = function.signature.name
        bare.argument_keywords[:] = layout.inputs
        # It would say the old order once more.
        bare.ClearField("function_spec")
        _describe(self.objects.concrete_functions[function.signature.name], concrete, planned)
        return len(self.objects.nodes) - 1

    def _require_function(self, planned: Planned, base: int) -> None:
        """Refuse what is not as TensorFlow saves signatures: keywords only, and a dict of results."""
        bare = self.objects.nodes[base].bare_concrete_function
        name = bare.concrete_function_name
        concrete = self.objects.concrete_functions.get(name)
        if concrete is not None and name in self._places:
            arguments, results = _arguments(concrete), concrete.output_signature.dict_value.fields
            inside = self._function(name).signature
            captured = len(concrete.bound_inputs)
            if (
                set(arguments) == set(planned.inputs.values()) == set(bare.argument_keywords)
                and set(results) >= set(planned.outputs.values())
                and len(inside.input_arg) == len(arguments) + captured
                and len(inside.output_arg) == len(results)
                and not concrete.canonicalized_input_signature.tuple_value.values[0].tuple_value.values
            ):
                return
        raise errors.ConversionError(
            f"the function behind the signature {planned.base!r} is not as TensorFlow saves it, so its inputs and "
            "outputs cannot be renamed without loading it: tfmagic.export(source, destination, signatures={…}) does"
        )

    @property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.meta_graph.graph.function_names)}

    def _function(self, name: str) -> protos.Message:
        starts, ends = self.meta_graph.graph.functions
        place = self._places[name]
        return wire_message(self.meta_graph.buffer, "FunctionDef", int(starts[place]), int(ends[place]))

    def _free_name(self) -> str:
        taken = {*self._places, *self.objects.concrete_functions, *(each.signature.name for each in self.added)}
        return next(name for name in map(_NAME.format, itertools.count(len(taken))) if name not in taken)


class Layout(NamedTuple):
    """The ends of a function in their new order.

    ``inputs`` and ``outputs`` are the keys, ``arguments`` and ``results`` the place that each has in the old function.
    """

    inputs: tuple[str, ...]
    arguments: tuple[int, ...]
    outputs: tuple[str, ...]
    results: tuple[int, ...]

    @classmethod
    def of(cls, planned: Planned, concrete: protos.Message) -> Layout:
        """Find the places that TensorFlow's loader gives to old and new keys."""
        arguments = argument_order(_arguments(concrete))
        results = sorted(concrete.output_signature.dict_value.fields)
        inputs, outputs = argument_order(planned.inputs), sorted(planned.outputs)
        return cls(
            tuple(inputs),
            tuple(arguments.index(str(planned.inputs[key])) for key in inputs),
            tuple(outputs),
            tuple(results.index(str(planned.outputs[key])) for key in outputs),
        )


def _arguments(concrete: protos.Message) -> Mapping[str, protos.Message]:
    """Return the specs of a function's arguments by key."""
    parts = concrete.canonicalized_input_signature.tuple_value.values
    fields: Mapping[str, protos.Message] = parts[1].dict_value.fields if len(parts) > 1 else {}
    return fields


def reordered(function: protos.Message, layout: Layout) -> protos.Message:
    """Return a function with its arguments and results in another order; what it captures comes after the arguments."""
    result = type(function)()
    result.CopyFrom(function)
    arguments = [function.signature.input_arg[place] for place in layout.arguments]
    captured = function.signature.input_arg[len(arguments) :]
    _refill(result.signature.input_arg, [*arguments, *captured])
    for new, (key, old) in enumerate(zip(layout.inputs, layout.arguments, strict=True)):
        result.arg_attr.pop(new, None)
        if old in function.arg_attr:
            result.arg_attr[new].CopyFrom(function.arg_attr[old])
        if _USER_NAME in result.arg_attr[new].attr:
            result.arg_attr[new].attr[_USER_NAME].s = key.encode()
    _select_results(result, function, layout.results)
    return result


def _select_results(result: protos.Message, function: protos.Message, places: Sequence[int]) -> None:
    """Give a function some of its results, in another order; one may come twice."""
    del result.signature.output_arg[:]
    result.ret.clear()
    for place in places:
        argument = function.signature.output_arg[place]
        added = result.signature.output_arg.add()
        added.CopyFrom(argument)
        if argument.name in result.ret:
            taken = {each.name for each in function.signature.output_arg} | set(result.ret)
            names = (f"{argument.name}_{number}" for number in itertools.count(1))
            added.name = next(name for name in names if name not in taken)
        result.ret[added.name] = function.ret[argument.name]


def _refill(items: protos.Message, messages: Sequence[protos.Message]) -> None:
    """Replace the messages of a repeated field."""
    copies = [type(each).FromString(each.SerializeToString()) for each in messages]
    del items[:]
    items.extend(copies)


def _describe(target: protos.Message, source: protos.Message, planned: Planned) -> None:
    """Say of a function what its arguments and results are called."""
    target.CopyFrom(source)
    arguments = target.canonicalized_input_signature.tuple_value.values[1].dict_value.fields
    _rename(arguments, _arguments(source), planned.inputs)
    _rename(target.output_signature.dict_value.fields, source.output_signature.dict_value.fields, planned.outputs)


def _rename(fields: protos.Message, old_fields: Mapping[str, protos.Message], names: Mapping[str, str | None]) -> None:
    fields.clear()
    for key, old in names.items():
        fields[key].CopyFrom(old_fields[str(old)])
        if fields[key].WhichOneof("kind") == "tensor_spec_value":
            fields[key].tensor_spec_value.name = key


def _notes(plan: Mapping[str, Planned], objects: Mapping[str, int]) -> tuple[str, ...]:
    unknown = [each.key for each in plan.values() if each.base not in objects and not each.key.startswith("__")]
    if not unknown:
        return ()
    who = f"TensorFlow 1 and servers alone know {errors.listed(unknown)}"
    return (f"{who}: the object graph, by which TensorFlow 2 goes, has no such signature",)
