"""Read the layers, edges and ends of a model from its Keras config, the JSON that every Keras file carries.

Speaks the dialects of Keras 1, 2 and 3: a Sequential as a list or as an object, ``inbound_nodes`` as nested lists or
as calls with ``__keras_tensor__``. Whatever the config does not say stays unknown. Not for: building a model, or
running the code that a Lambda layer carries; nothing here executes, and Keras is not imported.
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tfmagic import errors
from tfmagic.frames import LayerRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.frames import Shape

#: A JSON object of a config.
Spec: TypeAlias = "dict[str, Any]"

#: Models nested deeper than this are no model but an attack on the stack.
MAX_NESTING = 50
_MAX_DIMENSION = 2**63 - 1
#: Code travels in these: a layer of Keras 2 and 3, and the function that Keras 3 writes in place of one.
_CODE = frozenset({"Lambda", "__lambda__"})
#: Layers whose output has the shape of their input, whatever their options.
_SAME_SHAPE = frozenset({
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout", "ELU", "GaussianDropout",
    "GaussianNoise", "GroupNormalization", "LayerNormalization", "LeakyReLU", "Masking", "PReLU", "ReLU", "Rescaling",
    "RMSNormalization", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ThresholdedReLU",
    "UnitNormalization",
})  # fmt: skip
#: Layers whose output's dtype is not that of their policy.
_OWN_DTYPE = frozenset({
    "CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "Lambda", "SlicingOpLambda",
    "StringLookup", "TFOpLambda", "TensorFlowOpLayer", "TextVectorization",
})  # fmt: skip
#: Keras's own default (``floatx``), which configs before TensorFlow 2 leave out.
_DEFAULT_DTYPE = "float32"


class Layer(NamedTuple):
    """One layer of a config.

    Attributes
    ----------
    path : str
        The layer's name, after the names of the models that it is nested in: ``"outer/inner"``.
    spec : dict
        Its JSON object; ``config`` below it holds the arguments of its constructor.
    inputs, outputs : tuple of str
        The paths of the layers that it consumes and that consume it, inside the same model.
    shape, dtype
        Its first output's, None where the config does not say.
    trainable : bool or None
        Whether its weights are trained: it and every model around it are. None where it is not recorded.
    is_model : bool
        Whether other layers are nested in it.
    """

    path: str
    class_name: str
    spec: Spec
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: Shape
    dtype: str | None
    trainable: bool | None
    is_model: bool


class End(NamedTuple):
    """An input or output of a model."""

    dtype: str | None
    shape: Shape


class Ends(NamedTuple):
    """The inputs and outputs of a model by key, in its own order."""

    inputs: dict[str, End]
    outputs: dict[str, End]


class Reference(NamedTuple):
    """A tensor that a layer consumes: the ``tensor``-th result of the ``node``-th call of a layer."""

    layer: str
    node: int
    tensor: int


def layers(model: Spec) -> tuple[Layer, ...]:
    """List the layers of a model's config, each nested model followed by its own.

    A nested model is a row itself, as in ``model.layers``; its layers' paths begin with its name.

    Raises
    ------
    CorruptSourceError
        If models are nested deeper than any real one.
    """
    return tuple(_walk(_Scope(model), "", frozen=False))


def rows(found: Sequence[Layer], counts: Mapping[str, int | None]) -> tuple[LayerRow, ...]:
    """Return the rows of the public table, given the number of elements in each layer's weights."""
    return tuple(
        LayerRow(
            layer.path, layer.class_name, layer.inputs, layer.outputs, layer.shape, counts.get(layer.path),
            layer.trainable,
        )
        for layer in found
    )  # fmt: skip


def carrying_code(found: Sequence[Layer]) -> tuple[str, ...]:
    """Return the paths of the layers whose config holds Python code, in Lambda layers or functions."""
    return tuple(layer.path for layer in found if not layer.is_model and _has_code(layer.spec))


def signature(model: Spec) -> Ends | None:
    """Return the inputs and outputs of a model, None where its config does not tell both.

    A key is the user's own for dict inputs and outputs, else the name of the layer; a name that occurs again gets
    ``_1``, ``_2``, ... A subclassed model's config tells nothing.
    """
    ends = _Scope(model).model_ends
    return ends if ends.inputs and ends.outputs else None


def members(model: Spec) -> list[Spec]:
    """Return the layers nested directly in a model, in order; none for a plain layer.

    Sequential's config was the list itself until Keras 2.2.
    """
    config = model.get("config")
    listed = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(listed, list):
        return []
    return [spec for spec in listed if isinstance(spec, dict) and isinstance(spec.get("class_name"), str)]


def arguments(spec: Spec) -> Spec:
    """Return the arguments of a layer's constructor."""
    config = spec.get("config")
    return config if isinstance(config, dict) else {}


def name(spec: Spec) -> str:
    """Return a layer's name; functional models before Keras 3 write it beside the config as well."""
    own = arguments(spec).get("name", spec.get("name"))
    return _printable(own) if isinstance(own, str) and own else snake_case(class_name(spec))


def class_name(spec: Spec) -> str:
    """Return a layer's class, without the package that Keras 2 puts before a registered one (``Package>Class``)."""
    own = spec.get("class_name")
    return _printable(own).rpartition(">")[2] if isinstance(own, str) else ""


def snake_case(camel: str) -> str:
    """Turn a class name into a layer name as Keras does (``keras.src.utils.naming.to_snake_case``)."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", camel))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def keras_2_snake_case(camel: str) -> str:
    """Do the same as Keras 2, which spells ConvLSTM2D ``conv_lst_m2d`` (``tf_keras.src.utils.generic_utils``)."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", camel)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _printable(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _walk(scope: _Scope, prefix: str, *, frozen: bool) -> Iterator[Layer]:
    for layer in scope.layers(prefix, frozen=frozen):
        yield layer
        inner = scope.nested.get(layer.path.removeprefix(prefix))
        if inner is not None:
            yield from _walk(inner, f"{layer.path}/", frozen=layer.trainable is False)


class _Scope:
    """The layers of one model by name, with what its config says of the tensors between them."""

    def __init__(self, model: Spec, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            raise errors.CorruptSourceError(
                f"the Keras config nests models more than {MAX_NESTING} deep, at {name(model)[:80]!r}; it is damaged "
                "or made up: save the model once more"
            )
        self.model = model
        self.members = {name(spec): spec for spec in members(model)}
        self.nested = {key: _Scope(spec, depth + 1) for key, spec in self.members.items() if members(spec)}
        #: The tensors whose dtype and shape are written beside them.
        self.tensors: dict[Reference, End] = {}
        self.calls = self._chain() if self.is_chain else self._graph()
        self.shapes = self._consumed_shapes()
        self.ends: dict[str, End] = {}
        for key, spec in self.members.items():
            self.ends[key] = End(self._dtype(key, spec), self._shape(key, spec))

    @property
    def is_chain(self) -> bool:
        """Whether each layer consumes the one before."""
        return class_name(self.model) == "Sequential" or not any("inbound_nodes" in s for s in self.members.values())

    def layers(self, prefix: str, *, frozen: bool) -> Iterator[Layer]:
        """Yield the model's own layers, their paths after the prefix."""
        sources = {key: tuple(dict.fromkeys(ref.layer for call in calls for ref in call))
                   for key, calls in self.calls.items()}  # fmt: skip
        consumers: dict[str, list[str]] = {key: [] for key in self.members}
        for key, names in sources.items():
            for source in names:
                consumers[source].append(prefix + key)
        for key, spec in self.members.items():
            yield Layer(
                prefix + key, class_name(spec), spec, tuple(prefix + source for source in sources[key]),
                tuple(consumers[key]), self.ends[key].shape, self.ends[key].dtype,
                _trainable(spec, frozen=frozen), key in self.nested,
            )  # fmt: skip

    def end(self, reference: Reference) -> End:
        """Return dtype and shape of a tensor, as far as they are known."""
        if reference in self.tensors:
            return self.tensors[reference]
        if reference.layer in self.nested:
            outputs = list(self.nested[reference.layer].model_ends.outputs.values())
            return outputs[reference.tensor] if 0 <= reference.tensor < len(outputs) else End(None, None)
        known = self.ends.get(reference.layer, End(None, None))
        # A layer's further results (an LSTM's states) have shapes of their own.
        return known if reference.tensor == 0 else End(known.dtype, None)

    @cached_property
    def model_ends(self) -> Ends:
        """The inputs and outputs of the model itself."""
        return self._chain_ends() if self.is_chain else self._graph_ends()

    def _chain(self) -> dict[str, list[list[Reference]]]:
        calls: dict[str, list[list[Reference]]] = {key: [] for key in self.members}
        # Keras 1's Merge lists parallel branches.
        if class_name(self.model) != "Merge":
            for before, after in pairwise(self.members):
                calls[after].append([Reference(before, 0, 0)])
        return calls

    def _graph(self) -> dict[str, list[list[Reference]]]:
        calls = {}
        for key, spec in self.members.items():
            nodes = spec.get("inbound_nodes")
            calls[key] = [list(self._references(node)) for node in nodes] if isinstance(nodes, list) else []
        return calls

    def _references(self, node: object) -> Iterator[Reference]:
        """Find the tensors in the arguments of one call, in order, in either dialect."""
        pending = [node]
        while pending:
            item = pending.pop()
            reference = self._keras_tensor(item) if isinstance(item, dict) else self._triple(item)
            if reference is not None:
                yield reference
            if isinstance(item, dict) and reference is None:
                pending.extend(reversed(item.values()))
            elif isinstance(item, list):
                # Keras 2 writes the keyword arguments of a call, tensors among them, after the triple.
                pending.extend(reversed(item if reference is None else item[3:]))

    def _keras_tensor(self, item: Spec) -> Reference | None:
        """Read Keras 3's tensor, and note the dtype and shape written with it."""
        config = item.get("config")
        if item.get("class_name") != "__keras_tensor__" or not isinstance(config, dict):
            return None
        reference = self._triple(config.get("keras_history"))
        if reference is not None:
            dtype = config.get("dtype")
            self.tensors[reference] = End(dtype if isinstance(dtype, str) else None, _shape(config.get("shape")))
        return reference

    def _triple(self, item: object) -> Reference | None:
        """Read ``[layer, node, tensor, ...]`` if it names a layer of this model."""
        match item:
            case [str(layer), int(node), int(tensor), *_] if _printable(layer) in self.members:
                return Reference(_printable(layer), node, tensor)
        return None

    def _consumed_shapes(self) -> dict[Reference, Shape]:
        """Collect the shapes of tensors that their consumers were built with."""
        shapes: dict[Reference, Shape] = {}
        for key, calls in self.calls.items():
            # A layer that is called twice was built at its first call, and which call came first is not written.
            if len(calls) == 1:
                shapes.update(zip(calls[0], _built_with(self.members[key]), strict=False))
        return shapes

    def _shape(self, key: str, spec: Spec) -> Shape:
        if class_name(spec) == "InputLayer":
            return _batch_shape(spec)
        stated = [end.shape for reference, end in self.tensors.items() if reference[::2] == (key, 0)]
        stated += [shape for reference, shape in self.shapes.items() if reference[::2] == (key, 0)]
        if stated:
            return stated[0]
        if key in self.nested:
            return self.end(Reference(key, 0, 0)).shape
        return _output_shape(spec, self._input_shape(key, spec))

    def _input_shape(self, key: str, spec: Spec) -> Shape:
        built = _built_with(spec)
        if len(built) == 1 or not self.calls[key]:
            return built[0] if built else _batch_shape(spec)
        return self.end(self.calls[key][0][0]).shape if len(self.calls[key][0]) == 1 else None

    def _dtype(self, key: str, spec: Spec) -> str | None:
        stated = [end.dtype for reference, end in self.tensors.items() if reference[::2] == (key, 0)]
        if stated:
            return stated[0]
        if key in self.nested:
            return self.end(Reference(key, 0, 0)).dtype
        return _policy_dtype(spec)

    def _chain_ends(self) -> Ends:
        """Return the ends of a Sequential: before Keras 3 its input was implied by the first layer's arguments."""
        if not self.members:
            return Ends({}, {})
        first, last = next(iter(self.members)), next(reversed(self.members))
        spec = self.members[first]
        if class_name(spec) == "InputLayer":
            inputs = {first: self.ends[first]}
        elif first in self.nested:
            inner = list(self.nested[first].model_ends.inputs.values())
            inputs = {f"{first}_input": inner[0]} if inner else {}
        else:
            shape = self._input_shape(first, spec)
            inputs = {} if shape is None else {f"{first}_input": End(_policy_dtype(spec, "input_dtype"), shape)}
        return Ends(inputs, {last: self.end(Reference(last, 0, 0))})

    def _graph_ends(self) -> Ends:
        config = arguments(self.model)
        return Ends(self._keyed(config.get("input_layers")), self._keyed(config.get("output_layers")))

    def _keyed(self, structure: object) -> dict[str, End]:
        """Name the tensors of a structure by its own keys, else by their layers."""
        ends: dict[str, End] = {}
        pending: list[tuple[str, object]] = [("", structure)]
        while pending:
            key, item = pending.pop()
            reference = self._triple(item)
            if reference is not None:
                ends[_unused(key or reference.layer, ends)] = self.end(reference)
            elif isinstance(item, dict):
                pending.extend(reversed([(_printable(inner), value) for inner, value in item.items()]))
            elif isinstance(item, list):
                pending.extend(reversed([(key, value) for value in item]))
        return ends


def _unused(key: str, taken: Mapping[str, object]) -> str:
    """Return the key, numbered if it is taken: a shared layer may give several outputs."""
    number, candidate = 0, key
    while candidate in taken:
        number += 1
        candidate = f"{key}_{number}"
    return candidate


def _trainable(spec: Spec, *, frozen: bool) -> bool | None:
    own = arguments(spec).get("trainable")
    if frozen or own is False:
        return False
    return True if own is True else None


def _batch_shape(spec: Spec) -> Shape:
    """Return the input's shape that a layer's arguments state: Keras 3's name, then Keras 1's and 2's."""
    given = arguments(spec)
    return _shape(given.get("batch_shape", given.get("batch_input_shape")))


def _built_with(spec: Spec) -> list[Shape]:
    """Return the shapes that a layer was built with; empty where they are not written."""
    built = spec.get("build_config")
    shapes = built.get("input_shape") if isinstance(built, dict) else None
    single = _shape(shapes)
    if single is not None:
        return [single]
    return [_shape(shape) for shape in shapes] if isinstance(shapes, list) else []


def _shape(value: object) -> Shape:
    """Read a shape, None for anything that is none."""
    if not isinstance(value, list) or not all(size is None or _is_dimension(size) for size in value):
        return None
    return tuple(value)


def _is_dimension(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= _MAX_DIMENSION


def _output_shape(spec: Spec, shape: Shape) -> Shape:
    """Derive a layer's output from its input where its class leaves no doubt."""
    given = arguments(spec)
    if shape is None or class_name(spec) in _SAME_SHAPE:
        return shape
    match class_name(spec), shape:
        case "Dense", (*around, _):
            return _shape([*around, given.get("units")])
        case "Embedding", _:
            return _shape([*shape, given.get("output_dim")])
        case (("LSTM" | "GRU" | "SimpleRNN"), (batch, time, _)):
            return _shape([batch, *([time] if given.get("return_sequences") else []), given.get("units")])
        case "Flatten", (batch, *around):
            return batch, None if None in around else math.prod(size or 0 for size in around)
    return None


def _policy_dtype(spec: Spec, older: str = "dtype") -> str | None:
    """Return the dtype that a layer computes in.

    A policy may be the name of a dtype, ``mixed_float16`` or Keras 3's object around one; ``older`` is Keras 1's
    name of the argument.
    """
    if class_name(spec) in _OWN_DTYPE or str(spec.get("module", "")).startswith("keras.src.ops"):
        return None
    given = arguments(spec).get("dtype", arguments(spec).get(older))
    policy = arguments(given).get("name") if isinstance(given, dict) else given
    if not isinstance(policy, str):
        return _DEFAULT_DTYPE
    return _printable(policy).removeprefix("mixed_").rpartition("_from_")[2]


def _has_code(spec: Spec) -> bool:
    pending: list[object] = [spec]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if item.get("class_name") in _CODE:
                return True
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
    return False
