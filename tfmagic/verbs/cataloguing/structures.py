"""The fingerprint of a model's structure: what it computes, whatever its nodes, layers and weights are called.

Equal for copies, for a model and what was frozen of it, and for two trainings of one network. Keras files are
fingerprinted by their layers, TFLite files by their ops: they are never equal to a graph. Not for: the values of
weights (:mod:`tfmagic.verbs.cataloguing.weights`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.graphs import fingerprints, node_columns, plumbing, signatures
from tfmagic.models.form import Part
from tfmagic.verbs.differences import computations, layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.models.model import Model
    from tfmagic.verbs.differences.computations import Ends

#: What of a layer's arguments names something, or says how it was made.
_SILENT = frozenset({"name", "layers", "input_layers", "output_layers", "module", "registered_name", "build_config"})


def op_counts(model: Model) -> Mapping[str, int]:
    """Return how often each op occurs, in Keras files each class of layers; what only saves is left out."""
    if model.is_at_hand(Part.KERAS):
        return Counter(row.class_ for row in model.part(Part.KERAS))
    if not model.is_at_hand(Part.GRAPH):
        return {}
    column = node_columns.read(model.meta_graph.graph, {}).op
    counts = dict(zip(column.labels, np.bincount(column.codes, minlength=len(column.labels)).tolist(), strict=True))
    return {op: count for op, count in counts.items() if count and op not in plumbing.SAVE_RESTORE_OPS}


def fingerprint(model: Model) -> str | None:
    """Return the fingerprint, None where the form tells nothing of its structure."""
    if model.is_at_hand(Part.KERAS):
        return fingerprints.of_parts(_layers(model))
    return _of_graph(model) if model.is_at_hand(Part.GRAPH) else None


def _of_graph(model: Model) -> str | None:
    """Return the fingerprint of what all signatures compute, of a graph without ends that of its ops.

    None where functions that call one another run more ops than are looked at.
    """
    known = [ends for ends in _all_ends(model) if ends.outputs]
    if not known:
        return fingerprints.of_parts(f"{op} {count}" for op, count in sorted(op_counts(model).items()))
    computed = list(computations.between(model.meta_graph, known))
    if any(each.is_cut for each in computed):
        return None
    texts = sorted({fingerprints.of_computation(each) for each in computed})
    return texts[0] if len(texts) == 1 else fingerprints.of_parts(texts)


def _all_ends(model: Model) -> Iterator[Ends]:
    if model.has_no_signature:
        proposed = computations.ends(model, None)
        yield from () if proposed is None else (proposed,)
        return
    for key in model.meta_graph.signature_def:
        if not signatures.is_hidden(key):
            ends = computations.ends(model, key)
            yield from () if ends is None else (ends,)


def _layers(model: Model) -> Iterator[str]:
    """Yield a text for each layer: its class, its arguments, and by their places the layers that it consumes."""
    rows = model.part(Part.KERAS)
    places = {row.name: place for place, row in enumerate(rows)}
    for row in rows:
        settings = {key: layers.setting(value) for key, value in model.layer_settings(row.name).items()}
        arguments = sorted((key, value) for key, value in settings.items() if key not in _SILENT)
        yield repr((row.class_, arguments, [places.get(name, -1) for name in row.inputs], row.shape))
