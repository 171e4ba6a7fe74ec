"""The objects of a SavedModel, by which ``tf.saved_model.load`` goes: its lists of variables, and its signatures.

The same objects, as far as they have values, stand in the checkpoint. Not for: the graph that TensorFlow 1 and servers
run (:mod:`tfmagic.writers.saved_model.main_graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.writers.saved_model.main_graph import LISTS, SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfmagic.functions.attribute_paths import Way
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.writers.saved_model.functions import SignatureFunction
    from tfmagic.writers.saved_model.main_graph import Parts, Stored

# How tensorflow/python calls the classes of these objects (trackable/autotrackable.py, trackable/data_structures.py,
# saved_model/signature_serialization.py).
_ROOT, _LIST, _MAP = "_generic_user_object", "trackable_list_wrapper", "signature_map"
_CONSTANT = "tf.TrackableConstant"


def saved_object_graph(parts: Parts) -> protos.Message:
    """Return the SavedObjectGraph of a SavedModel."""
    result = protos.message("SavedObjectGraph")()
    root = _user_object(result, _ROOT)
    first = 1 + len(LISTS) + 1
    ids = {node: first + place for place, node in enumerate(parts.nodes.values())}
    for name, belongs in LISTS.items():
        _attach(result, root, name, _user_object(result, _LIST))
        chosen = [each for each in parts.variables if belongs(each)]
        for place, variable in enumerate(chosen):
            _attach(result, len(result.nodes) - 1, str(place), ids[variable.node])
    signed = _user_object(result, _MAP)
    _attach(result, root, SIGNATURES, signed)
    for variable in parts.variables:
        _add_variable(result, variable)
    for constant in parts.constants:
        result.nodes.add(registered_name=_CONSTANT).constant.operation = constant.node
    constants = {ids[each.node] for each in parts.constants}
    for signature in parts.functions.signatures:
        _attach(result, signed, signature.source.key, len(result.nodes))
        _add_function(result, signature, [ids[parts.nodes[id(captured)]] for captured in signature.captured], constants)
    _add_holders(result, root, [(each.way, ids[each.node]) for each in parts.variables if each.way.names])
    return result


def _add_holders(result: protos.Message, root: int, ways: Sequence[tuple[Way, int]]) -> None:
    """Add the objects on the ways to variables, so that each is where its module has it."""
    holders: dict[tuple[str, ...], int] = {(): root}
    for (names, classes), variable in ways:
        for length, identifier in enumerate(classes, 1):
            if names[:length] not in holders:
                holders[names[:length]] = _user_object(result, identifier)
                _attach(result, holders[names[: length - 1]], names[length - 1], holders[names[:length]])
        _attach(result, holders[names[:-1]], names[-1], variable)


def _user_object(result: protos.Message, identifier: str) -> int:
    """Add an object of a class; returns its number."""
    kind = result.nodes.add().user_object
    kind.identifier = identifier
    kind.version.producer = kind.version.min_consumer = 1
    return len(result.nodes) - 1


def _attach(result: protos.Message, holder: int, name: str, child: int) -> None:
    result.nodes[holder].children.add(local_name=name, node_id=child)


def _add_variable(result: protos.Message, variable: Stored) -> None:
    saved = result.nodes.add().variable
    saved.dtype = protos.dtype_number(variable.dtype)
    saved.shape.CopyFrom(protos.shape_proto(variable.shape))
    saved.trainable = variable.trainable
    saved.name = variable.name


def _add_function(
    result: protos.Message, signature: SignatureFunction, bound: Sequence[int], constants: set[int]
) -> None:
    """Add the object of a signature, and what its function's arguments and results are called."""
    name = signature.definition.signature.name
    node = result.nodes.add()
    node.bare_concrete_function.concrete_function_name = name
    node.bare_concrete_function.argument_keywords.extend(signature.inputs)
    # One argument can be meant without its key; Keras's TFSMLayer calls so.
    node.bare_concrete_function.allowed_positional_arguments = 1 if len(signature.inputs) == 1 else 0
    for place, number in enumerate(bound):
        if number in constants:
            node.children.add(local_name=f"capture_{place}", node_id=number)
            node.dependencies.add(local_name=f"capture_{place}", node_id=number)
    concrete = result.concrete_functions[name]
    concrete.bound_inputs.extend(bound)
    positional, keywords = (concrete.canonicalized_input_signature.tuple_value.values.add() for _ in range(2))
    positional.tuple_value.SetInParent()
    keywords.dict_value.SetInParent()
    concrete.output_signature.dict_value.SetInParent()
    _describe(keywords.dict_value, signature.source.inputs)
    _describe(concrete.output_signature.dict_value, signature.source.outputs)


def _describe(structure: protos.Message, ends: Iterable[Endpoint]) -> None:
    """Enter the specs of some ends under their keys."""
    for end in ends:
        spec = structure.fields[end.key].tensor_spec_value
        spec.name = end.key
        spec.dtype = protos.dtype_number(end.dtype)
        spec.shape.CopyFrom(protos.shape_proto(end.shape))


def checkpoint_object_graph(objects: protos.Message, variables: Sequence[Stored]) -> protos.Message:
    """Return the same objects as a checkpoint has them: where each variable's value is."""
    result = protos.message("TrackableObjectGraph")()
    waiting = iter(variables)
    for node in objects.nodes:
        added = result.nodes.add()
        added.children.extend(node.children)
        if node.WhichOneof("kind") == "variable":
            variable = next(waiting)
            added.attributes.add(name="VARIABLE_VALUE", full_name=variable.name, checkpoint_key=variable.key)
            added.has_checkpoint_values.value = True
    return result
