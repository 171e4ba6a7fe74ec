"""TensorFlow's optimizer of graphs. Not for: changing a graph ourselves (``transforms/``)."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HOME = "tensorflow.python.grappler.tf_optimizer"
#: In the order in which TensorFlow's own pipeline has them. None changes layouts, devices or dtypes.
PASSES = ("function", "constfold", "arithmetic", "remap", "dependency")
#: The optimizer makes a tensor for each placeholder: elements up to which it may be as large as the model claims.
_MOST_ELEMENTS = 1 << 22


def inline_calls(graph_def: runtime.Live, keep: Sequence[str]) -> runtime.Live:
    """Return a GraphDef with its calls inlined by TensorFlow's own optimizer.

    The fallback is the graph as it is: the same function, its calls still calls.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class.
    keep : sequence of str
        Nodes or tensors that stay under their names.
    """
    optimize = _optimizer()
    if optimize is None or not _has_dtypes(graph_def):
        return graph_def
    try:
        return _run(optimize, graph_def, keep, PASSES[:1], most=0)
    except runtime.tensorflow().errors.OpError:
        return graph_def  # a dtype that the optimizer does not know, such as float8_e5m2


def require() -> None:
    """Refuse to optimise where that cannot be.

    Raises
    ------
    MissingDependencyError
        If TensorFlow is not installed.
    ConversionError
        If this TensorFlow's optimizer cannot be reached.
    """
    runtime.tensorflow()
    if _optimizer() is None:
        raise errors.ConversionError(
            f"TensorFlow {runtime.version()} has its optimizer of graphs where Python does not reach it, and no public "
            "call optimises a graph: leave optimize=True (--optimize) out; a session optimises at its first call"
        )


def optimized(graph_def: runtime.Live, keep: Sequence[str], *, remap: bool = True) -> runtime.Live:
    """Return a GraphDef as TensorFlow's own optimizer makes it: constants folded, what is not needed gone.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class, without variables.
    keep : sequence of str
        Nodes or tensors that stay under their names.
    remap : bool
        Whether ops are exchanged for others, which may be ops that no file should hold: their names begin with ``_``.

    Raises
    ------
    MissingDependencyError, ConversionError
        As :func:`require`; and if the optimizer does not take the graph: its error is the cause.
    """
    require()
    optimize = _optimizer()
    assert optimize is not None  # noqa: S101 - required above
    if not _has_dtypes(graph_def):
        raise errors.ConversionError("a placeholder of the graph has no dtype, which TensorFlow's optimizer needs")
    passes = [name for name in PASSES if remap or name != "remap"]
    try:
        return _run(optimize, graph_def, keep, passes, most=_MOST_ELEMENTS)
    except (runtime.tensorflow().errors.OpError, ValueError, RuntimeError) as error:
        raise errors.ConversionError(
            f"TensorFlow's optimizer does not take the graph: {error_texts.gist(error)}; leave optimize=True "
            "(--optimize) out"
        ) from error


def _optimizer() -> Callable[..., runtime.Live] | None:
    try:
        optimize: Callable[..., runtime.Live] = importlib.import_module(_HOME).OptimizeGraph
    except (ImportError, AttributeError):
        return None
    return optimize


def _placeholders(graph_def: runtime.Live) -> dict[str, runtime.Live]:
    return {node.name: node for node in graph_def.node if node.op in ("Placeholder", "PlaceholderV2")}


def _has_dtypes(graph_def: runtime.Live) -> bool:
    """Say whether all placeholders have a dtype: without, the optimizer would end the whole process."""
    return all("dtype" in node.attr and node.attr["dtype"].type for node in _placeholders(graph_def).values())


def _run(
    optimize: Callable[..., runtime.Live],
    graph_def: runtime.Live,
    keep: Sequence[str],
    passes: Sequence[str],
    *,
    most: int,
) -> runtime.Live:
    """Run passes over a graph; a placeholder that claims more than ``most`` elements is taken for one of any shape."""
    compat = runtime.tensorflow().compat.v1
    placeholders = _placeholders(graph_def)
    meta_graph = compat.MetaGraphDef(graph_def=graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(keep)
    for node in meta_graph.graph_def.node:
        if node.name in placeholders:
            node.attr.pop("_output_shapes", None)
            shape = node.attr["shape"].shape
            if math.prod(max(dim.size, 1) for dim in shape.dim) > most:
                shape.unknown_rank = True
                shape.ClearField("dim")
    config = compat.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.extend(passes)
    result = optimize(config, meta_graph)
    for node in result.node:
        if node.name in placeholders:
            node.CopyFrom(placeholders[node.name])
    return result
