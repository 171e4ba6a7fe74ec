"""Freeze a model without making a function of it: a graph by an edit, a SavedModel of TensorFlow 2 as it lies on disk.

Not for: what the edit does (:mod:`tfmagic.transforms.freeze_graph`), nor what goes from the files to the graph
(:mod:`tfmagic.transforms.freeze_stored`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions.state.saved_models import Store
from tfmagic.graphs import signatures
from tfmagic.graphs.ops import of_kind
from tfmagic.transforms import freeze_stored
from tfmagic.transforms.freeze_graph import freeze_graph
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion.graph_signatures import graph_source, plain_signature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.transforms.frozen_graph import FrozenGraph
    from tfmagic.verbs.conversion.graph_signatures import GraphSource
    from tfmagic.verbs.conversion.options import Ends, Wish

_PLACEHOLDERS = of_kind("placeholder")


class Straight(NamedTuple):
    """A graph that was frozen without loading the model, None if it must be loaded; ``notes`` say why."""

    frozen: FrozenGraph | None
    notes: tuple[str, ...] = ()


def freeze(model: Model, wish: Wish) -> Straight:
    """Freeze a model as it lies on disk or in a session.

    Raises
    ------
    UnknownNameError
        If there is no such signature.
    ConversionError
        If a graph cannot be frozen, or holds more than the signature that is meant.
    TooLargeError
        If the result would pass 2 GiB.
    """
    source = graph_source(model, wish, every=False)
    if source is not None:
        return Straight(_edited(source, wish))
    if not model.has_objects or model.path is None:
        return Straight(None)
    if any(option is not None for option in (wish.signatures, wish.bind, wish.batch)):
        return Straight(None)
    (key,) = conversion_options.keys_of(model, wish.signature, every=False)
    try:
        return Straight(_stored(model, model.path, wish, key))
    except errors.TooLargeError:
        raise
    except errors.MissingPartError:
        return Straight(None)  # a name inside a function, perhaps, which only the loaded function has
    except errors.ConversionError as error:
        return Straight(None, (f"the model was loaded to freeze it, which takes memory and time: {error}",))


def _edited(source: GraphSource, wish: Wish) -> FrozenGraph:
    """Freeze what is a graph: its own nodes stay."""
    if len(source.signatures) != 1:
        raise errors.ConversionError(
            f"a graph file holds one signature, and there are {errors.listed(source.signatures)}; name one with "
            "signature='…' (--signature on a magic's line)"
        )
    ((key, signature),) = source.signatures.items()
    signature = plain_signature(source.store, signature)
    ends = signature.inputs, signature.outputs
    return freeze_graph(source.store, key, signature.definition, ends, keep=wish.keep_variables or ())


def _stored(model: Model, path: Path, wish: Wish, key: str | None) -> FrozenGraph:
    """Freeze a SavedModel of TensorFlow 2: what it computes lies in functions."""
    files = model.checkpoint() if model.checkpoint else None
    store = Store(model.meta_graph, files, path / "assets", trust=model.is_trusted, ema=model.ema)
    signed = model.meta_graph.signature_def
    if all(signatures.is_hidden(name) for name in signed):
        raise errors.MissingPartError("signatures", model.form, model.parts)
    signature = signed[signatures.choose(signed, key)]
    inputs, outputs = (
        _chosen(model, wanted, signatures.endpoints(side))
        for wanted, side in ((wish.inputs, signature.inputs), (wish.outputs, signature.outputs))
    )
    if not outputs:
        raise errors.MissingPartError("function", model.form, model.parts)
    if any("," in end.tensor for end in (*inputs, *outputs)):
        raise errors.ConversionError(f"{key!r} has ends that are no plain tensors")
    own_method = signature.method_name or signatures.PREDICT
    frozen = freeze_stored.freeze(
        store,
        ([_declared(store, end) for end in inputs], outputs),
        key=wish.signature or key or signatures.DEFAULT_KEY,
        method=own_method if wish.method is None else signatures.method_uri(wish.method),
    )
    return replace(frozen, notes=(*frozen.notes, *signatures.default_notes(signature)))


def _chosen(model: Model, wanted: Ends, ends: Sequence[Endpoint]) -> list[Endpoint]:
    """Return the ends that are meant, under their keys; what is inside a function has no name in the main graph."""
    names = conversion_options.named(wanted, [end.key for end in ends])
    if names is None:
        return list(ends)
    chosen = {key: signatures.find(ends, name) for key, name in names.items()}
    if None in chosen.values():
        raise errors.MissingPartError("tensor", model.form, model.parts)
    return [end._replace(key=key) for key, end in chosen.items() if end is not None]


def _declared(store: Store, end: Endpoint) -> Endpoint:
    """Give an input the shape that its placeholder has: a signature may state none, or another one."""
    name = end.tensor.removesuffix(":0")
    node = next((node for node in store.graph_def.node if node.name == name), None)
    if node is None or node.op not in _PLACEHOLDERS or "shape" not in node.attr:
        return end
    shape = protos.shape_of(node.attr["shape"].shape)
    return end._replace(shape=shape) if shape else end
