"""The variables of a live model, module or session, under their names, and which of them must get a value.

Not for: what a file stores, nor assigning (:mod:`tfmagic.verbs.restoration.assignment`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, readers
from tfmagic.functions import sessions, tf_functions
from tfmagic.graphs.saved_object_graph import KERAS_COPIES
from tfmagic.models.model import Model, Part
from tfmagic.readers.function import FunctionReader
from tfmagic.readers.keras_model import KerasModelReader
from tfmagic.readers.session import SessionReader
from tfmagic.runtime import keras_saving
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.restoration import automatic_names, keras_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfmagic.frames import Shape

KERAS, SESSION, OBJECT = KerasModelReader.form, SessionReader.form, FunctionReader.form
#: What a live module keeps for itself beside weights: its class, or a class that it descends from.
_STATEFUL = frozenset({"Generator", "SeedGenerator", "Metric"})


class Target(NamedTuple):
    """A live variable.

    Attributes
    ----------
    name, dtype, shape
        Its row in the table.
    variable : object
        Itself.
    stored_name : str
        The name under which TensorFlow 1 stores it.
    scope : tuple of str
        The names of what it belongs to, outermost first, and its own.
    kinds : frozenset of str
        The classes of what it belongs to, in snake case.
    is_state : bool
        Whether a model is whole without its value: an optimizer's, a metric's, a generator's.
    piece : tuple of slice or None
        What it is of the stored tensor, where it is one of several partitions.
    """

    name: str
    dtype: str
    shape: Shape
    variable: runtime.Live
    stored_name: str
    scope: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    is_state: bool = False
    piece: tuple[slice, ...] | None = None


@dataclass(frozen=True)
class LiveVariables:
    """What a live source has to put values into.

    Attributes
    ----------
    source : object
        The model, module or session.
    form : str
        :data:`KERAS`, :data:`SESSION` or :data:`OBJECT`.
    targets : tuple of Target
        Its variables, each once.
    settling : tuple of object
        The layers that compute something of their variables, by ``finalize_state``.
    """

    source: runtime.Live
    form: str
    targets: tuple[Target, ...]
    settling: tuple[runtime.Live, ...] = ()

    @property
    def name(self) -> str:
        """The name of a Keras model, which paths may begin with."""
        return str(getattr(self.source, "name", "")) if self.form == KERAS else ""

    @cached_property
    def places(self) -> dict[int, int]:
        """The place of each variable in ``targets``, by its identity."""
        return {id(target.variable): place for place, target in enumerate(self.targets)}

    @property
    def model_kinds(self) -> frozenset[str]:
        """The class of a Keras model, in snake case."""
        return frozenset({keras_places.kind_of(self.source)} if self.form == KERAS else ())

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The classes of all that the variables belong to."""
        return frozenset(kind for target in self.targets for kind in target.kinds)


def live_variables(source: object) -> LiveVariables:
    """List the variables of a live object, or of the one that a Model was read from.

    Raises
    ------
    ConversionError
        If it is no Keras model, module or session, or a model without variables.
    """
    source = source.live if isinstance(source, Model) and source.live is not None else source
    if tf_functions.is_a(source, "Checkpoint"):
        with runtime.eager():
            # A checkpoint makes its counter when it is asked for it.
            getattr(source, "save_counter", None)
        return _of_object(source)
    model = readers.read(source)
    if model.live is not None and model.reader.is_session and not tf_functions.is_a(source, "Graph"):
        session = sessions.raw(source)
        return LiveVariables(session, SESSION, tuple(_of_session(session.graph)))
    if model.live is not None and not model.reader.is_session:
        return _of_keras_model(source) if Part.KERAS in model.reader.parts else _of_object(source)
    raise errors.ConversionError(
        f"values are put into a live Keras model, tf.Module or session, and {model.origin} is of the form "
        f"{model.form!r}; load it first, or convert the checkpoint with its .meta instead"
    )


def extended(live: LiveVariables, variables: Sequence[runtime.Live]) -> LiveVariables:
    """Add variables that hang on a source and that it does not list: states."""
    more = [_target(variable)._replace(is_state=True) for variable in variables]
    return replace(live, targets=(*live.targets, *more)) if more else live


def _of_keras_model(model: runtime.Live) -> LiveVariables:
    optimizer = getattr(getattr(model, "optimizer", None), "variables", ())
    variables = [*model.variables, *(optimizer() if callable(optimizer) else optimizer)]
    if not variables:
        raise errors.ConversionError(
            f"the model {model.name!r} has no variables yet: build it, or call it once on data, then restore"
        )
    weights = {id(variable) for variable in model.weights}
    kinds: dict[str, set[str]] = {}
    settling = []
    for names, saved in keras_places.walk(model):
        kinds.setdefault(names[-1] if names else model.name, set()).update(keras_places.kinds_of(saved))
        settling += [saved] if hasattr(saved, "finalize_state") else []
    # The states of recurrent layers are in no list of the model's.
    below = _below(model)
    targets = []
    for variable in {id(variable): variable for variable in (*variables, *below.weights, *below.states)}.values():
        target = _target(variable)
        scope = target.scope[1:] if len(target.scope) > 1 and target.scope[0] == model.name else target.scope
        own = frozenset(kind for name in (*scope, model.name) for kind in kinds.get(name, ()))
        targets.append(target._replace(scope=scope, kinds=own, is_state=id(variable) not in weights))
    return LiveVariables(model, KERAS, tuple(targets), tuple(settling))


def _of_object(source: runtime.Live) -> LiveVariables:
    """List the variables below an object: those that its class lists, then what else hangs on it."""
    weights, states, kinds, settling = _below(source)
    listed = tf_functions.variables(source, ())
    names = {id(variable): name for name, variable in listed.items()}
    # A partitioned variable counts once, and not with each of its partitions as well.
    parts = {id(part) for variable in (*weights, *states) for part in getattr(variable, "variables", ())}
    distinct = {id(variable): variable for variable in (*listed.values(), *weights, *states)}
    known = {id(variable) for variable in (*listed.values(), *weights)}
    copies = {id(copy) for copy in getattr(source, KERAS_COPIES, ())} if hasattr(source, "signatures") else set()
    known -= copies - {id(variable) for variable in getattr(source, "variables", ())}
    targets = []
    # A loaded SavedModel does not tell the classes that names may come from.
    classes = keras_places.layer_kinds() if tf_functions.is_loaded(source) else ()
    for number, variable in distinct.items():
        if number in parts:
            continue
        target = _target(variable, names.get(number, ""))
        own = frozenset(kind for name in target.scope for kind in kinds.get(name, classes))
        is_state = number not in known or target.name == "save_counter"
        targets.append(target._replace(kinds=own, is_state=is_state))
    return LiveVariables(source, OBJECT, tuple(targets), tuple(settling))


class _Below(NamedTuple):
    """What hangs on an object: variables, those of optimizers and generators, classes by name, layers that settle."""

    weights: list[runtime.Live]
    states: list[runtime.Live]
    kinds: dict[str, set[str]]
    settling: list[runtime.Live]


def _below(source: runtime.Live) -> _Below:
    """Go along the attributes that TensorFlow tracks; it tracks none of a Keras model on another backend."""
    if not runtime.is_trackable(source):
        return _Below([], [], {}, [])
    view = runtime.tensorflow().train.TrackableView(source)
    kinds: dict[str, set[str]] = {}
    settling: list[runtime.Live] = []

    def reached(pending: list[runtime.Live], into: object) -> tuple[list[runtime.Live], list[runtime.Live]]:
        variables, beyond, seen = [], [], set()
        while pending:
            value = pending.pop(0)
            if id(value) in seen:
                continue
            seen.add(id(value))
            if is_variable(value):
                variables.append(value)
                continue
            if not into and _is_stateful(value):
                beyond.append(value)
                continue
            settling.extend([value] if hasattr(value, "finalize_state") else [])
            name = getattr(value, "name", None)
            if isinstance(name, str):
                kinds.setdefault(name, set()).update(keras_places.kinds_of(value))
            pending.extend(view.children(value).values())
        return variables, beyond

    with runtime.eager():
        weights, beyond = reached([source], into=False)
        states, _ = reached(beyond, into=True)
    return _Below(weights, states, kinds, settling)


def _is_stateful(value: runtime.Live) -> bool:
    return keras_saving.is_optimizer(value) or any(base.__name__ in _STATEFUL for base in type(value).__mro__)


def is_variable(value: runtime.Live) -> bool:
    """Say whether an object is a variable, of TensorFlow, of Keras, of a strategy or a partitioned one."""
    return all(hasattr(value, name) for name in ("assign", "shape", "dtype"))


def _of_session(graph: runtime.Live) -> Iterator[Target]:
    kept = graph.get_collection("variables")
    local = graph.get_collection("local_variables")
    for variable in {id(variable): variable for variable in (*kept, *local)}.values():
        target = _target(variable)._replace(
            dtype=variable.dtype.base_dtype.name, is_state=all(variable is not other for other in kept)
        )
        whole = getattr(variable, "_save_slice_info", None)
        if whole is None:
            yield target
        else:
            spans = zip(whole.var_offset, whole.var_shape, strict=True)
            piece = tuple(slice(begin, begin + size) for begin, size in spans)
            yield target._replace(stored_name=whole.full_name, piece=piece)


def _target(variable: runtime.Live, name: str = "") -> Target:
    own = getattr(variable, "path", "") or str(variable.name).partition(":")[0]
    dtype = getattr(variable.dtype, "name", variable.dtype)
    return Target(name or own, str(dtype), _shape(variable.shape), variable, own, automatic_names.split(own))


def _shape(shape: runtime.Live) -> Shape:
    return None if getattr(shape, "rank", 0) is None else tuple(shape)
