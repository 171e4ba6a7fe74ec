"""A ConcreteFunction together with the names that its user knows, and how to call it by them.

Not for: obtaining one (the other modules of this package).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.functions import composites, nested_structures
from tfmagic.functions.state import stored_variables
from tfmagic.graphs import function_library, tensor_names
from tfmagic.graphs.ops import Effect, named, of_kind
from tfmagic.graphs.signatures import DEFAULT_KEY, DEFAULT_TAGS, PREDICT, Endpoint
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from tfmagic.frames import Shape

_RANDOM_OP = re.compile("(Stateless|Stateful)?(Random|TruncatedNormal|Uniform|StandardNormal)|Multinomial")
_ASSIGN_OP = re.compile("Assign(Add|Sub)?(VariableOp)?$")
_COMPUTES = frozenset({Effect.PURE, Effect.CALL})
#: Ops that take a variable or a table and leave it as it is.
_LOOKS = of_kind("variable", "variable read", "variable query", "table", "mutable table", "table use", "table export")


@dataclass(frozen=True)
class NamedFunction:
    """A ConcreteFunction together with the names of its ends.

    Attributes
    ----------
    concrete : tf.types.experimental.ConcreteFunction
        Its captures are the model's variables and tables, not its constants.
    inputs, outputs : tuple of Endpoint
        The user's keys in the user's order; ``tensor`` is the name in ``concrete.graph``. An output's is the node
        that carries the user's name, where there is one, and not the ``Identity`` that TensorFlow puts behind it.
    places : tuple of int
        Where each output stands among ``concrete.outputs``, which TensorFlow sorts by key.
    key : str
        The signature's key.
    tags : tuple of str
        The tag-set it came with, or ``("serve",)``.
    method : str
        The signature's method name.
    owner : object
        Keeps the variables and tables alive that ``concrete`` captures; trackable, so it can be saved.
    variables : mapping of str to tf.Variable
        The variables by the names that the table of variables gives them. All of the model's, captured or not.
    notes : tuple of str
        What a person should know before relying on it: random numbers, variables that a call assigns.
    model : keras.Model or None
        The live Keras model that it is a call of, if it is one.
    returned : mapping of str to path
        Where what that model returns has each output, by key.
    """

    concrete: runtime.Live
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]
    places: tuple[int, ...]
    key: str = DEFAULT_KEY
    tags: tuple[str, ...] = DEFAULT_TAGS
    method: str = PREDICT
    owner: object = None
    variables: Mapping[str, runtime.Live] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    model: runtime.Live = None
    returned: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)

    def restore(self) -> None:
        """See that the variables have their values, before anything reads them."""
        stored_variables.restore([*self.variables.values(), *self.concrete.graph.variables])

    def ordered(self, inputs: Sequence[str], outputs: Sequence[str]) -> NamedFunction:
        """Return the function with its ends in this order, by their keys."""
        ends = {one.key: one for one in self.inputs}
        results = {one.key: (one, place) for one, place in zip(self.outputs, self.places, strict=True)}
        chosen = [results[key] for key in outputs]
        return replace(
            self,
            inputs=tuple(ends[key] for key in inputs),
            outputs=tuple(end for end, _ in chosen),
            places=tuple(place for _, place in chosen),
        )

    def __call__(self, inputs: Mapping[str, npt.ArrayLike]) -> dict[str, np.ndarray]:
        """Run on arrays by key.

        Parameters
        ----------
        inputs : mapping of str to array-like
            A value for each input; it is cast to the input's dtype.

        Returns
        -------
        dict of str to ndarray
            The outputs by key, in order; strings are arrays of bytes objects.

        Raises
        ------
        UnknownNameError
            If an input is missing, or one is given that there is not.
        """
        _check_keys(inputs, [one.key for one in self.inputs])
        self.restore()
        with runtime.eager():
            tensors = {one.key: _tensor(inputs[one.key], one.dtype) for one in self.inputs}
            return {key: result.numpy() for key, result in self.on_tensors(tensors).items()}

    def on_tensors(self, inputs: Mapping[str, runtime.Live]) -> dict[str, runtime.Live]:
        """Call on tensors by key, eagerly or inside another function; returns the outputs by key, in order."""
        fed = {one.tensor: inputs[one.key] for one in self.inputs}
        tensors = [fed[one.name] for one in self.concrete.inputs if one.name in fed]
        results = runtime.tensorflow().nest.flatten(
            concrete_functions.call_flat(self.concrete, tensors), expand_composites=True
        )
        flat = [result for result in results if result is not None]
        return {one.key: flat[place] for one, place in zip(self.outputs, self.places, strict=True)}


def _check_keys(values: Mapping[str, object], expected: Sequence[str]) -> None:
    for key in values:
        if key not in expected:
            raise errors.UnknownNameError(key, "input", expected)
    for key in expected:
        if key not in values:
            raise errors.UnknownNameError(key, "value given for input", list(values))


def _tensor(value: runtime.Live, dtype: str) -> runtime.Live:
    """Convert a value to a tensor of this dtype; TensorFlow itself refuses to narrow."""
    tf = runtime.tensorflow()
    # Through numpy a list of Python floats is taken in full precision.
    tensor = tf.convert_to_tensor(as_array(value))
    return tensor if tensor.dtype == dtype else tf.cast(tensor, dtype)


def as_array(value: runtime.Live) -> np.ndarray:
    """Take a value for an array; bytes stay objects, as numpy's own strings lose zeros at their end."""
    plain = value.numpy() if hasattr(value, "numpy") else value
    array = np.asarray(plain)
    return np.array(plain, dtype=object) if array.dtype.kind == "S" else array


def shape(tensor: runtime.Live) -> Shape:
    """Return the static shape of a tensor, a variable or a spec."""
    static = tensor.shape
    return None if static.rank is None else tuple(static.as_list())


def endpoint(key: str, tensor: runtime.Live) -> Endpoint:
    """Describe a tensor of a graph under a key."""
    return Endpoint(key, tensor.name, tensor.dtype.name, shape(tensor))


def of_concrete(
    concrete: runtime.Live, key: str, spelling: Mapping[str, str] | None = None, **others: runtime.Live
) -> NamedFunction:
    """Name the ends of a ConcreteFunction after its arguments and the keys of its results.

    An input that was loaded from a SavedModel has the key of the SignatureDef. A result without a key is ``output_0``,
    ``output_1`` and so on, as TensorFlow calls it when it saves the function; where the function was cut out of a graph
    (``prune``), it is called after its node. ``spelling`` has, for what TensorFlow calls an argument, the name that its
    author wrote, where that is another.

    Raises
    ------
    ConversionError
        If an argument or a result is neither a plain, a sparse nor a ragged tensor: a variable, a dataset.
    """
    arguments = _inputs(concrete, spelling or {}, f"argument of {key!r}")
    results = _outputs(concrete, f"result of {key!r}")
    inputs = tuple(endpoint(name, concrete.inputs[place]) for name, place in arguments)
    outputs = tuple(endpoint(name, concrete.outputs[place]) for name, place in results)
    others.setdefault("owner", concrete)
    others.setdefault("notes", graph_notes(concrete))
    others.setdefault("variables", variables_by_name(concrete.graph.variables))
    return NamedFunction(concrete, inputs, outputs, tuple(place for _, place in results), key, **others)


def with_values(function: NamedFunction) -> NamedFunction:
    """Return a function, if what it captured has values outside of a session.

    Raises
    ------
    ConversionError
        If it was built while eager execution was off.
    """
    tf = runtime.tensorflow()
    if any(tf.is_symbolic_tensor(outer) for outer in function.concrete.captured_inputs):
        raise errors.ConversionError(
            "the model was built while eager execution was off, so its weights have values in a TF1 session only: give "
            "that session (of Keras 2: tf_keras.backend.get_session()), or build the model with eager execution on"
        )
    return function


def graph_notes(concrete: runtime.Live) -> tuple[str, ...]:
    """Say what makes two calls on the same inputs differ: a layer in training mode, mostly."""
    ops = {node.op for node in function_library.all_nodes(concrete_functions.graph_def(concrete))}
    effects = (
        (sorted(op for op in ops if _RANDOM_OP.match(op)), "draws random numbers"),
        (sorted(op for op in ops if _ASSIGN_OP.match(op)), "assigns variables"),
    )
    return tuple(f"a call {what} ({', '.join(names)})" for names, what in effects if names)


def acts(concrete: runtime.Live) -> bool:
    """Say whether a call does more than compute what it returns: it writes, prints, asserts, draws, or may do so."""
    ops = {node.op for node in function_library.all_nodes(concrete_functions.graph_def(concrete))}
    return any(named(op).effect not in _COMPUTES or named(op).kind == "assert" for op in ops - _LOOKS)


def variables_by_name(variables: runtime.Live) -> dict[str, runtime.Live]:
    """Return variables by their names in TensorFlow, those that repeat numbered."""
    listed = list(variables)
    return dict(zip(nested_structures.unique(one.name.partition(":")[0] for one in listed), listed, strict=True))


def _inputs(concrete: runtime.Live, spelling: Mapping[str, str], what: str) -> list[tuple[str, int]]:
    """Return the key of each input, in the user's order, and its place among the flat ones.

    A key and a place always come from the same flat list: the structure of the arguments, which TensorFlow sorts by
    other names, only says in which order the user has them, and what dicts among them call their parts.
    """
    flat = [spelling.get(each, each) for each in concrete_functions.argument_keywords(concrete)]
    if concrete.structured_input_signature is None:  # cut out of a graph, by prune or by freezing
        return list(zip(nested_structures.unique(flat), range(len(flat)), strict=True))
    leaves = _leaves(concrete.structured_input_signature, len(flat), what)
    names = [_argument_key(leaf, concrete.inputs[leaf.first], flat[leaf.first]) + leaf.part for leaf in leaves]
    if len(set(names)) < len(names):
        names = [flat[leaf.place] for leaf in leaves]
    return list(zip(nested_structures.unique(names), (leaf.place for leaf in leaves), strict=True))


def _argument_key(leaf: _Leaf, placeholder: runtime.Live, flat: str) -> str:
    """Name an argument: by its key in the dict that is the argument, else as TensorFlow calls it."""
    _, _, *inner = leaf.path
    own = nested_structures.key(tuple(inner))
    argument = concrete_functions.user_name(placeholder)
    if own or not inner or not argument or getattr(leaf.spec, "name", argument) == argument:
        return own or flat
    return "_".join([argument, *map(str, inner)])


def _outputs(concrete: runtime.Live, what: str) -> list[tuple[str, int]]:
    """Return the key of each output, in the user's order, and its place among the flat ones."""
    leaves = _leaves(concrete.structured_outputs, len(concrete.outputs), what, is_result=True)
    was_cut = concrete.structured_input_signature is None
    numbers = {place: number for number, place in enumerate(dict.fromkeys(leaf.first for leaf in leaves))}
    names = [
        (
            nested_structures.key(leaf.path)
            or (_node_key(concrete.outputs[leaf.place]) if was_cut else "")
            or f"output_{numbers[leaf.first]}"
        )
        + leaf.part
        for leaf in leaves
    ]
    return list(zip(nested_structures.unique(names), (leaf.place for leaf in leaves), strict=True))


def _node_key(tensor: runtime.Live) -> str:
    """Return a node's name as a key, empty if nobody gave it one."""
    return "" if tensor_names.is_nameless(tensor.op.name) else str(tensor.name).removesuffix(":0")


class _Leaf(NamedTuple):
    """A tensor of a structure.

    Attributes
    ----------
    path : path
        Where in the structure it is.
    spec : tensor or TypeSpec
        It, or the sparse or ragged one that it is a part of.
    first, place : int
        Where the first part of that, and it itself, stand among the flat tensors.
    part : str
        What its key ends with, which part of a composite it is.
    """

    path: nested_structures.Path
    spec: runtime.Live
    first: int
    place: int
    part: str = ""


def _leaves(structure: object, count: int, what: str, *, is_result: bool = False) -> list[_Leaf]:
    """Return each leaf that is a tensor, in the user's order.

    A graph may have more results: what a gradient of it took from its middle stands behind the others.
    """
    tf = runtime.tensorflow()
    flat = tf.nest.flatten(structure)
    parts = {index: _parts(leaf, what) for index, leaf in enumerate(flat)}
    firsts = dict(zip(parts, itertools.accumulate(map(len, parts.values()), initial=0), strict=False))
    total = sum(map(len, parts.values()))
    if total != count and not (is_result and total < count):
        raise errors.ConversionError(f"the {what} do not agree with its graph: {total} and {count}")
    indexed = tf.nest.pack_sequence_as(structure, list(range(len(flat))))
    return [
        _Leaf(path, flat[index], firsts[index], firsts[index] + number, part)
        for path, index in nested_structures.leaves(indexed)
        for number, part in enumerate(parts[index])
    ]


def _parts(leaf: runtime.Live, what: str) -> list[str]:
    """Return what the keys of the tensors of a leaf end with: nothing of a plain one, none where it is no tensor."""
    tf = runtime.tensorflow()
    if composites.is_composite(leaf):
        return composites.part_keys("", leaf)
    if isinstance(leaf, tf.TensorSpec) or (tf.is_tensor(leaf) and hasattr(leaf, "name")):
        return [""]
    if type(leaf).__name__ == "VariableSpec":
        raise errors.ConversionError(
            f"one {what} is a variable, which no file can be given; let the function refer to the variable, or take "
            "its value as a tensor"
        )
    if isinstance(leaf, tf.TypeSpec) or tf.is_tensor(leaf):
        raise errors.ConversionError(f"one {what} is no plain tensor but {leaf!r}; give its parts as tensors")
    return []
