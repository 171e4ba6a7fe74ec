"""Read the layers, edges and ends of a model from its Keras config, the JSON that every Keras file carries.

Speaks the dialects of Keras 1, 2 and 3: a Sequential as a list or as an object, calls of layers as
:mod:`tfmagic.files.keras.inbound_nodes` reads them. Whatever the config does not say stays unknown. Not for: building a
model, or running the code that a Lambda layer carries; nothing here executes, and Keras is not imported.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files.keras import shapes as keras_shapes
from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.keras.inbound_nodes import End, InboundNodes, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tfmagic.files.keras.specs import Spec
    from tfmagic.frames import Shape

#: Models nested deeper than this are no model but an attack on the stack.
MAX_NESTING = 50
#: Letters of the names of models before the paths of all layers, and of what those consume.
MOST_LETTERS = 1 << 28


class Layer(NamedTuple):
    """One layer of a config.

    Attributes
    ----------
    path : str
        The layer's name, after the names of the models that it is nested in: ``"outer/inner"``.
    model : str
        The path of the model around it, empty at the top.
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
    input_shapes : tuple of shapes
        Of what its first call consumes.
    """

    path: str
    model: str
    class_name: str
    spec: Spec
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: Shape
    dtype: str | None
    trainable: bool | None
    is_model: bool
    input_shapes: tuple[Shape, ...] = ()


class Ends(NamedTuple):
    """The inputs and outputs of a model by key, in its own order."""

    inputs: dict[str, End]
    outputs: dict[str, End]


class Consumed(NamedTuple):
    """What a call of a layer takes: a tensor, by the layer that gives it, or a constant, by no layer."""

    layer: str
    text: str


class Wiring(NamedTuple):
    """What the layers of a model take from one another, the same in every dialect of Keras.

    Attributes
    ----------
    calls : mapping of str to tuple of Consumed
        By the path of the layer, call by call.
    ends : mapping of str to tuple of Consumed
        What comes out of the model, and what nested ones take and give, by words that say which.
    """

    calls: Mapping[str, tuple[Consumed, ...]]
    ends: Mapping[str, tuple[Consumed, ...]]


class Structure:
    """The layers and the ends of a model's config, each worked out once.

    Parameters
    ----------
    model : dict
        The config.

    Raises
    ------
    CorruptSourceError
        If models are nested deeper than any real one, or their names would make paths that take all of the memory.
    """

    def __init__(self, model: Spec) -> None:
        self._scope = _Scope(model)
        self._room = MOST_LETTERS

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, each nested model followed by its own.

        A nested model is a row itself, as in ``model.layers``; its layers' paths begin with its name.
        """
        return tuple(self._walk(self._scope, "", frozen=False))

    @cached_property
    def signature(self) -> Ends | None:
        """The inputs and outputs, None where the config does not tell both.

        A key is the user's own for dict inputs and outputs, else the name of the layer; a name that occurs again gets
        ``_1``, ``_2``, ... A subclassed model's config tells nothing.
        """
        ends = self._scope.model_ends
        return ends if ends.inputs and ends.outputs else None

    @cached_property
    def wiring(self) -> Wiring:
        """What the layers take from one another."""
        calls: dict[str, tuple[Consumed, ...]] = {}
        ends: dict[str, tuple[Consumed, ...]] = {}
        for key, reference in self._scope.output_references.items():
            ends[f"output {key!r}"] = (self._scope.consumed("", reference),)
        waiting = [("", self._scope)]
        while waiting:
            prefix, scope = waiting.pop()
            for key in scope.members:
                calls[prefix + key] = tuple(scope.taken(prefix, key))
            for key, inner in scope.nested.items():
                path = f"{prefix}{key}/"
                sides = (inner.input_references, inner.output_references)
                ends[f"{path[:-1]}, its inputs and outputs"] = tuple(
                    inner.consumed(path, each) for side in sides for each in side.values()
                )
                waiting.append((path, inner))
        return Wiring(calls, ends)

    def _walk(self, scope: _Scope, prefix: str, *, frozen: bool) -> Iterator[Layer]:
        for layer in scope.layers(prefix, frozen=frozen, take=self._take):
            yield layer
            inner = scope.nested.get(layer.path.removeprefix(prefix))
            if inner is not None:
                yield from self._walk(inner, f"{layer.path}/", frozen=layer.trainable is False)

    def _take(self, letters: int) -> None:
        """Note that names of models are written out once more, before the paths of layers."""
        self._room -= letters
        if self._room < 0:
            raise errors.CorruptSourceError(
                f"the Keras config names models and nests layers in them so that all paths together take more than "
                f"{MOST_LETTERS:,} letters; it is made up: save the model once more"
            )


def layers(model: Spec) -> tuple[Layer, ...]:
    """List the layers of a model's config; raises as :class:`Structure`."""
    return Structure(model).layers


def signature(model: Spec) -> Ends | None:
    """Return the inputs and outputs of a model, None where its config does not tell both."""
    return Structure(model).signature


def carrying_code(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return the paths of the layers whose config holds Python code, in Lambda layers or functions."""
    return tuple(layer.path for layer in layers if not layer.is_model and keras_specs.has_code(layer.spec))


class _Scope:
    """The layers of one model by name, with what its config says of the tensors between them."""

    def __init__(self, model: Spec, depth: int = 0) -> None:
        if depth > MAX_NESTING:
            where = keras_specs.name(model)[:80]
            raise errors.CorruptSourceError(
                f"the Keras config nests models more than {MAX_NESTING} deep, at {where!r}; it is damaged or made up: "
                "save the model once more"
            )
        self.model = model
        self.members = {keras_specs.name(spec): spec for spec in keras_specs.members(model)}
        self.nested = {key: _Scope(spec, depth + 1) for key, spec in self.members.items() if keras_specs.members(spec)}
        self.inbound = InboundNodes(self.members)
        self.calls = self._chain() if self.is_chain else self._graph()
        #: The first result of each layer, as far as the tensors say.
        self.results: dict[str, End] = {}
        for reference, end in [*self.inbound.stated.items(), *self._consumed()]:
            if reference.tensor == 0:
                self.results.setdefault(reference.layer, end)
        self.ends: dict[str, End] = {}
        for key, spec in self.members.items():
            self.ends[key] = End(self._dtype(key, spec), self._shape(key, spec))

    @property
    def is_chain(self) -> bool:
        """Whether each layer consumes the one before."""
        is_sequential = keras_specs.class_name(self.model) == "Sequential"
        return is_sequential or not any("inbound_nodes" in spec for spec in self.members.values())

    def layers(self, prefix: str, *, frozen: bool, take: Callable[[int], None]) -> Iterator[Layer]:
        """Yield the model's own layers, their paths after the prefix; before each, tell how many letters that takes."""
        sources = {key: tuple(dict.fromkeys(ref.layer for call in calls for ref in call))
                   for key, calls in self.calls.items()}  # fmt: skip
        consumers: dict[str, list[str]] = {key: [] for key in self.members}
        for key, names in sources.items():
            for source in names:
                consumers[source].append(key)
        outer = prefix[:-1]
        for key, spec in self.members.items():
            take(len(prefix) * (1 + len(sources[key]) + len(consumers[key])))
            yield Layer(
                prefix + key, outer, keras_specs.class_name(spec), spec,
                tuple(prefix + source for source in sources[key]), tuple(prefix + user for user in consumers[key]),
                self.ends[key].shape, self.ends[key].dtype,
                keras_specs.trainable(spec, frozen=frozen), key in self.nested, tuple(self._input_shapes(key, spec)),
            )  # fmt: skip

    def end(self, reference: Reference) -> End:
        """Return dtype and shape of a tensor, as far as they are known."""
        if reference in self.inbound.stated:
            return self.inbound.stated[reference]
        if reference.layer in self.nested:
            outputs = self.nested[reference.layer].outputs
            return outputs[reference.tensor] if 0 <= reference.tensor < len(outputs) else End(None, None)
        known = self.ends.get(reference.layer, End(None, None))
        # A layer's further results (an LSTM's states) have shapes of their own.
        return known if reference.tensor == 0 else End(known.dtype, None)

    @cached_property
    def model_ends(self) -> Ends:
        """The inputs and outputs of the model itself."""
        return self._chain_ends() if self.is_chain else self._graph_ends()

    @cached_property
    def outputs(self) -> list[End]:
        """The outputs of the model, in order."""
        return list(self.model_ends.outputs.values())

    @cached_property
    def input_references(self) -> dict[str, Reference]:
        """What goes into a model by key; nothing of a chain, which takes one tensor."""
        return {} if self.is_chain else self.inbound.by_key(keras_specs.arguments(self.model).get("input_layers"))

    @cached_property
    def output_references(self) -> dict[str, Reference]:
        """What comes out of a model by key."""
        if self.is_chain:
            last = next(reversed(self.members), None)
            return {} if last is None else {last: Reference(last, 0, 0)}
        return self.inbound.by_key(keras_specs.arguments(self.model).get("output_layers"))

    @cached_property
    def _used_calls(self) -> dict[str, list[int]]:
        """Which calls of a layer something is taken of: Keras 2 counts those outside the model, too."""
        used: dict[str, set[int]] = {}
        inner = (reference for calls in self.calls.values() for call in calls for reference in call)
        for reference in (*inner, *self.output_references.values()):
            used.setdefault(reference.layer, set()).add(reference.node)
        return {layer: sorted(nodes) for layer, nodes in used.items()}

    def consumed(self, prefix: str, reference: Reference) -> Consumed:
        """Word a tensor."""
        used = self._used_calls.get(reference.layer, [])
        call = f", call {used.index(reference.node)}" if len(used) > 1 and reference.node in used else ""
        output = f", output {reference.tensor}" if reference.tensor else ""
        return Consumed(prefix + reference.layer, f"{prefix}{reference.layer}{call}{output}")

    def taken(self, prefix: str, key: str) -> Iterator[Consumed]:
        """Yield what the calls of a layer take: tensors first, then constants that ask for something."""
        # A Sequential has its input by a layer in Keras 3, by an argument of its first layer before.
        implied = {name for name, spec in self.members.items() if keras_specs.class_name(spec) == "InputLayer"}
        for references in self.calls[key]:
            for reference in references:
                if not self.is_chain or reference.layer not in implied:
                    yield self.consumed(prefix, reference)
        nodes = self.members[key].get("inbound_nodes")
        for node in nodes if isinstance(nodes, list) and not self.is_chain else ():
            yield from (Consumed("", text) for text in sorted(self.inbound.constants(node)))

    def _chain(self) -> dict[str, list[list[Reference]]]:
        calls: dict[str, list[list[Reference]]] = {key: [] for key in self.members}
        # Keras 1's Merge lists parallel branches.
        if keras_specs.class_name(self.model) != "Merge":
            for before, after in pairwise(self.members):
                calls[after].append([Reference(before, 0, 0)])
        return calls

    def _graph(self) -> dict[str, list[list[Reference]]]:
        calls = {}
        for key, spec in self.members.items():
            nodes = spec.get("inbound_nodes")
            calls[key] = [list(self.inbound.references(node)) for node in nodes] if isinstance(nodes, list) else []
        return calls

    def _consumed(self) -> Iterator[tuple[Reference, End]]:
        """Yield the tensors whose shape follows from what their consumers were built with."""
        for key, calls in self.calls.items():
            # A layer that is called twice was built at its first call, and which call came first is not written.
            if len(calls) == 1:
                for reference, shape in zip(calls[0], self._built_with(self.members[key]), strict=False):
                    yield reference, End(None, shape)

    @cached_property
    def _leaves_batch_open(self) -> bool:
        """Whether every input that states a shape leaves its first dimension open, and one does."""
        stated = [shape for spec in self.members.values() if (shape := keras_specs.batch_shape(spec))]
        return bool(stated) and all(shape[0] is None for shape in stated)

    def _built_with(self, spec: Spec) -> list[Shape]:
        """Return the shapes that a layer was built with.

        It may have been built by data, as it was adapted or called alone: their number says nothing of the model.
        """
        built = keras_specs.built_with(spec)
        return [(None, *shape[1:]) if shape else shape for shape in built] if self._leaves_batch_open else built

    def _shape(self, key: str, spec: Spec) -> Shape:
        if keras_specs.class_name(spec) == "InputLayer":
            return keras_specs.batch_shape(spec)
        if key in self.results and self.results[key].shape is not None:
            return self.results[key].shape
        if key in self.nested:
            return self.end(Reference(key, 0, 0)).shape
        kind, arguments = keras_specs.class_name(spec), keras_specs.arguments(spec)
        return keras_shapes.output(kind, arguments, self._input_shapes(key, spec))

    def _input_shapes(self, key: str, spec: Spec) -> list[Shape]:
        """Return the shapes that a layer's first call consumes."""
        calls, built = self.calls[key], self._built_with(spec)
        if not calls:
            return built or [keras_specs.batch_shape(spec)]
        return built if len(built) == len(calls[0]) else [self.end(reference).shape for reference in calls[0]]

    def _dtype(self, key: str, spec: Spec) -> str | None:
        if key in self.results and self.results[key].dtype is not None:
            return self.results[key].dtype
        if key in self.nested:
            return self.end(Reference(key, 0, 0)).dtype
        return keras_specs.policy_dtype(spec)

    def _chain_ends(self) -> Ends:
        """Return the ends of a Sequential: before Keras 3 its input was implied by the first layer's arguments."""
        if not self.members:
            return Ends({}, {})
        first, last = next(iter(self.members)), next(reversed(self.members))
        spec = self.members[first]
        if keras_specs.class_name(spec) == "InputLayer":
            inputs = {first: self.ends[first]}
        elif first in self.nested:
            inner = list(self.nested[first].model_ends.inputs.values())
            inputs = {f"{first}_input": inner[0]} if inner else {}
        else:
            shape = self._input_shapes(first, spec)[0]
            end = End(keras_specs.policy_dtype(spec, "input_dtype"), shape)
            inputs = {} if shape is None else {f"{first}_input": end}
        return Ends(inputs, {last: self.end(Reference(last, 0, 0))})

    def _graph_ends(self) -> Ends:
        config = keras_specs.arguments(self.model)
        return Ends(self._keyed(config.get("input_layers")), self._keyed(config.get("output_layers")))

    def _keyed(self, structure: object) -> dict[str, End]:
        return {key: self.end(reference) for key, reference in self.inbound.by_key(structure).items()}
