"""The traces of a ``tf.function``: which of them count, what each is called, and for which arguments it was made.

Not for: obtaining them (:mod:`tfmagic.functions.tf_functions`), nor the keys of inputs and outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The op by which the first call of a function finds out whether the variables that it makes have values.
_ASKS_FOR_VALUE = "VarIsInitializedOp"
#: Values that can be told in a word.
_SHORT = (bool, int, float, str, bytes, type(None))


def settled(traces: Sequence[runtime.Live]) -> list[runtime.Live]:
    """Leave out the trace that made a function's variables, where one of the calls after it is there.

    It asks of each variable whether it is initialised; TensorFlow traces the function again at once, for good.
    """
    later = [trace for trace in traces if not _makes_variables(trace)]
    return [trace for trace in traces if trace in later or not any(_are_of_one_type(trace, other) for other in later)]


def _makes_variables(trace: runtime.Live) -> bool:
    return any(each.type == _ASKS_FOR_VALUE for each in trace.graph.get_operations())


def distinct(traces: Sequence[runtime.Live]) -> list[runtime.Live]:
    """Leave out what equals a trace before it: TensorFlow traces a function again when it saves it."""
    result: list[runtime.Live] = []
    for trace in traces:
        if not any(_are_equal(trace, other) for other in result):
            result.append(trace)
    return result


def _are_equal(trace: runtime.Live, other: runtime.Live) -> bool:
    """Say whether two traces of a function are the same: they take and give the same, and captured the same tensors.

    Their graphs cannot be compared: names and the order of the library differ.
    """
    return _are_of_one_type(trace, other) and [id(each) for each in trace.captured_inputs] == [
        id(each) for each in other.captured_inputs
    ]


def _are_of_one_type(trace: runtime.Live, other: runtime.Live) -> bool:
    """Say whether two traces take and give the same.

    A call leaves arguments in the type without their names, by which saving traces them once more; the structure of the
    arguments has the names in both.
    """
    if trace.function_type == other.function_type:
        return True
    structures = [each.structured_input_signature for each in (trace, other)]
    outputs = [each.function_type.output for each in (trace, other) if each.function_type is not None]
    return (
        None not in structures
        and len(outputs) == len(structures)
        and bool(structures[0] == structures[1])
        and bool(outputs[0] == outputs[1])
    )


def keyed(name: str, traces: Sequence[runtime.Live]) -> Iterator[tuple[str, runtime.Live]]:
    """Yield the traces of one function under its name; those for different Python values say for which."""
    values = [python_values(trace) for trace in traces]
    differing = [each for each in dict.fromkeys(key for found in values for key in found) if _differs(values, each)]
    for trace, arguments in zip(traces, values, strict=True):
        words = ",".join(f"{each}={arguments[each]}" for each in differing if each in arguments)
        yield (f"{name}({words})" if words else name), trace


def _differs(values: Sequence[Mapping[str, str]], key: str) -> bool:
    return len({found.get(key) for found in values}) > 1


def python_values(trace: runtime.Live) -> dict[str, str]:
    """Return the arguments that a function was traced for and that are no tensors, as code, those that are short."""
    tf = runtime.tensorflow()
    if trace.structured_input_signature is None or trace.function_type is None:
        return {}
    args, kwargs = trace.structured_input_signature
    named = [each.name for each in trace.function_type.parameters.values() if each.kind is not each.KEYWORD_ONLY]
    arguments = {**dict(zip(named, args, strict=False)), **kwargs}
    # Those by keyword come out of a file in any order; the type has that of their author.
    places = {name: place for place, name in enumerate(trace.function_type.parameters)}
    return {
        key: repr(value)
        for key, value in sorted(arguments.items(), key=lambda each: places.get(each[0], len(places)))
        if all(isinstance(each, _SHORT) for each in tf.nest.flatten(value))
    }


def arguments_code(trace: runtime.Live, specs: Sequence[str]) -> str:
    """Return the code of the arguments that a function was traced for.

    Parameters
    ----------
    trace : ConcreteFunction
        With the structure of its arguments.
    specs : sequence of str
        The code of each tensor's spec, in TensorFlow's order.

    Raises
    ------
    TypeError
        Naming what is neither a tensor, nor a plain value, nor a dict, list or tuple of such.
    """
    args, kwargs = trace.structured_input_signature
    left = iter(specs)
    positional = [_nested_code(each, left) for each in args]
    return ", ".join([*positional, *(f"{key}={code}" for key, code in _members_code(kwargs, left).items())])


def _nested_code(value: object, specs: Iterator[str]) -> str:
    """Return the code of an argument, whose specs come in the order in which TensorFlow walks through it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {code}' for key, code in _members_code(value, specs).items())}}}"
    if type(value) is list:
        return f"[{', '.join(_nested_code(each, specs) for each in value)}]"
    if type(value) is tuple:
        inner = ", ".join(_nested_code(each, specs) for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, _SHORT):
        return repr(value)
    code = next(specs, None) if isinstance(value, runtime.tensorflow().TensorSpec) else None
    if code is None:
        raise TypeError(f"an argument of type {type(value).__name__!r}")
    return code


def _members_code(members: Mapping[str, object], specs: Iterator[str]) -> dict[str, str]:
    """Return the code of each member of a dict, in its own order; TensorFlow walks through the keys in theirs."""
    known = {key: _nested_code(members[key], specs) for key in sorted(members)}
    return {key: known[key] for key in members}
