"""A SavedModel as TensorFlow itself writes it, with the user's keys, tags and methods entered afterwards.

It takes three to six times as long as writing the messages here, and knows how every resource is saved: lookup
tables, assets, what users derive from them. Not for: functions with nothing but variables and constants
(:mod:`tfmagic.writers.saved_model.main_graph`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.attribute_paths import DICT, LIST
from tfmagic.functions.state import stored_variables
from tfmagic.graphs.signature_keys import argument_name, argument_order, require_arguments
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.log_filters import held_back
from tfmagic.transforms.captures import assets, captures, holders, value_of
from tfmagic.writers.saved_model import checkpoint_keys, directory
from tfmagic.writers.saved_model.main_graph import key_of, ways_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.attribute_paths import Way
    from tfmagic.graphs.signatures import Endpoint

#: The file of a SavedModel.
FILE = "saved_model.pb"


def save(chosen: tuple[NamedFunction, ...], tags: tuple[str, ...], trainable: Mapping[int, bool], path: Path) -> None:
    """Write functions, and what they captured, as a SavedModel.

    Parameters
    ----------
    chosen : tuple of NamedFunction
        The signatures.
    tags : tuple of str
        The tag-set.
    trainable : mapping of int to bool
        Whether variables are trained, by their identity, where the source says otherwise than TensorFlow.
    path : Path
        The directory, which does not exist yet.

    Raises
    ------
    ConversionError
        If TensorFlow cannot save a function; its error is the cause.
    """
    tf = runtime.tensorflow()
    with runtime.eager():
        stored_variables.restore(variables(chosen))
        for variable in variables(chosen):
            value_of(variable)
        root, wrapped = _root(tf, chosen, trainable)
        try:
            # This path is where the result is prepared, not where it will be.
            with held_back(tf.get_logger(), str(path)):
                tf.saved_model.save(root, str(path), signatures=wrapped)
        except (ValueError, TypeError, AssertionError, tf.errors.OpError) as error:
            names = errors.listed(function.key for function in chosen)
            raise errors.ConversionError(
                f"TensorFlow cannot save {names}: {error}; export a frozen graph (.pb) instead"
            ) from error
    _edit(path, chosen, tags, trainable)


def _root(
    tf: runtime.Live, chosen: tuple[NamedFunction, ...], trainable: Mapping[int, bool]
) -> tuple[runtime.Live, dict[str, runtime.Live]]:
    """Make an object that holds what the functions captured, and nothing else, and functions with the right keys."""
    live = variables(chosen)
    # What is tracked first gives a variable its key in the checkpoint, if no shorter way leads to it.
    root = _held_by_name(tf, zip(ways_to(chosen, live), live, strict=True))
    root.variables = live
    root.trainable_variables = [each for each in root.variables if trainable.get(id(each), each.trainable)]
    root.non_trainable_variables = [each for each in root.variables if not trainable.get(id(each), each.trainable)]
    root.resources = [each for function in chosen for each in _holders(function)]
    return root, {function.key: _signature(tf, function) for function in chosen}


def _held_by_name(tf: runtime.Live, ways: Iterable[tuple[Way, runtime.Live]]) -> runtime.Live:
    """Make an object that has variables where their modules have them."""
    children: dict[tuple[str, ...], dict[str, runtime.Live]] = {(): {}}
    classes: dict[tuple[str, ...], str] = {}
    for way, variable in ways:
        for length, name in enumerate(way.classes, 1):
            classes[way.names[:length]] = name
            children.setdefault(way.names[:length], {})
        if way.names:
            children[way.names[:-1]][way.names[-1]] = variable
    for place in sorted(classes, key=len, reverse=True):
        children[place[:-1]][place[-1]] = _holder(tf, children[place], classes[place])
    return _holder(tf, children[()], "")


def _holder(tf: runtime.Live, children: Mapping[str, runtime.Live], identifier: str) -> runtime.Live:
    """Make a list, a dict or a plain object of what it holds by name."""
    if identifier == LIST:
        return [children.get(str(place)) for place in range(1 + max(map(int, children)))]
    if identifier == DICT:
        return dict(children)
    holder = tf.__internal__.tracking.AutoTrackable()
    for name, child in children.items():
        setattr(holder, name, child)
    return holder


def variables(chosen: tuple[NamedFunction, ...]) -> list[runtime.Live]:
    """Return the variables that any of the functions captured, each once."""
    return list({id(each): each for function in chosen for each in captures(function).unique_variables()}.values())


def _holders(function: NamedFunction) -> list[runtime.Live]:
    """Return the tables and assets behind what was captured: handles and paths are saved with what they lead to."""
    captured = captures(function)
    objects = holders(function, captured.resources)
    files = list(assets(function, captured).values())
    # Where an object hides its handle, all that the function belongs to comes along.
    return [*objects.values(), *files] if len(objects) == len(captured.resources) else [function.owner, *files]


def _signature(tf: runtime.Live, function: NamedFunction) -> runtime.Live:
    """Trace a function whose arguments and results have the names that come out as the signature's keys."""
    require_arguments((end.key for end in function.inputs), function.key)
    inputs, outputs = _argument_names(function.inputs), _result_names(function.outputs)
    if _has_names(tf, function, inputs, outputs):
        return function.concrete
    specs = [tf.TensorSpec(end.shape, end.dtype, name=inputs[end.key]) for end in function.inputs]
    order = {tensor.name: place for place, tensor in enumerate(function.concrete.inputs)}
    sequence = sorted(range(len(specs)), key=lambda place: order[function.inputs[place].tensor])

    def call(*tensors: runtime.Live) -> dict[str, runtime.Live]:
        results = concrete_functions.call_flat(function.concrete, [tensors[place] for place in sequence])
        flat = [each for each in tf.nest.flatten(results, expand_composites=True) if each is not None]
        pairs = zip(function.outputs, function.places, strict=True)
        return {outputs[end.key]: tf.identity(flat[place]) for end, place in pairs}

    return tf.function(call, input_signature=specs, autograph=False).get_concrete_function()


def _has_names(tf: runtime.Live, function: NamedFunction, inputs: dict[str, str], outputs: dict[str, str]) -> bool:
    """Say whether a function can be saved as it was traced: a detour through another costs time and size."""
    concrete = function.concrete
    if type(concrete).__name__ != "ConcreteFunction" or not isinstance(concrete.structured_outputs, dict):
        return False
    arguments = [getattr(each, "name", None) for each in tf.nest.flatten(concrete.structured_input_signature)]
    results = {end.key: place for end, place in zip(function.outputs, function.places, strict=True)}
    return (
        arguments == [inputs[end.key] for end in function.inputs]
        and sorted(concrete.structured_outputs) == [outputs[key] for key in sorted(results, key=results.__getitem__)]
        and sorted(results.values()) == list(range(len(concrete.outputs)))
    )


def _argument_names(ends: Sequence[Endpoint]) -> dict[str, str]:
    """Return a name for each input's key that TensorFlow takes for an argument.

    A key that is no such name gets a stand-in, and comes back when the message is edited. TensorFlow orders arguments
    by what it makes of their names, also when it loads them, so the stand-ins must sort as that does.
    """
    keys = [end.key for end in ends]
    return _stand_ins(argument_order(keys), {key for key in keys if _is_argument(key)})


def _result_names(ends: Sequence[Endpoint]) -> dict[str, str]:
    """Return a name for each output's key; results are ordered by their keys as they are."""
    return _stand_ins(sorted(end.key for end in ends), {end.key for end in ends if end.key.isidentifier()})


def _stand_ins(keys: Sequence[str], valid: set[str]) -> dict[str, str]:
    return {key: key if len(valid) == len(keys) else f"tfmagic_{place:06}" for place, key in enumerate(keys)}


def _is_argument(key: str) -> bool:
    """Say whether TensorFlow saves a key as it is: it passes keys on by keyword, beside its own ``self``."""
    return key.isascii() and argument_name(key) == key and key != "self"


def _edit(path: Path, chosen: tuple[NamedFunction, ...], tags: tuple[str, ...], trainable: Mapping[int, bool]) -> None:
    """Put into the saved message what TensorFlow does not let one choose: tags, method names, keys, trainable flags."""
    file = path / FILE
    saved = protos.parse("SavedModel", file.read_bytes())
    meta_graph = saved.meta_graphs[0]
    meta_graph.meta_info_def.tags[:] = tags
    live = variables(chosen)
    _mark_trainable(meta_graph.object_graph_def, live, trainable)
    keys = {way.names: key_of(place, way) for place, way in enumerate(ways_to(chosen, live)) if way.names}
    checkpoint_keys.rename(path / directory.VARIABLES / directory.VARIABLES, meta_graph, keys)
    for function in chosen:
        signature = meta_graph.signature_def[function.key]
        signature.method_name = function.method
        _rename(signature.inputs, _argument_names(function.inputs))
        _rename(signature.outputs, _result_names(function.outputs))
        _rename_objects(meta_graph.object_graph_def, function)
    file.write_bytes(saved.SerializeToString(deterministic=True))


def _mark_trainable(
    object_graph: protos.Message, listed: Sequence[runtime.Live], trainable: Mapping[int, bool]
) -> None:
    """Give the saved variables the flags of the source's: freezing a Keras layer does not change TensorFlow's own."""
    holder = _child(object_graph, object_graph.nodes[0], "variables")
    for place, variable in enumerate(listed):
        if id(variable) in trainable:
            _child(object_graph, holder, str(place)).variable.trainable = trainable[id(variable)]


def _child(object_graph: protos.Message, holder: protos.Message, name: str) -> protos.Message:
    return object_graph.nodes[next(child.node_id for child in holder.children if child.local_name == name)]


def _rename(side: runtime.Live, names: dict[str, str]) -> None:
    for key, name in names.items():
        if key != name:
            side[key].CopyFrom(side[name])
            del side[name]


def _rename_objects(object_graph: protos.Message, function: NamedFunction) -> None:
    """Put the user's keys into what ``tf.saved_model.load`` goes by: the function behind the signature."""
    inputs = {name: key for key, name in _argument_names(function.inputs).items()}
    outputs = {name: key for key, name in _result_names(function.outputs).items()}
    if all(key == name for names in (inputs, outputs) for name, key in names.items()):
        return
    bare = _signature_object(object_graph, function.key).bare_concrete_function
    keywords = [inputs.get(name, name) for name in bare.argument_keywords]
    bare.argument_keywords[:] = keywords
    bare.ClearField("function_spec")
    concrete = object_graph.concrete_functions[bare.concrete_function_name]
    _rename_structure(concrete.canonicalized_input_signature, inputs)
    _rename_structure(concrete.output_signature, outputs)


def _signature_object(object_graph: protos.Message, key: str) -> protos.Message:
    """Return the object of a signature: root, ``signatures``, key."""
    return _child(object_graph, _child(object_graph, object_graph.nodes[0], "signatures"), key)


def _rename_structure(value: protos.Message, names: dict[str, str]) -> None:
    """Rename the keys of dicts and the names of specs in a structure."""
    kind = value.WhichOneof("kind")
    if kind == "tuple_value":
        for element in value.tuple_value.values:
            _rename_structure(element, names)
    elif kind == "dict_value":
        fields = {names.get(name, name): each for name, each in value.dict_value.fields.items()}
        copy = type(value)()
        for name, element in fields.items():
            _rename_structure(element, names)
            copy.dict_value.fields[name].CopyFrom(element)
        value.CopyFrom(copy)
    elif kind == "tensor_spec_value":
        value.tensor_spec_value.name = names.get(value.tensor_spec_value.name, value.tensor_spec_value.name)
