"""The format ``saved_model``: a directory that both of TensorFlow's loaders and its servers take.

Each variable is stored once and stays a variable; tables and assets come along; signatures, tags and method names are
those that were asked for. Not for: editing a SavedModel that exists (``transforms/``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tfmagic import _tf, errors, functions, protos, storage
from tfmagic.model import Part
from tfmagic.transforms.captures import captures

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.model import Model
    from tfmagic.registry import WriteOptions

_FILE = "saved_model.pb"
_FINGERPRINT = "fingerprint.pb"
#: Room for the graph and the index beside the weights: an upper bound for most, there is no exact prediction.
_GRAPH_BYTES = 4 << 20
_SERVING_TAG = "serve"


@dataclass(frozen=True)
class SavedModelDraft:
    """Functions on their way to a SavedModel."""

    functions: tuple[NamedFunction, ...]
    tags: tuple[str, ...]
    size: int
    notes: tuple[str, ...]

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
                tf.saved_model.save(module, str(path), signatures=wrapped)
            except tf.errors.ResourceExhaustedError as error:
                raise storage.no_space(path) from error
            except (ValueError, TypeError, AssertionError, tf.errors.OpError) as error:
                raise errors.ConversionError(f"TensorFlow cannot save {self._names()}: {error}") from error
        _edit(path, self.functions, self.tags)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the directory back as TensorFlow 2 does."""
        return functions.load_saved_model(path, self.tags, key)

    def _names(self) -> str:
        return errors.listed(function.key for function in self.functions)


class SavedModelWriter:
    """Writes SavedModels."""

    format: ClassVar[str] = "saved_model"
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.FUNCTION})
    directory: ClassVar[bool] = True

    def prepare(self, source: Model, options: WriteOptions) -> SavedModelDraft:
        """Collect the functions and what they need."""
        chosen = tuple(source.part(Part.FUNCTION)(key) for key in options.signatures)
        variables = {id(each): each for function in chosen for each in captures(function).unique_variables()}
        size = sum(each.dtype.size * (each.shape.num_elements() or 0) for each in variables.values())
        notes = tuple(dict.fromkeys(note for function in chosen for note in function.notes))
        return SavedModelDraft(chosen, options.tags, size + _GRAPH_BYTES, notes + _advice(options.tags))


def _advice(tags: tuple[str, ...]) -> tuple[str, ...]:
    if _SERVING_TAG in tags:
        return ()
    return (f"the tags are {errors.listed(tags)}: servers ask for 'serve', and loaders need the tags named",)


def _module(tf: Any, chosen: tuple[NamedFunction, ...]) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401 - TensorFlow's
    """Make an object that holds what the functions captured, and nothing else, and functions with the right keys."""
    module = tf.Module()
    found = [captures(function) for function in chosen]
    module.variables_ = list({id(each): each for one in found for each in one.unique_variables()}.values())
    module.resources = [
        each for one, function in zip(found, chosen, strict=True) for each in _holders(tf, function, one.resources)
    ]
    return module, {function.key: _signature(tf, function) for function in chosen}


def _holders(tf: Any, function: NamedFunction, handles: Any) -> list[Any]:  # noqa: ANN401 - TensorFlow ships no types
    """Return the objects, lookup tables in general, that hold these handles: saving a handle takes its object."""
    wanted = {id(handle) for handle in handles.values()}
    if not wanted:
        return []
    reachable = tf.train.TrackableView(function.owner).descendants()
    found = [each for each in reachable if id(getattr(each, "resource_handle", None)) in wanted]
    # Where an object hides its handle, all that the function belongs to comes along.
    return found if len(found) == len(wanted) else [function.owner]


def _signature(tf: Any, function: NamedFunction) -> Any:  # noqa: ANN401 - TensorFlow ships no types
    """Trace a function whose arguments and results have the names that come out as the signature's keys."""
    inputs, outputs = _placeholders(function.inputs), _placeholders(function.outputs)
    specs = [tf.TensorSpec(end.shape, end.dtype, name=inputs[end.key]) for end in function.inputs]
    order = {tensor.name: place for place, tensor in enumerate(function.concrete.inputs)}
    sequence = sorted(range(len(specs)), key=lambda place: order[function.inputs[place].tensor])

    def call(*tensors: Any) -> dict[str, Any]:  # noqa: ANN401 - tensors
        results = _tf.call_flat(function.concrete, [tensors[place] for place in sequence])
        flat = [each for each in tf.nest.flatten(results, expand_composites=True) if each is not None]
        pairs = zip(function.outputs, function.places, strict=True)
        return {outputs[end.key]: tf.identity(flat[place]) for end, place in pairs}

    return tf.function(call, input_signature=specs, autograph=False).get_concrete_function()


def _placeholders(ends: Any) -> dict[str, str]:  # noqa: ANN401 - a sequence of Endpoint
    """Return a name for each key that TensorFlow takes for an argument: the key itself, else one that sorts alike.

    TensorFlow orders arguments and results by name, so a stand-in must sort as its key does.
    """
    keys = sorted(end.key for end in ends)
    if all(key.isidentifier() and key.isascii() for key in keys):
        return {key: key for key in keys}
    return {key: f"tfmagic_{place:06}" for place, key in enumerate(keys)}


def _edit(path: Path, chosen: tuple[NamedFunction, ...], tags: tuple[str, ...]) -> None:
    """Give the saved message the tags, the method names and the keys that TensorFlow would not take."""
    file = path / _FILE
    saved = protos.parse("SavedModel", file.read_bytes())
    meta_graph = saved.meta_graphs[0]
    before = meta_graph.SerializeToString(deterministic=True)
    meta_graph.meta_info_def.tags[:] = tags
    for function in chosen:
        signature = meta_graph.signature_def[function.key]
        signature.method_name = function.method
        for side, ends in ((signature.inputs, function.inputs), (signature.outputs, function.outputs)):
            _rename(side, _placeholders(ends))
        _rename_objects(meta_graph.object_graph_def, function)
    if meta_graph.SerializeToString(deterministic=True) != before:
        file.write_bytes(saved.SerializeToString(deterministic=True))
        _refresh_fingerprint(path)


def _rename(side: Any, names: dict[str, str]) -> None:  # noqa: ANN401 - a map of TensorInfo
    for key, name in names.items():
        if key != name:
            side[key].CopyFrom(side[name])
            del side[name]


def _rename_objects(object_graph: protos.Message, function: NamedFunction) -> None:
    """Put the user's keys into what ``tf.saved_model.load`` goes by: the function behind the signature."""
    inputs, outputs = (
        {name: key for key, name in _placeholders(ends).items()} for ends in (function.inputs, function.outputs)
    )
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
    holder = object_graph.nodes[0]
    for name in ("signatures", key):
        holder = object_graph.nodes[next(child.node_id for child in holder.children if child.local_name == name)]
    return holder


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
