"""What is to be known of a function before it is run on made-up inputs, and of what such a run gives.

Not for: running it (:mod:`tfmagic.verbs.verification.trial_run`), or making the inputs
(:mod:`tfmagic.verbs.verification.trial_inputs`).
"""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tfmagic.files import protos
from tfmagic.findings import hazards, waits
from tfmagic.functions import NamedFunction, tflite
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import inlining
from tfmagic.transforms.captures import assets, captures
from tfmagic.verbs.verification import example_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    #: A signature that can be run: arrays by key to arrays by key.
    Runner: TypeAlias = Callable[[Mapping[str, npt.ArrayLike]], Mapping[str, npt.NDArray[Any]]]
    Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]

#: Sizes of weights that are tried for open dimensions.
_MOST_SIZES = 8


def outside(function: NamedFunction) -> str:
    """Say why a function is not run on made-up inputs: what that would do outside the model; empty if nothing."""
    concrete = function.concrete
    graph_def = tflite.without_interpreters(concrete_functions.graph_def(concrete))
    ends = [tensor.name for tensor in concrete.outputs] + [op.name for op in concrete.graph.control_outputs]
    # Texts that it holds are its own, such as the places of its assets.
    captured = concrete.inputs[len(concrete.inputs) - len(concrete.captured_inputs) :]
    own = [tensor.name for tensor in captured if tensor.dtype.name == "string"]
    acts = hazards.of_graph(graph_def, ends, own=own)
    return f"running it would {hazards.describe(acts)}" if acts else ""


def examples(function: NamedFunction) -> Iterator[bytes]:
    """Yield the serialised messages that a function parses."""
    if any(end.dtype == "string" for end in function.inputs):
        yield from example_messages.messages(concrete_functions.graph_def(function.concrete))


def weight_sizes(function: NamedFunction) -> Iterator[int]:
    """Yield the sizes of dimensions that the first weights of a function have: an open one may have to be as large."""
    graph = function.concrete.graph
    tensors = chain(
        (each for each in function.concrete.captured_inputs if each.dtype.name != "resource"),
        function.concrete.variables,
        (op.outputs[0] for op in graph.get_operations() if op.type == "Const" and op.outputs[0].dtype.is_floating),
    )
    sizes = (size for each in tensors if each.shape.rank for size in each.shape.as_list() if size and size > 1)
    yield from islice(dict.fromkeys(sizes), _MOST_SIZES)


def suspected(run: Runner) -> str:
    """Say in brackets what a function that does not come to its end may be waiting for."""
    reason = waits.suspect(concrete_functions.graph_def(run.concrete)) if isinstance(run, NamedFunction) else ""
    return f" ({reason})" if reason else ""


def require_shapes(source: NamedFunction, arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Let TensorFlow infer all shapes first where a rank is unknown; raises its ValueError.

    Tracing has checked ranks that are known. Some kernels do not check at all: a matrix given to a convolution ends
    the whole process.
    """
    if all(end.shape is not None for end in source.inputs):
        return
    tf = runtime.tensorflow()
    keep = [end.tensor for end in (*source.inputs, *source.outputs)]
    graph_def = protos.native(inlining.inlined(concrete_functions.graph_def(source.concrete), keep))
    with tf.Graph().as_default():
        fed = {end.tensor: tf.compat.v1.placeholder(end.dtype, np.shape(arrays[end.key])) for end in source.inputs}
        tf.graph_util.import_graph_def(graph_def, input_map=fed, name="")


def settled(source: NamedFunction) -> set[str]:
    """Return the outputs that no inputs change: there are no values to give, or they are empty by their shape."""
    has_values = any(0 not in (end.shape or ()) for end in source.inputs)
    return {end.key for end in source.outputs if not has_values or 0 in (end.shape or ())}


def placeless(run: Runner, outputs: Outputs) -> Outputs:
    """Let outputs that are the paths of assets be the names of the files: source and result lie at two places."""
    if not isinstance(run, NamedFunction) or all(each.dtype != "string" for each in run.outputs):
        return outputs
    paths = [each.asset_path.numpy() for each in assets(run, captures(run)).values()]
    names = {path: Path(path.decode(errors="surrogateescape")).name.encode(errors="surrogateescape") for path in paths}
    texts = {end.key for end in run.outputs if end.dtype == "string"} if names else set()
    return {key: _replaced(value, names) if key in texts else value for key, value in outputs.items()}


def _replaced(values: npt.ArrayLike, names: Mapping[bytes, bytes]) -> npt.NDArray[Any]:
    texts = np.asarray(values, dtype=object)
    return np.array([names.get(each, each) for each in texts.reshape(-1)], dtype=object).reshape(texts.shape)
