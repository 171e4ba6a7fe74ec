"""The only window onto TensorFlow and Keras: imported here, when something must be traced, loaded or run.

Whatever rests on a private path of TensorFlow or Keras is a function of this module with a public fallback, and has
a canary in ``tests/runtime/test_tensorflow.py``. Not for: what to do with TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
import threading
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tfmagic import errors
from tfmagic.optional import library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

#: An object of TensorFlow's or Keras's; neither ships types.
Live: TypeAlias = Any

#: The TensorFlow that the suite is run against, oldest and newest.
OLDEST, NEWEST = (2, 18), (2, 21)
#: Longer messages are cut where they are quoted in ours.
_GIST = 600
#: How the message of an op that fails in a graph begins, and its lines that quote a stack.
_IN_A_GRAPH = "Graph execution error"
_STACK = re.compile(rf'{_IN_A_GRAPH}|Detected at node|  File "|    ')
_CPU = '"tfmagic[cpu]"'
_KERAS_2 = '"tfmagic[keras2]"'
_LITERT = '"tfmagic[litert]"'


def loaded(module: str) -> ModuleType | None:
    """Return a module if someone has imported it; never imports."""
    return sys.modules.get(module)


def is_loaded() -> bool:
    """Say whether TensorFlow is imported: only then can anyone hold a live object of its."""
    return loaded("tensorflow") is not None


def tensorflow() -> Live:
    """Import TensorFlow.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or older than what tfmagic works with.
    """
    module = library("tensorflow", "tracing, loading or running a model", _CPU)
    _check(module.__version__)
    return module


def keras() -> Live:
    """Import Keras 3.

    Raises
    ------
    MissingDependencyError
        If it is not installed, or computes with another library than TensorFlow.
    """
    tensorflow()
    module = library("keras", "a Keras model", _CPU)
    if module.config.backend() != "tensorflow":
        raise errors.MissingDependencyError(
            f"Keras computes with {module.config.backend()!r} here; a Keras model of tfmagic's (set "
            "KERAS_BACKEND=tensorflow before Keras is imported)",
            _CPU,
        )
    return module


def tf_keras() -> Live:
    """Import Keras 2, which lives on as ``tf_keras``; raises MissingDependencyError."""
    tensorflow()
    return library("tf_keras", "a model of Keras 2", _KERAS_2)


def legacy_layers() -> Live:
    """Return the module that was ``tf.layers`` in TensorFlow 1.

    Only Keras 2 has it still, at a private place. There is no public one while Keras 3 is TensorFlow's Keras.

    Raises
    ------
    MissingDependencyError
        If ``tf_keras`` is not installed.
    """
    tf_keras()
    return library("tf_keras.api._v1.keras.__internal__.legacy.layers", "tf.layers of TensorFlow 1", _KERAS_2)


def tflite_interpreter(path: Path) -> Live:
    """Return an interpreter of a TFLite file: that of ``ai_edge_litert``, else the one that TensorFlow still has.

    Raises
    ------
    MissingDependencyError
        If neither is there.
    """
    module: Live
    try:
        module = library("ai_edge_litert.interpreter", "running a TFLite file", _LITERT)
    except errors.MissingDependencyError:
        module = getattr(tensorflow(), "lite", None)
        if not hasattr(module, "Interpreter"):
            raise
    with warnings.catch_warnings():
        # TensorFlow announces that its own will go.
        warnings.simplefilter("ignore", UserWarning)
        return module.Interpreter(model_path=str(path))


@cache
def _check(version: str) -> None:
    """Refuse a TensorFlow that is too old, and warn once of one that is newer than any that was tried."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    found = (int(numbers[1]), int(numbers[2])) if numbers else NEWEST
    supported = f"{'.'.join(map(str, OLDEST))} to {'.'.join(map(str, NEWEST))}"
    if found < OLDEST:
        raise errors.MissingDependencyError(f"tfmagic works with TensorFlow {supported}, not with {version}: it", _CPU)
    if found > NEWEST:
        warnings.warn(f"tfmagic was tested with TensorFlow {supported}; this is {version}", stacklevel=4)


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Execute eagerly inside, whatever the user has switched off or is in the middle of building.

    ``tf.compat.v1.disable_eager_execution`` and an open ``graph.as_default()`` both stay as they are outside. The
    fallback, ``tf.init_scope``, leaves functions that are being traced, but neither of these.
    """
    tf = tensorflow()
    with contextlib.ExitStack() as stack:
        try:
            context = importlib.import_module("tensorflow.python.eager.context").eager_mode()
        except (ImportError, AttributeError):
            context = tf.init_scope()
        else:
            # Eager code, too, enters what it makes into collections of the default graph, which may be the user's.
            stack.enter_context(tf.Graph().as_default())
        stack.enter_context(context)
        yield


def thread_settings() -> Callable[[], None]:
    """Return what gives another thread the settings that Keras keeps for each thread, as they are in this one.

    That is the default dtype policy. Keras's public question for it would set one where none is set; the fallback is
    to leave the other thread alone.
    """
    state = loaded("keras.src.backend.common.global_state")
    policy = getattr(state, "get_global_attribute", lambda _name: None)("dtype_policy")

    def enter() -> None:
        if policy is not None:
            keras().config.set_dtype_policy(policy)

    return enter


@contextlib.contextmanager
def compiled_as_before(model: Live) -> Iterator[None]:
    """Give a Keras model back how it was compiled: writing HDF5, Keras takes the optimizer out of the model's own.

    ``Model.save("m.h5")`` pops it from the dict that ``get_compile_config`` returns, so that a later ``.keras`` file
    knows none. The fallback, where the dict is elsewhere, is what Keras does.
    """
    config = getattr(getattr(model, "_compile_config", None), "config", None)
    before = dict(config) if isinstance(config, dict) else {}
    try:
        yield
    finally:
        if isinstance(config, dict):
            config.update(before)


def call_flat(concrete: Live, tensors: Sequence[Live]) -> Live:
    """Call a ConcreteFunction with tensors in the order of its ``inputs``, whatever structure it was traced with.

    Returns its structured outputs. The fallback, the public call, asks for the structure of the arguments.
    """
    flat = getattr(concrete, "_call_flat", None)
    if flat is not None:
        return flat(list(tensors), concrete.captured_inputs)
    args, kwargs = tensorflow().nest.pack_sequence_as(concrete.structured_input_signature, list(tensors))
    return concrete(*args, **kwargs)


def inline_calls(graph_def: Live, keep: Sequence[str]) -> Live:
    """Return a GraphDef with its calls inlined by TensorFlow's own optimizer.

    The fallback is the graph as it is: the same function, its calls still calls.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class.
    keep : sequence of str
        Nodes or tensors that stay under their names.
    """
    compat = tensorflow().compat.v1
    placeholders = {node.name: node for node in graph_def.node if node.op in ("Placeholder", "PlaceholderV2")}
    try:
        optimize = importlib.import_module("tensorflow.python.grappler.tf_optimizer").OptimizeGraph
    except (ImportError, AttributeError):
        return graph_def
    if not all("dtype" in node.attr and node.attr["dtype"].type for node in placeholders.values()):
        return graph_def  # the optimizer would end the whole process
    meta_graph = compat.MetaGraphDef(graph_def=graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(keep)
    for node in meta_graph.graph_def.node:
        # It makes a tensor for each placeholder, as large as the model claims.
        if node.name in placeholders:
            node.attr["shape"].shape.unknown_rank = True
            node.attr["shape"].shape.ClearField("dim")
            node.attr.pop("_output_shapes", None)
    config = compat.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("function")
    try:
        result = optimize(config, meta_graph)
    except tensorflow().errors.OpError:
        return graph_def  # a dtype that the optimizer does not know, such as float8_e5m2
    for node in result.node:
        if node.name in placeholders:
            node.CopyFrom(placeholders[node.name])
    return result


def capture(handle: Live) -> Live:
    """Bring an eager tensor, such as a variable's handle, into the function being traced.

    ``FuncGraph.capture`` returns the placeholder itself. The fallback, an Identity behind it, serves as well in all
    but the search for a variable's readers.
    """
    tf = tensorflow()
    graph = tf.compat.v1.get_default_graph()
    return graph.capture(handle) if hasattr(graph, "capture") else tf.identity(handle)


def name_arguments(concrete: Live, names: Sequence[str]) -> None:
    """Give a wrapped function the names of its arguments, without which ``tf.saved_model.save`` does not take it.

    TensorFlow's own loader of TF1 SavedModels does the same. There is no public way; without it the function still
    runs.
    """
    for attribute, value in (("_arg_keywords", list(names)), ("_num_positional_args", len(names))):
        with contextlib.suppress(AttributeError):
            setattr(concrete, attribute, value)


def fingerprint(saved_model: Path) -> bytes | None:
    """Return the serialised FingerprintDef of a SavedModel's directory, None where TensorFlow cannot be asked.

    Raises
    ------
    CorruptSourceError
        If TensorFlow does not parse the SavedModel's message.
    """
    try:
        module = importlib.import_module("tensorflow.python.saved_model.pywrap_saved_model").fingerprinting
    except (ImportError, AttributeError):
        return None
    try:
        return bytes(module.CreateFingerprintDef(str(saved_model)))
    except (AttributeError, ValueError, RuntimeError):
        return None
    # An exception of C++, which is a plain Exception of Python.
    except Exception as error:
        raise errors.CorruptSourceError(f"TensorFlow does not parse its message: {gist(error)}") from error


def concrete_functions(function: Live) -> list[Live]:
    """Return what a ``tf.function`` was traced to so far, in order; one with an input signature is traced for it.

    The fallback knows only the latter.
    """
    listing = getattr(function, "_list_all_concrete_functions", None)
    if listing is not None:
        return list(listing())
    return [function.get_concrete_function()] if function.input_signature is not None else []


def has_function(name: str) -> bool:
    """Say whether the process has a function of this name already; the fallback fears so."""
    try:
        context = importlib.import_module("tensorflow.python.eager.context").context()
        return bool(context.has_function(name))
    except (ImportError, AttributeError):
        return True


def gist(error: BaseException | None) -> str:
    """Return the beginning of a message: TensorFlow's may quote whole functions, and are chained in full.

    An op that fails in a graph has the Python stack of whoever made the op before its own words.
    """
    text = str(error).strip() or type(error).__name__
    if text.startswith(_IN_A_GRAPH):
        told = (line.strip() for line in text.splitlines() if not _STACK.match(line))
        text = " ".join(line for line in told if line) or text
    return text if len(text) <= _GIST else f"{text[:_GIST]} ..."


@contextlib.contextmanager
def cancellable() -> Iterator[Callable[[], None]]:
    """Give a function that cancels what TensorFlow executes inside, from any thread; no signal does that.

    The code inside then gets TensorFlow's CancelledError. The fallback is a function that does nothing.
    """
    try:
        cancellation = importlib.import_module("tensorflow.python.eager.cancellation")
        manager = cancellation.CancellationManager()
        context = cancellation.CancellationManagerContext(manager)
    except (ImportError, AttributeError):
        yield lambda: None
        return
    with context:
        yield manager.start_cancel


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[Callable[[], None]]:
    """Cancel what TensorFlow executes inside after some time, if not before: a loop in a graph may never end."""
    with cancellable() as cancel:
        timer = threading.Timer(seconds, cancel)
        timer.daemon = True
        timer.start()
        try:
            yield cancel
        finally:
            timer.cancel()


def is_own_gradient(op_type: str) -> bool:
    """Say whether a gradient that stands in for an op's own is one that TensorFlow or Keras defines for speed.

    Those give what differentiating the op gives (``tf.nn.silu``); one that a user defines may not. The fallback, where
    the registry is elsewhere, takes none for TensorFlow's.

    Parameters
    ----------
    op_type : str
        The name under which ``tf.custom_gradient`` registered it.
    """
    try:
        registry = importlib.import_module("tensorflow.python.framework.ops").gradient_registry
        found = registry.lookup(op_type)
    except (ImportError, AttributeError, LookupError):
        return False
    return all(str(each).partition(".")[0] in ("tensorflow", "keras", "tf_keras") for each in _modules_in(found))


def _modules_in(function: Live, depth: int = 4) -> set[str]:
    """Return the modules of a function and of those in its closure; empty names for what may hold any function."""
    found = {str(getattr(function, "__module__", ""))}
    for cell in getattr(function, "__closure__", None) or ():
        value = cell.cell_contents
        if hasattr(value, "function_def"):
            found.add("")
        elif depth and hasattr(value, "__closure__"):
            found |= _modules_in(value, depth - 1)
    return found
