"""What a ConcreteFunction, a ``tf.function`` and TensorFlow's registry of functions keep at private places.

Not for: the names that their user knows (``functions/``).
"""

from __future__ import annotations

import contextlib
import importlib
import weakref
from typing import TYPE_CHECKING

from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


#: Messages of graphs, by the graphs, with the version that each is of.
_messages: weakref.WeakKeyDictionary[runtime.Live, tuple[int, runtime.Live]] = weakref.WeakKeyDictionary()
#: Larger ones, whose constants weigh more than making them anew takes time, are not kept.
_MOST_KEPT = 16 << 20
#: By the functions that they are of.
_twins: weakref.WeakKeyDictionary[runtime.Live, runtime.Live] = weakref.WeakKeyDictionary()


def call_flat(concrete: runtime.Live, tensors: Sequence[runtime.Live]) -> runtime.Live:
    """Call a ConcreteFunction with tensors in the order of its ``inputs``, whatever structure it was traced with.

    Returns its structured outputs. The fallback, the public call, goes by the names of the arguments.
    """
    flat = getattr(concrete, "_call_flat", None)
    if flat is not None:
        return flat(list(tensors), concrete.captured_inputs)
    return concrete(**dict(zip(argument_keywords(concrete), tensors, strict=True)))


@contextlib.contextmanager
def unoptimized() -> Iterator[None]:
    """Have functions that are called inside, by this thread, run as they are: to optimise one takes longer than a run.

    What is called once gains by it. The fallback lets TensorFlow optimise.
    """
    try:
        module = importlib.import_module("tensorflow.python.eager.context")
        context = module.context()
        before = context.function_call_options
        config = runtime.tensorflow().compat.v1.ConfigProto.FromString(before.config_proto_serialized)
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        options = module.FunctionCallOptions(before.executor_type, config)
    except (ImportError, AttributeError, TypeError):
        yield
        return
    context.function_call_options = options
    try:
        yield
    finally:
        context.function_call_options = before


def graph_def(concrete: runtime.Live) -> runtime.Live:
    """Return the GraphDef of a function's graph, to be looked at: it is made once for all who ask, and not changed."""
    graph = concrete.graph
    version, message = _messages.get(graph, (None, None))
    if version != graph.version:
        version, message = graph.version, graph.as_graph_def()
        if message.ByteSize() <= _MOST_KEPT:
            _messages[graph] = version, message
    return message


def argument_keywords(concrete: runtime.Live) -> list[str]:
    """Return what TensorFlow calls the inputs of a ConcreteFunction, in the order of its ``inputs``, captures left out.

    These are the keys of the SignatureDef that it was loaded from, or would be saved as, with their case. TensorFlow
    keeps them with the function (``_arg_keywords``). The fallback is the mark that it leaves at each placeholder, else
    the placeholder's own name, numbered where it comes twice (``set_arg_keywords`` of tracing_compilation.py).
    """
    free = concrete.inputs[: len(concrete.inputs) - len(concrete.captured_inputs)]
    known = list(getattr(concrete, "_arg_keywords", None) or ())
    if len(known) == len(free):
        return known
    names: dict[str, None] = {}
    for tensor in free:
        name = user_name(tensor) or tensor.op.name
        numbered = (f"{name}_{number}" for number in range(1, len(free) + 1))
        names[next(each for each in (name, *numbered) if each not in names)] = None
    return list(names)


def user_name(tensor: runtime.Live) -> str:
    """Return the name that an argument's author gave it, empty if TensorFlow did not keep it at the placeholder."""
    try:
        return str(tensor.op.get_attr("_user_specified_name").decode())
    except ValueError:
        return ""


def capture(handle: runtime.Live) -> runtime.Live:
    """Bring an eager tensor, such as a variable's handle, into the function being traced.

    ``FuncGraph.capture`` returns the placeholder itself. The fallback, an Identity behind it, serves as well in all
    but the search for a variable's readers.
    """
    tf = runtime.tensorflow()
    graph = tf.compat.v1.get_default_graph()
    return graph.capture(handle) if hasattr(graph, "capture") else tf.identity(handle)


def name_arguments(concrete: runtime.Live, names: Sequence[str]) -> None:
    """Give a wrapped function the names of its arguments, without which ``tf.saved_model.save`` does not take it.

    TensorFlow's own loader of TF1 SavedModels does the same. There is no public way; without it the function still
    runs.
    """
    for attribute, value in (("_arg_keywords", list(names)), ("_num_positional_args", len(names))):
        with contextlib.suppress(AttributeError):
            setattr(concrete, attribute, value)


def of_function(function: runtime.Live) -> list[runtime.Live]:
    """Return what a ``tf.function`` was traced to so far, in order, without tracing it.

    What was loaded from a SavedModel has them listed. TensorFlow's own listing of others traces once more where there
    is an input signature, so it is only the fallback for their cache.
    """
    loaded = getattr(function, "concrete_functions", None)
    if loaded is not None:
        return list(loaded)
    cache = getattr(function, "_function_cache", None)
    if cache is not None and hasattr(cache, "values"):
        return list(cache.values())
    listing = getattr(function, "_list_all_concrete_functions", list)
    return list(listing())


def has_function(name: str) -> bool:
    """Say whether the process has a function of this name already; the fallback fears so."""
    try:
        context = importlib.import_module("tensorflow.python.eager.context").context()
        return bool(context.has_function(name))
    except (ImportError, AttributeError):
        return True


def function_names() -> set[str]:
    """Return the names of the functions that the process keeps; none where it cannot be asked."""
    try:
        context = importlib.import_module("tensorflow.python.eager.context").context()
        return set(context.list_function_names())
    except (ImportError, AttributeError):
        return set()


def forget_functions(names: Iterable[str]) -> None:
    """Let go of functions that nothing calls any more; the fallback keeps them, as TensorFlow does."""
    with contextlib.suppress(ImportError, AttributeError):
        context = importlib.import_module("tensorflow.python.eager.context").context()
        for name in names:
            if context.has_function(name):
                context.remove_function(name)


def twin(function: runtime.Live) -> runtime.Live:
    """Return a function of the same Python code, one for each: who traces it does not count as a trace of the user's.

    The fallback, where a ``tf.function`` cannot be cloned, is the function itself.
    """
    if function not in _twins:
        clone = getattr(function, "_clone", None)
        # One that refers to the original would keep it alive as its own key.
        _twins[function] = function if clone is None else clone(None)
    return _twins[function]
