"""Cautions that what goes in gives: dtypes that do not fit, dimensions that are not open, tensors that become dense.

Not for: pipelines in front of a graph (:mod:`tfmagic.findings.graph_cautions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.findings.caution import LOW, MEDIUM, PLACEHOLDERS, Caution
from tfmagic.graphs import restores
from tfmagic.graphs.tensor_names import node_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.findings.caution import Subject
    from tfmagic.graphs.restores import Scope

_INPUTS = frozenset({"InputLayer"})
#: Layers that hand ids on as they are.
_ARRANGING = frozenset({"Reshape", "Flatten", "Permute", "RepeatVector"})
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
_INTEGERS = frozenset({"int32", "int64", "uint8", "uint16", "uint32", "uint64", "int8", "int16"})
#: Ops that look up rows of a table by ids, with the place of the ids among their inputs.
_LOOKUPS = {"ResourceGather": 1, "GatherV2": 1, "Gather": 1}
#: Ops that an id passes on its way to them: casts, arrangements, and what Keras does with negative ones.
_PASSING = frozenset(
    {"Cast", "Identity", "Reshape", "ExpandDims", "Squeeze", "Transpose", "StopGradient", "Select", "SelectV2"}
    | {"Add", "AddV2", "Maximum", "Minimum", "ClipByValue", "FloorMod", "StridedSlice"}
)
#: So many tensors are followed on the way from a lookup back to the inputs, and so many nodes are parsed for it.
_MOST_STEPS, _MOST_PARSED = 200, 100_000


def float_ids(subject: Subject) -> Iterator[Caution]:
    """Find ids that are looked up and come in as floats: a Keras Input without a dtype is float32."""
    keys = _keys_of_layers(subject) if subject.layers is not None else _keys_of_graph(subject)
    if keys:
        advice = "give the Input a dtype of integers, dtype='int32': float32 is exact up to 16,777,216 only"
        yield Caution("float-ids", MEDIUM, errors.listed(keys), advice, "ids are taken as floats", names=tuple(keys))


def _keys_of_layers(subject: Subject) -> list[str]:
    """Return the input layers of floats that an Embedding takes its ids from."""
    waiting = [row.name for row in subject.layers or () if row.class_ == "Embedding"]
    if not waiting:
        return []
    layers = {row.name: (row.class_, row.inputs) for row in subject.layers or ()}
    sources: dict[str, None] = {}
    for _ in range(_MOST_STEPS):
        if not waiting:
            break
        for source in layers[waiting.pop()][1]:
            name = _given(layers, source)
            kind = layers[name][0] if name in layers else ""
            if kind in _INPUTS:
                sources[name] = None
            elif kind in _ARRANGING:
                waiting.append(name)
    return [name for name in sources if "/" not in name and _states_float(subject, name)]


def _given(layers: Mapping[str, tuple[str, tuple[str, ...]]], name: str) -> str:
    """Return the layer that gives what the input of a nested model takes; any other layer as it is.

    Of several inputs the table of layers does not say which is which.
    """
    # Names with a slash in them may lead round in a circle.
    for _ in range(_MOST_STEPS):
        if name not in layers or layers[name][0] not in _INPUTS:
            break
        model = name.rpartition("/")[0]
        sources = layers[model][1] if model in layers else ()
        own = [each for each, (kind, _) in layers.items() if kind in _INPUTS and each.rpartition("/")[0] == model]
        if len(sources) != 1 or len(own) != 1:
            break
        (name,) = sources
    return name


def _states_float(subject: Subject, name: str) -> bool:
    dtype = subject.model.layer_settings(name).get("dtype")
    if isinstance(dtype, dict):
        config = dtype.get("config")
        dtype = config.get("name") if isinstance(config, dict) else None
    return str(getattr(dtype, "name", dtype)) in _FLOATS


def _keys_of_graph(subject: Subject) -> list[str]:
    """Return the inputs that are floats and become ids, nothing else being known of them."""
    if not subject.those(_LOOKUPS) or "Cast" not in subject.present or len(subject.columns.name) > _MOST_PARSED:
        return []
    columns = subject.columns
    if not (columns.op.among(PLACEHOLDERS) & columns.dtype.among(_FLOATS)).any() or not _casts_ids(subject):
        return []
    graph_def = subject.model.meta_graph.lean_meta_graph_def().graph_def
    main = restores.Scope(graph_def.node, {each.signature.name: each for each in graph_def.library.function})
    known: dict[str, None] = {}
    for scope, node in restores.visited(main, [node_of(tensor) for tensor in subject.outputs]):
        if node.op in _LOOKUPS and len(node.input) > _LOOKUPS[node.op]:
            known.update(dict.fromkeys(_float_sources(main, scope, node.input[_LOOKUPS[node.op]])))
    return list(dict.fromkeys(subject.inputs.get(name, name) for name in known))


def _casts_ids(subject: Subject) -> bool:
    """Say whether floats become integers anywhere that matters, which the table of ops tells without parsing."""
    casts = (each for each in subject.rows({"Cast"}) if each.dtype in _INTEGERS)
    kinds = (subject.node_def(each.row).attr["SrcT"].type for each in casts)
    return any(protos.dtype_name(kind) in _FLOATS for kind in kinds)


def _float_sources(main: Scope, scope: Scope, text: str) -> Iterator[str]:
    """Yield the placeholders of floats from which ids come, and nothing that computed them."""
    waiting, steps = [(scope, text, False)], 0
    while waiting and steps < _MOST_STEPS:
        steps += 1
        place, tensor, was_float = waiting.pop()
        origin = place.origin(tensor)
        if origin is None:
            continue
        node = origin.node
        if node.op in PLACEHOLDERS and origin.scope is main and was_float:
            yield str(node.name)
        elif node.op in _PASSING:
            is_cast = node.op == "Cast" and protos.dtype_name(node.attr["SrcT"].type) in _FLOATS
            # Of a choice the condition is no id.
            inputs = node.input[1:] if node.op in ("Select", "SelectV2") else node.input[:2]
            if node.op not in ("Select", "SelectV2", "Add", "AddV2", "Maximum", "Minimum"):
                inputs = node.input[:1]
            waiting += [(origin.scope, each, was_float or is_cast) for each in inputs if not each.startswith("^")]


def fixed_batch(subject: Subject) -> Iterator[Caution]:
    """Find signatures none of whose inputs leaves its first dimension open."""
    model = subject.model
    if model.resizes_inputs or not model.is_at_hand("signatures") or model.has_no_signature:
        return
    # Of a signature one input that is open, or unknown, is enough; one without dimensions says nothing.
    sized: dict[str, None] = {}
    resizable: set[str] = set()
    for row in model.signature_rows():
        if row.side == "input" and row.shape != ():
            sized[row.signature] = None
            if row.shape is None or row.shape[0] is None:
                resizable.add(row.signature)
    closed = [key for key in sized if key not in resizable]
    if closed:
        advice = "it takes one size of batch only: export with an Input whose first dimension is None"
        what = "a signature without an open batch dimension"
        yield Caution("fixed-batch", LOW, errors.listed(closed), advice, what, names=tuple(map(str, closed)))


def densified(subject: Subject) -> Iterator[Caution]:
    """Find Keras inputs that are sparse or ragged: what is made of the model takes them dense."""
    kinds = {
        name: kind
        for name, settings in subject.settings(_INPUTS)
        for kind in ("sparse", "ragged")
        if settings.get(kind) is True
    }
    if kinds:
        kind = " and ".join(sorted(set(kinds.values())))
        advice = "a conversion takes it dense: give dense tensors, or export a tf.function with a spec of that kind"
        yield Caution("densified-input", MEDIUM, errors.listed(kinds), advice, f"a {kind} input", names=tuple(kinds))
