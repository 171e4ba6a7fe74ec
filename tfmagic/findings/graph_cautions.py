"""Cautions that a graph gives by its ops: what it lacks elsewhere, what it does at random, what stands in front of it.

Not for: those of its variables (:mod:`tfmagic.findings.variable_cautions`), or of what goes in and comes out
(:mod:`tfmagic.findings.input_cautions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.findings.caution import HIGH, LOW, MEDIUM, PLACEHOLDERS, Caution
from tfmagic.graphs import pipelines
from tfmagic.graphs.ops import of_kind, registered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tfmagic.findings.caution import Place, Subject

_PYTHON_OPS = of_kind("python")
_MUTABLE_TABLES = of_kind("mutable table")
_MEANS = ("Mean",)
_MOMENTS_MEAN, _ROOTS = "moments/mean", frozenset({"Rsqrt", "Sqrt"})
_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
#: What dropout draws, and the way from there to the mask: the rate is compared, once keep_prob was added and floored.
_DRAWS = frozenset({"RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2"})
_TO_MASK = frozenset({"Add", "AddV2", "Sub", "Mul", "Identity"})
_MASKS = frozenset({"GreaterEqual", "Floor"})
#: So many draws are followed: of a training unrolled over its steps, all are alike.
_MOST_DRAWS = 200
#: And from the mask to what is dropped.
_TO_DROPPED = frozenset({"Cast", "Identity"})
_DROPPED = frozenset({"Mul", "Select", "SelectV2"})
_HALVES = frozenset({"float16", "bfloat16"})
#: Ops that TFLite computes in float32 only.
_HEAVY = frozenset(
    {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Conv2D", "Conv3D", "DepthwiseConv2dNative"}
    | {"Conv2DBackpropInput", "Einsum"}
)
#: Layers that do other things as long as a model is trained, by what they do then.
_NORM_LAYERS = frozenset({"BatchNormalization", "SyncBatchNormalization"})
_DROPOUT_LAYERS = frozenset(
    {"Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"}
    | {"GaussianDropout", "GaussianNoise"}
)
#: Classes of layers that compute nothing that a dtype of their own would change.
_INPUT_LAYERS = frozenset({"InputLayer"})


_NORM_TRAINS, _DROPS = "batch normalisation in training mode", "dropout in training mode"
_OF_BATCH = "results depend on the rest of the batch: export with training=False, or choose ends for inference"
_AT_RANDOM = "each run gives other results: export with training=False"


def foreign(subject: Subject) -> Iterator[Caution]:
    """Find types of ops that are neither TensorFlow's nor functions of the graph."""
    strangers = subject.present - registered()
    if not strangers:
        return
    functions = set(subject.model.meta_graph.graph.function_names)
    if unknown := sorted(strangers - functions):
        what = "it has op types that TensorFlow itself does not have"
        advice = "running needs the library that registers them"
        yield Caution("foreign-ops", MEDIUM, errors.listed(unknown), advice, what, tuple(unknown))


def python(subject: Subject) -> Iterator[Caution]:
    """Find calls into the process that made the graph."""
    if calls := subject.those(_PYTHON_OPS):
        what = "it calls Python functions that the model does not hold"
        yield Caution("python-calls", HIGH, ", ".join(calls), "it runs only in the process that made it", what, calls)


def tables(subject: Subject) -> Iterator[Caution]:
    """Find tables whose content changes."""
    known = subject.those(_MUTABLE_TABLES)
    # A live function captured its tables: in its graph there are none.
    if mutable := known or (subject.model.captured_tables() if subject.has_graph else ()):
        advice = "a frozen graph keeps at most what they hold now, and takes nothing more: export a SavedModel"
        yield Caution("mutable-tables", MEDIUM, ", ".join(mutable), advice, "it has mutable lookup tables", known)


def batch_norm_in_training(subject: Subject) -> Iterator[Caution]:
    """Find batch normalisation that takes the statistics of the batch instead of those it learned."""
    if layers := _training_layers(subject, _NORM_LAYERS):
        yield Caution("training-mode", HIGH, errors.listed(layers), _OF_BATCH, _NORM_TRAINS, names=layers)
        return
    # A SavedModel leaves out what has a default, and the default is to train (core/ops/nn_ops.cc).
    fused = subject.always_run(each for each in subject.rows(_NORMS) if _is_training(subject, each.row))
    names = (*_names(fused), *_names(_batch_moments(subject)))
    if names:
        ops = subject.those(_NORMS) if fused else _MEANS
        yield Caution("training-mode", HIGH, errors.listed(names), _OF_BATCH, _NORM_TRAINS, ops, names)


def _training_layers(subject: Subject, classes: Collection[str]) -> tuple[str, ...]:
    """Return the layers of some classes that are called with ``training=True``, whatever the model is called with."""
    names = [row.name for row in subject.layers or () if row.class_ in classes]
    always = set(subject.model.layers_in_training()) if names else ()
    return tuple(name for name in names if name in always)


def _is_training(subject: Subject, row: int) -> bool:
    node = subject.node_def(row)
    return "is_training" not in node.attr or bool(node.attr["is_training"].b)


def _batch_moments(subject: Subject) -> list[Place]:
    """Return the means over the batch that ``tf.nn.moments`` takes where values are normalised by them."""
    roots = {each.function for each in subject.rows(_ROOTS)} if subject.is_followed else set()
    means = (each for each in subject.rows(_MEANS) if each.function in roots and each.name.endswith(_MOMENTS_MEAN))
    return subject.always_run(each for each in means if _is_over_batch(subject, each))


def _is_over_batch(subject: Subject, mean: Place) -> bool:
    axes = subject.constant(mean.function, mean.inputs[1]) if len(mean.inputs) > 1 else None
    # A mean over the batch alone is one of many things; over the places of a picture as well it is that of a channel.
    return axes is not None and 0 in axes.reshape(-1).tolist()


def dropout_in_training(subject: Subject) -> Iterator[Caution]:
    """Find dropout that drops: a random mask by which values are multiplied, whatever is fed."""
    if layers := _training_layers(subject, _DROPOUT_LAYERS):
        yield Caution("training-mode", HIGH, errors.listed(layers), _AT_RANDOM, _DROPS, names=layers)
        return
    draws = subject.rows(_DRAWS)[:_MOST_DRAWS]
    if not draws or not subject.is_followed:
        return
    names = _names(subject.always_run(each for each in draws if _drops(subject, each.function, each.name)))
    if names:
        yield Caution("training-mode", HIGH, errors.listed(names), _AT_RANDOM, _DROPS, subject.those(_DRAWS), names)


def _drops(subject: Subject, function: str, name: str) -> bool:
    """Say whether what a node draws decides what is dropped, at a rate that nobody feeds."""
    nodes = subject.nodes_of(function)
    after = subject.following(function, [name], _TO_MASK | _MASKS)
    masks = [each for each in after if nodes[each].op in _MASKS]
    if not masks:
        return False
    last = subject.following(function, masks, _TO_DROPPED | _DROPPED) - after
    return any(nodes[each].op in _DROPPED for each in last) and not (not function and _is_fed(subject, after))


def _is_fed(subject: Subject, names: set[str]) -> bool:
    """Say whether what a mask of the main graph is made of depends on what is fed to it alone: a rate."""
    nodes = subject.nodes_of("")
    # The shape of what is drawn comes from the input, through a Shape; a rate comes straight.
    passing = _TO_MASK | {"RealDiv", "Div", "Cast", "Reshape", "Switch", "Merge"}
    waiting = [text.partition(":")[0] for name in names for text in nodes[name].inputs]
    seen = set(names)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        if nodes[name].op in PLACEHOLDERS:
            return True
        if nodes[name].op in passing:
            waiting += [text.partition(":")[0] for text in nodes[name].inputs]
    return False


def pipeline(subject: Subject) -> Iterator[Caution]:
    """Find queues and iterators in front of the model, and where to cut them off."""
    handing_out = subject.those(pipelines.HANDING_OUT)
    if not handing_out or not subject.is_followed:
        return
    nodes = subject.nodes
    ops = {name: node.op for name, node in nodes.items()}
    tensors = pipelines.handed_out(ops, ((name, node.inputs) for name, node in nodes.items()))
    tensors = tensors or [f"{name}:0" for name, op in ops.items() if op in pipelines.HANDING_OUT]
    if tensors:
        advice = "name what they hand out as inputs: inputs=[…] (--inputs)"
        what = "its input comes out of queues or iterators, which wait for what nobody starts"
        yield Caution("input-pipeline", HIGH, errors.listed(tensors), advice, what, handing_out, tuple(tensors))


def half_precision(subject: Subject) -> Iterator[Caution]:
    """Find what is computed in half precision, for which TFLite has no kernels."""
    layers = _half_layers(subject)
    names, ops = (layers, ()) if layers or not subject.has_graph else _half_ops(subject)
    if names:
        advice = "TFLite has no kernels for it: build the model with the dtype policy 'float32', load the same weights"
        yield Caution("half-precision", LOW, errors.listed(names), advice, "it computes in half precision", ops, names)


def _half_ops(subject: Subject) -> tuple[tuple[str, ...], tuple[str, ...]]:
    places = [each for each in subject.rows(_HEAVY) if each.dtype in _HALVES]
    return _names(places), tuple(sorted({each.op for each in places}))


def _half_layers(subject: Subject) -> tuple[str, ...]:
    names = [name for name, settings in subject.settings(()) if _policy(settings.get("dtype")).endswith(("16",))]
    inputs = {name for name, _ in subject.settings(_INPUT_LAYERS)}
    return tuple(name for name in names if name not in inputs)


def _policy(dtype: object) -> str:
    """Return the name of a layer's dtype policy, as its config or the user gave it."""
    if isinstance(dtype, dict):
        config = dtype.get("config")
        dtype = config.get("name", "") if isinstance(config, dict) else ""
    name = str(getattr(dtype, "name", dtype))
    return name if name.endswith(("float16", "bfloat16")) else ""


def _names(places: Iterable[Place]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.name for each in places))
