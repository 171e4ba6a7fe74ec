"""Join two functions: outputs of the first feed inputs of the second, by name.

Both stay what they are and are called inside a third: what they captured, variables and tables, is captured once
more, so equal names of functions, variables, tables or assets cannot meet::

    before                              after, connected words -> words

    text ── first ──┬── words           text ── first ──┬── words ── second ── scores
                    └── length                          │               │
                                        top ────────────│───────────────┘
    words ──┬── second ── scores                        └── length
    top ────┘

What nobody connected stays an input or an output of the whole, here ``top`` and ``length``; a key that both have is
called after its part as well. Not for: obtaining the functions, writing the result (:mod:`tfmagic.verbs.merge`), nor
joining graphs that keep their variables inside (:mod:`tfmagic.transforms.merge_graphs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic import errors
from tfmagic.functions import nested_structures
from tfmagic.functions.named_function import NamedFunction, endpoint
from tfmagic.graphs import signatures
from tfmagic.graphs.resources import own_state
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from tfmagic.frames import Shape
    from tfmagic.graphs.signatures import Endpoint

#: For each output of the first, the input or inputs of the second that take it.
Connections: TypeAlias = Mapping[str, str | Sequence[str]]


class Side(NamedTuple):
    """An input or output of the whole: which part it belongs to, its key there, and its key in the whole."""

    part: str
    end: Endpoint
    key: str


@dataclass(frozen=True)
class Merged:
    """Two functions and what runs between them.

    Attributes
    ----------
    first, second : NamedFunction
        The parts.
    pairs : tuple of (Endpoint, Endpoint)
        Outputs of the first, as the second gets them, and the inputs of the second that they feed.
    inputs, outputs : tuple of Side
        The ends of the whole. Inputs: those of the first, then those of the second that nothing feeds. Outputs: those
        of the second, then those of the first that feed nothing.
    per_element : bool
        Whether the first runs for each element of the batch by itself.
    """

    first: NamedFunction
    second: NamedFunction
    pairs: tuple[tuple[Endpoint, Endpoint], ...]
    inputs: tuple[Side, ...]
    outputs: tuple[Side, ...]
    per_element: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """What is called otherwise than in its part, and what is noted of the parts."""
        renamed = [side for side in (*self.inputs, *self.outputs) if side.key != side.end.key]
        said = (f"{side.end.key!r} of the {side.part} model is {side.key!r}, as both have one" for side in renamed)
        return tuple(dict.fromkeys((*said, *self.first.notes, *self.second.notes)))

    def function(self) -> NamedFunction:
        """Trace the whole, under the key, tags and method of the second."""
        tf = runtime.tensorflow()
        names = nested_structures.identifiers(side.key for side in self.inputs)
        specs = [
            tf.TensorSpec(side.end.shape, side.end.dtype, name) for side, name in zip(self.inputs, names, strict=True)
        ]
        marked: dict[str, str] = {}

        def call(*tensors: runtime.Live) -> dict[str, runtime.Live]:
            results = self._traced(dict(zip(self.inputs, tensors, strict=True)))
            marked.update((key, tensor.name) for key, tensor in results.items())
            return {f"{place:06}": tensor for place, tensor in enumerate(results.values())}

        with runtime.eager():
            concrete = tf.function(call, input_signature=specs, autograph=False).get_concrete_function()
        graph = concrete.graph
        return replace(
            self.second,
            concrete=concrete,
            inputs=tuple(
                endpoint(side.key, tensor) for side, tensor in zip(self.inputs, concrete.inputs, strict=False)
            ),
            outputs=tuple(endpoint(key, graph.get_tensor_by_name(name)) for key, name in marked.items()),
            places=tuple(range(len(marked))),
            owner=_owner(self.first, self.second),
            variables=_variables(self.first, self.second),
            notes=self.notes,
        )

    def _traced(self, tensors: Mapping[Side, runtime.Live]) -> dict[str, runtime.Live]:
        """Call both parts on tensors; each result is behind a node that has its key as a name."""
        tf = runtime.tensorflow()
        first = self._of("first", tensors)
        begun = _apply_each(self.first, first) if self.per_element else self.first.on_tensors(first)
        fed = {target.key: _fitted(begun[source.key], target) for source, target in self.pairs}
        ended = self.second.on_tensors({**fed, **self._of("second", tensors)})
        results = {"first": begun, "second": ended}
        names = nested_structures.identifiers(side.key for side in self.outputs)
        return {
            side.key: tf.identity(results[side.part][side.end.key], name=name)
            for side, name in zip(self.outputs, names, strict=True)
        }

    @staticmethod
    def _of(part: str, values: Mapping[Side, runtime.Live]) -> dict[str, runtime.Live]:
        return {side.end.key: value for side, value in values.items() if side.part == part}

    def one_after_the_other(
        self,
        inputs: Mapping[str, npt.ArrayLike],
        running: Callable[[NamedFunction], AbstractContextManager[NamedFunction]] = nullcontext,
    ) -> dict[str, np.ndarray]:
        """Run the parts by themselves, as one would by hand: what the whole is compared with.

        ``running`` gives what is run of a part, from its turn on to the end of it.
        """
        values = {side: np.asarray(inputs[side.key]) for side in self.inputs}
        with running(self.first) as first:
            taken = self._of("first", values)
            begun = _run_each(first, taken) if self.per_element else first(taken)
        fed = {target.key: _fitted(begun[source.key], target) for source, target in self.pairs}
        with running(self.second) as second:
            results = {"first": begun, "second": second({**fed, **self._of("second", values)})}
        return {side.key: np.asarray(results[side.part][side.end.key]) for side in self.outputs}


def merge(
    first: NamedFunction, second: NamedFunction, connect: Connections | None = None, *, per_element: bool = False
) -> Merged:
    """Plan how two functions become one.

    Parameters
    ----------
    first, second : NamedFunction
        They stay as they are.
    connect : mapping, optional
        Which outputs of the first feed which inputs of the second; else those of equal names, else the only pair.
    per_element : bool
        Whether the first runs for each element of a batch by itself, as ops such as ``decode_png`` must.

    Raises
    ------
    UnknownNameError
        If a name in ``connect`` is neither an output of the first nor an input of the second.
    ConversionError
        If nothing connects the two, or two ends do not fit, which shows both sides; or if a part keeps variables
        inside its graph, where they would be lost.
    """
    for name, part in (("first", first), ("second", second)):
        _require_outside_state(name, part)
    return planned(first, second, connect, per_element=per_element)


def planned(
    first: NamedFunction, second: NamedFunction, connect: Connections | None = None, *, per_element: bool = False
) -> Merged:
    """Plan the same by the ends of both alone: graphs that keep their state inside are joined by an edit."""
    if per_element and not first.inputs:
        raise errors.ConversionError("the first model takes nothing, so there is no batch to run it for (map)")
    begun = first if not per_element else replace(first, inputs=_batched(first.inputs), outputs=_batched(first.outputs))
    pairs = tuple(_checked(begun, second, connect, per_element=per_element))
    fed = {target.key for _, target in pairs}
    sources = {source.key for source, _ in pairs}
    inputs = [("first", end) for end in begun.inputs]
    inputs += [("second", end) for end in second.inputs if end.key not in fed]
    outputs = [("second", end) for end in second.outputs]
    outputs += [("first", end) for end in begun.outputs if end.key not in sources]
    return Merged(first, second, pairs, _sides(inputs), _sides(outputs), per_element)


def _require_outside_state(name: str, part: NamedFunction) -> None:
    ops = own_state(concrete_functions.graph_def(part.concrete))
    if ops:
        raise errors.ConversionError(
            f"the {name} model keeps variables or tables inside its graph, as TensorFlow 1 does "
            f"({errors.listed(ops)}), and they would be lost when the result is saved: give the SavedModel's "
            "directory, the .meta file or the session that it came from, whose variables are kept"
        )


def _sides(ends: Sequence[tuple[str, Endpoint]]) -> tuple[Side, ...]:
    """Give each end a key of its own: of two that are called alike, the later one is named after its part, too."""
    taken: list[str] = []
    own = [end.key for _, end in ends]
    for part, end in ends:
        key = end.key
        while key in taken or (key != end.key and key in own):
            key = f"{part}_{key}"
        taken.append(key)
    return tuple(Side(part, end, key) for (part, end), key in zip(ends, taken, strict=True))


def _batched(ends: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Give each end a batch before its own dimensions."""
    return tuple(end if end.shape is None else end._replace(shape=(None, *end.shape)) for end in ends)


def _checked(
    first: NamedFunction, second: NamedFunction, connect: Connections | None, *, per_element: bool
) -> list[tuple[Endpoint, Endpoint]]:
    """Return the pairs that are meant, each of them checked."""
    outputs, inputs = ({end.key: end for end in ends} for ends in (first.outputs, second.inputs))
    checked: list[tuple[Endpoint, Endpoint]] = []
    for source, target in _pairs(first, second, connect):
        for name, known, kind in (
            (source, outputs, "output of the first model"),
            (target, inputs, "input of the second"),
        ):
            if name not in known:
                raise errors.UnknownNameError(name, kind, known)
        if any(target == end.key for _, end in checked):
            raise errors.ConversionError(f"the input {target!r} of the second model is fed twice; connect it once")
        checked.append((_require_fit(outputs[source], inputs[target], per_element=per_element), inputs[target]))
    return checked


def _pairs(first: NamedFunction, second: NamedFunction, connect: Connections | None) -> list[tuple[str, str]]:
    """Return what feeds what, by name."""
    if connect:
        return [
            (source, target)
            for source, targets in connect.items()
            for target in ([targets] if isinstance(targets, str) else targets)
        ]
    outputs, inputs = [end.key for end in first.outputs], [end.key for end in second.inputs]
    equal = [(key, key) for key in outputs if key in inputs]
    if equal:
        return equal
    if len(outputs) == len(inputs) == 1:
        return [(outputs[0], inputs[0])]
    raise errors.ConversionError(
        f"no output of the first model has the name of an input of the second: the first gives "
        f"{signatures.described(first.outputs)}, the second takes {signatures.described(second.inputs)}; say "
        f"which feeds which: connect={{{outputs[0]!r}: {inputs[0]!r}}} (--connect {outputs[0]}={inputs[0]})"
        if outputs and inputs
        else "the first model has no output, or the second no input: there is nothing to connect"
    )


def _require_fit(source: Endpoint, target: Endpoint, *, per_element: bool) -> Endpoint:
    """Check dtype, rank and shape of a pair; return the source as it arrives at the target."""
    arriving = _arriving(source.shape, target.shape) if per_element else source.shape
    if source.dtype == target.dtype and _is_compatible(arriving, target.shape):
        return source._replace(shape=arriving)
    what = "dtypes" if source.dtype != target.dtype else "shapes"
    raise errors.ConversionError(
        f"the {what} do not fit: the first model gives {source.key!r} as {source.dtype} "
        f"{signatures.shape_text(source.shape)}, the second takes {target.key!r} as {target.dtype} "
        f"{signatures.shape_text(target.shape)}; " + _advice(source, target, per_element=per_element)
    )


def _advice(source: Endpoint, target: Endpoint, *, per_element: bool) -> str:
    if source.dtype != target.dtype:
        return "cast it at the end of the first model, or connect others"
    if not per_element and _is_compatible(None if source.shape is None else (None, *source.shape), target.shape):
        return "the second takes a batch: map=True (--map) runs the first for each element of one"
    return "reshape it at the end of the first model, or connect others"


def _is_compatible(shape: Shape, other: Shape) -> bool:
    if shape is None or other is None:
        return True
    return len(shape) == len(other) and all(a is None or b is None or a == b for a, b in zip(shape, other, strict=True))


def _arriving(source: Shape, target: Shape) -> Shape:
    """Drop the batch of one that each element makes for itself, where the target has one batch dimension only."""
    if source is None or target is None or len(source) != len(target) + 1 or source[1] not in (1, None):
        return source
    return (source[0], *source[2:])


def _fitted(value: runtime.Live, target: Endpoint) -> runtime.Live:
    """Join the batches that the elements made for themselves."""
    is_array = isinstance(value, np.ndarray | np.generic)
    rank = value.ndim if is_array else value.shape.rank
    if target.shape is None or rank != len(target.shape) + 1:
        return value
    if is_array:
        return value.reshape(-1, *value.shape[2:])
    tf = runtime.tensorflow()
    return tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], 0))


def _apply_each(function: NamedFunction, inputs: Mapping[str, runtime.Live]) -> dict[str, runtime.Live]:
    """Call a function on each element of a batch."""
    tf = runtime.tensorflow()
    specs = {end.key: tf.TensorSpec(end.shape, end.dtype) for end in function.outputs}
    results: dict[str, runtime.Live] = tf.map_fn(function.on_tensors, dict(inputs), fn_output_signature=specs)
    return {end.key: results[end.key] for end in function.outputs}


def _run_each(function: NamedFunction, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a function on each element of a batch, in Python."""
    batch = min((len(value) for value in inputs.values()), default=0)
    results = [function({key: value[place] for key, value in inputs.items()}) for place in range(batch)]
    return {end.key: np.stack([each[end.key] for each in results]) for end in function.outputs}


def _owner(first: NamedFunction, second: NamedFunction) -> runtime.Live:
    """Hold both parts, so that all they captured can be saved."""
    owner = runtime.tensorflow().Module()
    owner.first, owner.second = first.owner, second.owner
    return owner


def _variables(first: NamedFunction, second: NamedFunction) -> dict[str, runtime.Live]:
    """Return the variables of both by name; one that both have is one."""
    pairs = [*first.variables.items(), *second.variables.items()]
    distinct = {id(variable): (name, variable) for name, variable in reversed(pairs)}
    listed = list(reversed(distinct.values()))
    return dict(zip(nested_structures.unique(name for name, _ in listed), (each for _, each in listed), strict=True))
