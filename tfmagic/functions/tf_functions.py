"""Find the functions of a live object: a ``tf.function``, ConcreteFunction, ``tf.Module`` or loaded SavedModel.

A lone function has the default key, as TensorFlow gives it on saving; of several, each is called by its own name, and
``f``, ``f_1``, ... where one ``tf.function`` was traced more than once. Not for: Keras models.
"""

from __future__ import annotations

import gc
import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.functions import nested_structures, traces
from tfmagic.functions.attribute_paths import attribute_paths
from tfmagic.functions.named_function import NamedFunction, of_concrete
from tfmagic.graphs.signatures import DEFAULT_KEY
from tfmagic.graphs.variables import is_nameless
from tfmagic.runtime import concrete_functions, error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

_FORM = "function"
#: TensorFlow's tables that can be written at any time.
_WRITABLE_TABLES = ("DenseHashTable", "MutableHashTable")


def is_a(value: object, name: str) -> bool:
    """Say whether an object is of TensorFlow's class with this name; needs no TensorFlow."""
    bases = type(value).__mro__
    return any(base.__name__ == name and str(base.__module__).partition(".")[0] == "tensorflow" for base in bases)


def is_concrete(value: object) -> bool:
    """Say whether an object is a ConcreteFunction."""
    return is_a(value, "ConcreteFunction")


def is_polymorphic(value: object) -> bool:
    """Say whether an object is a ``tf.function``, which may have been traced many times."""
    return is_a(value, "PolymorphicFunction") or (is_a(value, "GenericFunction") and not is_concrete(value))


def is_loaded(value: object) -> bool:
    """Say whether an object is what ``tf.saved_model.load`` returns."""
    return is_a(value, "AutoTrackable") and is_a(vars(value).get("signatures"), "_SignatureMap")


def collect(value: runtime.Live) -> tuple[NamedFunction, ...]:
    """Return all functions of an object, traced.

    Raises
    ------
    MissingPartError
        If there is none that was traced or can be; says what to do.
    ConversionError
        If one takes or returns what is no plain tensor.
    """
    with runtime.eager():
        keyed = list(_concrete_functions(value))
        if not keyed:
            raise _untraced(value)
        keys = nested_structures.unique(key for key, _ in keyed)
        named = _all_named(value, [(key, concrete) for key, (_, concrete) in zip(keys, keyed, strict=True)])
        return _with_common_names(named, variables(value, named))


def captured_tables(named: Iterable[NamedFunction]) -> tuple[str, ...]:
    """Return the classes of the tables that can be written and that functions captured.

    A function does not lead to the objects whose handles it captured: they are searched for as TensorFlow does, to
    tell their names in its errors (``saved_model/save.py``).
    """
    handles = [
        tensor for function in named for tensor in function.concrete.captured_inputs if tensor.dtype.name == "resource"
    ]
    variables = (variable for function in named for variable in function.concrete.graph.variables)
    owned = {id(variable.handle) for variable in variables if hasattr(variable, "handle")}
    handles = [tensor for tensor in handles if id(tensor) not in owned]
    if not handles:
        return ()
    holders = gc.get_referrers(*handles)
    holders += gc.get_referrers(*(holder for holder in holders if isinstance(holder, dict)))
    return tuple(sorted({name for name in _WRITABLE_TABLES if any(is_a(holder, name) for holder in holders)}))


def _all_named(value: runtime.Live, keyed: Sequence[tuple[str, runtime.Live]]) -> tuple[NamedFunction, ...]:
    """Name the ends of functions; one that takes what is no tensor is left out where there are others."""
    named, refused = [], {}
    for key, concrete in keyed:
        try:
            named.append(_named(value, key, concrete))
        except errors.ConversionError as error:
            refused[key] = error
    if not named:
        raise next(iter(refused.values()))
    notes = tuple(f"{key!r} is left out: {error}" for key, error in refused.items())
    return tuple(replace(each, notes=(*each.notes, *notes)) for each in named)


def _with_common_names(
    named: tuple[NamedFunction, ...], known: Mapping[str, runtime.Live]
) -> tuple[NamedFunction, ...]:
    """Let a variable have one name in all functions, that of the table: by itself each would number those it uses."""
    captured = [{id(each) for each in one.variables.values()} for one in named]
    return tuple(
        replace(one, variables={name: each for name, each in known.items() if id(each) in ids})
        for one, ids in zip(named, captured, strict=True)
    )


def _named(value: runtime.Live, key: str, concrete: runtime.Live) -> NamedFunction:
    _require_variables(concrete)
    named = of_concrete(concrete, key, _spelling(value, concrete), owner=_owner(value, concrete))
    # A signature that was loaded comes from a map, which keeps no order.
    if is_loaded(value) or isinstance(value, Mapping):
        return named.ordered(sorted(one.key for one in named.inputs), sorted(one.key for one in named.outputs))
    return named


def _spelling(value: runtime.Live, concrete: runtime.Live) -> dict[str, str]:
    """Return how a loaded function's author wrote its arguments, which TensorFlow stores in small letters.

    The function's type keeps the names of Python's parameters.
    """
    functions = [value] if is_polymorphic(value) else [] if is_concrete(value) else [each for _, each in methods(value)]
    loaded = [each for each in functions if is_a(each, "RestoredFunction")]
    if not any(concrete is trace for each in loaded for trace in concrete_functions.of_function(each)):
        return {}
    parameters = [str(each) for each in concrete.function_type.parameters]
    small = Counter(each.lower() for each in parameters)
    return {each.lower(): each for each in parameters if small[each.lower()] == 1}


def _require_variables(concrete: runtime.Live) -> None:
    """Refuse a function whose variables are gone, which its graph alone does not keep."""
    try:
        concrete.graph.variables  # noqa: B018 - a property that raises
    except AssertionError as error:
        raise errors.ConversionError(
            "the variables of the function are gone, as nothing refers any more to what held them: keep the model, as "
            "in model = tf.saved_model.load(…), for as long as a function of it is used, or give the model itself"
        ) from error


def _concrete_functions(value: runtime.Live) -> Iterator[tuple[str, runtime.Live]]:
    """Yield the ConcreteFunctions with the names they go by."""
    if is_concrete(value):
        yield DEFAULT_KEY, value
    elif is_polymorphic(value):
        traced = _traced(value)
        yield from [(DEFAULT_KEY, traced[0])] if len(traced) == 1 else traces.keyed(function_name(value), traced)
    elif isinstance(value, Mapping):
        yield from sorted(value.items())
    elif is_loaded(value) and value.signatures:
        yield from sorted(value.signatures.items())
    else:
        for name, method in methods(value):
            # Calling the object is its default, and a key that begins with "__" is bookkeeping, which is hidden.
            key = DEFAULT_KEY if name == "__call__" else name
            yield from traces.keyed(key, [method] if is_concrete(method) else _traced(method))


def methods(value: runtime.Live) -> Iterator[tuple[str, runtime.Live]]:
    """Yield the functions that are attributes of an object, its class's first, without running a property."""
    classes = [vars(base) for base in reversed(type(value).__mro__)]
    for name in dict.fromkeys(name for attributes in (*classes, vars(value)) for name in attributes):
        plain = inspect.getattr_static(value, name, None)
        if is_polymorphic(plain) or is_concrete(plain):
            yield name, getattr(value, name)


def function_name(function: runtime.Live) -> str:
    """Return the name of the Python function behind a ``tf.function``; a lambda has none."""
    name = str(getattr(function, "__name__", "") or "function")
    return "function" if name == "<lambda>" else name


def _traced(function: runtime.Live) -> list[runtime.Live]:
    """Return what was traced of a ``tf.function``; one that takes nothing, or says what it takes, is traced."""
    known = traces.distinct(traces.settled(concrete_functions.of_function(function)))
    if known:
        return known
    try:
        # Not the function itself: its user may count how often it is traced.
        return [concrete_functions.twin(function).get_concrete_function()]
    except (TypeError, ValueError) as error:
        # Whatever its own code raises is its author's to see.
        if function.input_signature is not None or not _takes_arguments(function):
            raise errors.ConversionError(
                f"the tf.function {function_name(function)!r} does not trace: {error_texts.gist(error)}; mend it, "
                "or give a ConcreteFunction of it"
            ) from error
        return []


def _takes_arguments(function: runtime.Live) -> bool:
    parameters = inspect.signature(function.python_function).parameters.values()
    return any(one.default is one.empty and one.name != "self" for one in parameters)


def _untraced(value: runtime.Live) -> errors.MissingPartError:
    """Say that there is no function yet, and how there would be one."""
    names = [function_name(value)] if is_polymorphic(value) else [name for name, _ in methods(value)]
    if names:
        advice = (
            f"The tf.function {errors.listed(names)} was never called, so nobody knows the shapes of its inputs: call "
            "it once on data, or decorate it with tf.function(input_signature=[tf.TensorSpec(...), ...])"
        )
    else:
        inner = _inner_functions(value)
        advice = f"The {type(value).__name__} has no attribute that is a tf.function" + (
            f", but {errors.listed(inner)} is one: give that"
            if inner
            else ": decorate the method that computes with tf.function(input_signature=[tf.TensorSpec(...), ...])"
        )
    return errors.MissingPartError("graph", _FORM, ("variables",), advice)


def _inner_functions(value: runtime.Live) -> list[str]:
    """Return the code that leads to functions farther down: those of a list, or of another object."""
    if not is_a(value, "Trackable"):
        return []
    children = runtime.tensorflow().train.TrackableView(value).descendants()
    functions = {id(each) for each in children if is_polymorphic(each) or is_concrete(each)}
    ways = [way.names for key, way in attribute_paths(value).items() if key in functions]
    steps = [names[:-1] if names[-1] == "__call__" else names for names in ways]
    return ["".join(f"[{name}]" if name.isdigit() else f".{name}" for name in names)[1:] for names in steps]


def _owner(value: runtime.Live, concrete: runtime.Live) -> runtime.Live:
    """Hold a function, what it is a part of and what it captures, so that all of it can be saved."""
    owner = runtime.tensorflow().Module()
    owner.source = value
    owner.weights = list(concrete.graph.variables)
    owner.closure = [one for one in _closure(value) if is_a(one, "Trackable")]
    return owner


def _closure(value: runtime.Live) -> list[object]:
    """Return what the Python function behind a ``tf.function`` refers to: tables and modules, perhaps."""
    function = inspect.unwrap(getattr(value, "python_function", None) or _nothing)
    plain = getattr(function, "__func__", function)
    if not inspect.isfunction(plain):
        return []
    outside = inspect.getclosurevars(plain)
    holder = getattr(function, "__self__", None)
    # A method's tf.function holds the object by a weak reference of TensorFlow's (tf_method_target.py).
    return [getattr(holder, "target", holder), *outside.nonlocals.values(), *outside.globals.values()]


def _nothing() -> None:
    """Stand for a function whose Python code is gone."""


def variables(value: runtime.Live, functions: tuple[NamedFunction, ...]) -> dict[str, runtime.Live]:
    """Return the variables of an object and of its functions by name."""
    own = _own_variables(value)
    # A function captures the copy of its device of what a strategy holds as one.
    copies = {id(copy) for one in own if is_a(one, "DistributedVariable") for copy in one.values}
    captured = [one for function in functions for one in function.concrete.graph.variables if id(one) not in copies]
    distinct = {id(one): one for one in (*own, *captured)}
    names = nested_structures.unique(_names(value, distinct.values()))
    return dict(zip(names, distinct.values(), strict=True))


def _names(value: runtime.Live, listed: Collection[runtime.Live]) -> list[str]:
    """Return the names of variables; one without a name, or of another's, goes by the attributes that lead to it."""
    names = [str(one.name).partition(":")[0] for one in listed]
    counts = Counter(names)
    unclear = {name for name in names if is_nameless(name) or counts[name] > 1}
    if not unclear:
        return names
    paths = {
        key: "/".join(way.names)
        for root in reversed([value, *_closure(value)])
        for key, way in attribute_paths(root).items()
    }
    return [paths.get(id(one), name) if name in unclear else name for one, name in zip(listed, names, strict=True)]


def _own_variables(value: runtime.Live) -> list[runtime.Live]:
    """Return the variables that an object holds; an attribute called ``variables`` may be anything of a user's."""
    if not is_a(value, "AutoTrackable"):
        return []
    tf = runtime.tensorflow()
    listed = inspect.getattr_static(value, "variables", None)
    if isinstance(listed, property) or (
        isinstance(listed, Sequence) and all(is_a(each, "Variable") for each in listed)
    ):
        return list(value.variables)
    return [each for each in tf.train.TrackableView(value).descendants() if is_a(each, "Variable")]
