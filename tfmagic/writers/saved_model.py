"""The format ``saved_model``: a directory that both of TensorFlow's loaders and its servers take.

Each variable is stored once and stays a variable; tables and assets come along; signatures, tags and method names are
those that were asked for. Not for: editing a SavedModel that exists (``transforms/``).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfmagic import _tf, errors, functions, protos, signatures, storage
from tfmagic.model import Part
from tfmagic.transforms.captures import captures, require_outside_state

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.model import Model
    from tfmagic.registry import WriteOptions
    from tfmagic.signatures import Endpoint

_FILE = "saved_model.pb"
_FINGERPRINT = "fingerprint.pb"
#: Room for the graph and the index beside the weights: an upper bound for most, there is no exact prediction.
_GRAPH_BYTES = 4 << 20
_SERVING_TAG = "serve"
#: Under this name the saved object holds its variables.
_VARIABLES = "variables_"


@dataclass(frozen=True)
class SavedModelDraft:
    """Functions on their way to a SavedModel."""

    functions: tuple[NamedFunction, ...]
    tags: tuple[str, ...]
    size: int
    notes: tuple[str, ...]
    #: Whether variables are trained, by their identity, where the source says so.
    trainable: Mapping[int, bool]

    def write(self, path: Path) -> None:
        """Write the directory.

        Raises
        ------
        ConversionError
            If TensorFlow cannot save a function; its error is the cause.
        """
        tf = _tf.tensorflow()
        with _tf.eager():
            module, wrapped = _module(tf, self.functions)
            try:
                with _unannounced(tf, path):
                    tf.saved_model.save(module, str(path), signatures=wrapped)
            except tf.errors.ResourceExhaustedError as error:
                raise storage.no_space(path) from error
            except (ValueError, TypeError, AssertionError, tf.errors.OpError) as error:
                raise errors.ConversionError(f"TensorFlow cannot save {self._names()}: {error}") from error
        _edit(path, self)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the directory back as TensorFlow 2 does.

        Raises
        ------
        ConversionError
            If TensorFlow 1 and servers, which go by the SignatureDef, would see another signature.
        """
        loaded = functions.load_saved_model(path, self.tags, key)
        _require_agreement(path, loaded)
        return loaded

    def _names(self) -> str:
        return errors.listed(function.key for function in self.functions)


@contextlib.contextmanager
def _unannounced(tf: _tf.Live, path: Path) -> Iterator[None]:
    """Keep back TensorFlow's messages about this path: it is where the result is prepared, not where it will be.

    All else that TensorFlow says meanwhile, from this thread or another, is logged as the user has it.
    """
    logger = tf.get_logger()

    def is_other(record: logging.LogRecord) -> bool:
        return str(path) not in record.getMessage()

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


class SavedModelWriter:
    """Writes SavedModels."""

    format: ClassVar[str] = "saved_model"
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.FUNCTION})
    directory: ClassVar[bool] = True

    def prepare(self, source: Model, options: WriteOptions) -> SavedModelDraft:
        """Collect the functions and what they need."""
        chosen = tuple(source.part(Part.FUNCTION)(key) for key in options.signatures)
        for each in chosen:
            require_outside_state(each, self.format)
        size = sum(each.dtype.size * (each.shape.num_elements() or 0) for each in _variables(chosen))
        notes = tuple(dict.fromkeys(note for function in chosen for note in function.notes))
        return SavedModelDraft(
            chosen, options.tags, size + _GRAPH_BYTES, notes + _advice(options.tags), _trainable(source, chosen)
        )


def _trainable(source: Model, chosen: tuple[NamedFunction, ...]) -> dict[int, bool]:
    """Return the flags of the source's table of variables, which goes by the same names as the functions'."""
    if Part.VARIABLES not in source.loaders:
        return {}
    known = {name: variable for function in chosen for name, variable in function.variables.items()}
    return {
        id(known[row.name]): row.trainable
        for row in source.part(Part.VARIABLES)
        if row.name in known and row.trainable is not None
    }


def _require_agreement(path: Path, loaded: NamedFunction) -> None:
    """Compare a signature as TensorFlow 2 loads it with what the SignatureDef says."""
    meta_graph = protos.parse("SavedModel", (path / _FILE).read_bytes()).meta_graphs[0]
    signature = meta_graph.signature_def[loaded.key]
    for side, ends in ((signature.inputs, loaded.inputs), (signature.outputs, loaded.outputs)):
        stated = {end.key: end.dtype for end in signatures.endpoints(side)}
        found = {end.key: end.dtype for end in ends}
        if stated != found:
            raise errors.ConversionError(
                f"the signature {loaded.key!r} came out as {found} for TensorFlow 2 and as {stated} for TensorFlow 1 "
                "and servers; choose other keys with inputs={…} and outputs={…}"
            )


def _advice(tags: tuple[str, ...]) -> tuple[str, ...]:
    if _SERVING_TAG in tags:
        return ()
    return (f"the tags are {errors.listed(tags)}: servers ask for 'serve', and loaders need the tags named",)


def _module(tf: _tf.Live, chosen: tuple[NamedFunction, ...]) -> tuple[_tf.Live, dict[str, _tf.Live]]:
    """Make an object that holds what the functions captured, and nothing else, and functions with the right keys."""
    module = tf.Module()
    setattr(module, _VARIABLES, _variables(chosen))
    module.resources = [each for function in chosen for each in _holders(tf, function)]
    return module, {function.key: _signature(tf, function) for function in chosen}


def _variables(chosen: tuple[NamedFunction, ...]) -> list[_tf.Live]:
    """Return the variables that any of the functions captured, each once."""
    return list({id(each): each for function in chosen for each in captures(function).unique_variables()}.values())


def _holders(tf: _tf.Live, function: NamedFunction) -> list[_tf.Live]:
    """Return the objects, lookup tables in general, behind captured handles: a handle is saved with its object."""
    wanted = {id(handle) for handle in captures(function).resources.values()}
    if not wanted:
        return []
    reachable = tf.train.TrackableView(function.owner).descendants()
    found = [each for each in reachable if id(getattr(each, "resource_handle", None)) in wanted]
    # Where an object hides its handle, all that the function belongs to comes along.
    return found if len(found) == len(wanted) else [function.owner]


def _signature(tf: _tf.Live, function: NamedFunction) -> _tf.Live:
    """Trace a function whose arguments and results have the names that come out as the signature's keys."""
    inputs, outputs = _argument_names(function.inputs), _result_names(function.outputs)
    if _has_names(tf, function, inputs, outputs):
        return function.concrete
    specs = [tf.TensorSpec(end.shape, end.dtype, name=inputs[end.key]) for end in function.inputs]
    order = {tensor.name: place for place, tensor in enumerate(function.concrete.inputs)}
    sequence = sorted(range(len(specs)), key=lambda place: order[function.inputs[place].tensor])

    def call(*tensors: _tf.Live) -> dict[str, _tf.Live]:
        results = _tf.call_flat(function.concrete, [tensors[place] for place in sequence])
        flat = [each for each in tf.nest.flatten(results, expand_composites=True) if each is not None]
        pairs = zip(function.outputs, function.places, strict=True)
        return {outputs[end.key]: tf.identity(flat[place]) for end, place in pairs}

    return tf.function(call, input_signature=specs, autograph=False).get_concrete_function()


def _has_names(tf: _tf.Live, function: NamedFunction, inputs: dict[str, str], outputs: dict[str, str]) -> bool:
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
    sortable = {end.key: _argument_name(end.key) for end in ends}
    if len(set(sortable.values())) < len(sortable):
        raise errors.ConversionError(
            f"TensorFlow cannot tell the inputs {errors.listed(sortable)} apart, because it takes all that is no "
            "letter or digit for '_'; rename one: inputs={'new key': 'old key'}"
        )
    return _stand_ins(
        sorted(sortable, key=sortable.__getitem__), {key for key, name in sortable.items() if key == name}
    )


def _result_names(ends: Sequence[Endpoint]) -> dict[str, str]:
    """Return a name for each output's key; results are ordered by their keys as they are."""
    return _stand_ins(sorted(end.key for end in ends), {end.key for end in ends if end.key.isidentifier()})


def _stand_ins(keys: Sequence[str], valid: set[str]) -> dict[str, str]:
    return {key: key if len(valid) == len(keys) else f"tfmagic_{place:06}" for place, key in enumerate(keys)}


def _argument_name(key: str) -> str:
    """Do as ``sanitize_arg_name`` of tensorflow/core/function/polymorphism/function_type.py."""
    name = "".join(char if char.isalnum() and char.isascii() else "_" for char in key)
    return name if name[:1].isalpha() else f"arg_{name}"


def _edit(path: Path, draft: SavedModelDraft) -> None:
    """Put into the saved message what TensorFlow does not let one choose: tags, method names, keys, trainable flags."""
    file = path / _FILE
    saved = protos.parse("SavedModel", file.read_bytes())
    meta_graph = saved.meta_graphs[0]
    before = meta_graph.SerializeToString(deterministic=True)
    meta_graph.meta_info_def.tags[:] = draft.tags
    _mark_trainable(meta_graph.object_graph_def, draft)
    for function in draft.functions:
        signature = meta_graph.signature_def[function.key]
        signature.method_name = function.method
        _rename(signature.inputs, _argument_names(function.inputs))
        _rename(signature.outputs, _result_names(function.outputs))
        _rename_objects(meta_graph.object_graph_def, function)
    if meta_graph.SerializeToString(deterministic=True) != before:
        file.write_bytes(saved.SerializeToString(deterministic=True))
        _refresh_fingerprint(path)


def _mark_trainable(object_graph: protos.Message, draft: SavedModelDraft) -> None:
    """Give the saved variables the flags of the source's: freezing a Keras layer does not change TensorFlow's own."""
    holder = _child(object_graph, object_graph.nodes[0], _VARIABLES)
    for place, variable in enumerate(_variables(draft.functions)):
        if id(variable) in draft.trainable:
            _child(object_graph, holder, str(place)).variable.trainable = draft.trainable[id(variable)]


def _child(object_graph: protos.Message, holder: protos.Message, name: str) -> protos.Message:
    return object_graph.nodes[next(child.node_id for child in holder.children if child.local_name == name)]


def _rename(side: _tf.Live, names: dict[str, str]) -> None:
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
        for each in value.tuple_value.values:
            _rename_structure(each, names)
    elif kind == "dict_value":
        fields = {names.get(name, name): each for name, each in value.dict_value.fields.items()}
        copy = type(value)()
        for name, each in fields.items():
            _rename_structure(each, names)
            copy.dict_value.fields[name].CopyFrom(each)
        value.CopyFrom(copy)
    elif kind == "tensor_spec_value":
        value.tensor_spec_value.name = names.get(value.tensor_spec_value.name, value.tensor_spec_value.name)


def _refresh_fingerprint(path: Path) -> None:
    """Let the fingerprint be that of the edited message; a loader does not ask for one."""
    data = _tf.fingerprint(path)
    file = path / _FINGERPRINT
    if data is not None:
        file.write_bytes(data)
    else:
        file.unlink(missing_ok=True)
