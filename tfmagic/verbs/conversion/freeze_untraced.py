"""Freeze a model without making a function of it: a graph by an edit, a SavedModel of TensorFlow 2 as it lies on disk.

Not for: what the edit does (:mod:`tfmagic.transforms.freeze_graph`), nor what goes from the files to the graph
(:mod:`tfmagic.transforms.freeze_stored`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.transforms.frozen_graph import FrozenGraph
    from tfmagic.transforms.inner_tensors import FlatGraph
    from tfmagic.verbs.conversion.graph_signatures import GraphSource
    from tfmagic.verbs.conversion.options import Wish

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
    if wish.keep_variables:
        raise errors.ConversionError(
            f"keep_variables= (--keep-variables) keeps variables of what is a graph, and {model.origin!r} is a "
            f"{model.form} that is called: freezing makes constants of all. Leave it out, or export to a SavedModel, "
            "which keeps variables"
        )
    if not model.has_objects or model.path is None:
        return Straight(None)
    if any(option is not None for option in (wish.signatures, wish.bind, wish.batch)):
        return Straight(None)
    (key,) = conversion_options.keys_of(model, wish.signature, every=False)
    try:
        part = _stored_part(model, model.path, wish, key)
        missing = part.flat.missing_inputs(part.inputs, part.outputs) if part.flat else None
        if missing is None:
            return Straight(_stored(part, wish, key))
    except errors.TooLargeError:
        raise
    except errors.UnknownNameError:
        raise
    except errors.MissingPartError:
        return Straight(None)
    except errors.ConversionError as error:
        return Straight(None, (f"the model was loaded to freeze it, which takes memory and time: {error}",))
    raise errors.ConversionError(missing)


class _Part(NamedTuple):
    """What is to be frozen of a SavedModel: between tensors of the main graph, or of the flat one if there is one."""

    store: Store
    signature: protos.Message
    inputs: Sequence[Endpoint]
    outputs: Sequence[Endpoint]
    flat: FlatGraph | None


def _edited(source: GraphSource, wish: Wish) -> FrozenGraph:
    """Freeze what is a graph: its own nodes stay."""
    if len(source.signatures) != 1:
        raise errors.ConversionError(
            f"a graph file holds one signature, and there are {errors.listed(source.signatures)}; name one with "
            "signature='…' (--signature in a magic or shell)"
        )
    ((key, signature),) = source.signatures.items()
    signature = plain_signature(source.store, signature)
    ends = signature.inputs, signature.outputs
    return freeze_graph(source.store, key, signature.definition, ends, keep=wish.keep_variables or ())


def _stored_part(model: Model, path: Path, wish: Wish, key: str | None) -> _Part:
    """Find what is meant of a SavedModel of TensorFlow 2: what it computes lies in functions."""
    files = model.checkpoint() if model.checkpoint else None
    store = Store(model.meta_graph, files, path / "assets", model.is_trusted, ema=model.ema, initialised_last=True)
    signed = model.meta_graph.signature_def
    if all(signatures.is_hidden(name) for name in signed):
        raise errors.MissingPartError("signatures", model.form, model.parts)
    signature = signed[signatures.choose(signed, key)]
    own = (
        tuple(_declared(store, end) for end in signatures.endpoints(signature.inputs)),
        signatures.endpoints(signature.outputs),
    )
    if any("," in end.tensor for side in own for end in side):
        raise errors.ConversionError(f"{key!r} has ends that are no plain tensors")
    wanted = [
        conversion_options.named(each, [end.key for end in side])
        for each, side in zip((wish.inputs, wish.outputs), own, strict=True)
    ]
    flat = None
    if any(_is_inner(names, side) for names, side in zip(wanted, own, strict=True)):
        flat = freeze_stored.flat_graph(store, own)
        own = flat.inputs, flat.outputs
    inputs, outputs = (_chosen(flat, each, side) for each, side in zip(wanted, own, strict=True))
    if not outputs:
        raise errors.MissingPartError("function", model.form, model.parts)
    return _Part(store, signature, inputs, outputs, flat)


def _stored(part: _Part, wish: Wish, key: str | None) -> FrozenGraph:
    own_method = part.signature.method_name or signatures.PREDICT
    frozen = freeze_stored.freeze(
        part.store,
        (part.inputs, part.outputs),
        key=wish.signature or key or signatures.DEFAULT_KEY,
        method=own_method if wish.method is None else signatures.method_uri(wish.method),
        flat=part.flat,
    )
    return replace(frozen, notes=(*frozen.notes, *signatures.default_notes(part.signature)))


def _is_inner(names: Mapping[str, str] | None, ends: Sequence[Endpoint]) -> bool:
    """Say whether one of the names is no end of the signature."""
    return any(signatures.find(ends, name) is None for name in (names or {}).values())


def _chosen(flat: FlatGraph | None, names: Mapping[str, str] | None, ends: Sequence[Endpoint]) -> list[Endpoint]:
    """Return the ends that are meant, under their keys; what is inside a function is a tensor of the flat graph."""
    if names is None:
        return list(ends)
    chosen = {key: signatures.find(ends, name) for key, name in names.items()}
    return [
        flat.end(key, names[key]) if end is None and flat is not None else cast("Endpoint", end)._replace(key=key)
        for key, end in chosen.items()
    ]


def _declared(store: Store, end: Endpoint) -> Endpoint:
    """Give an input the shape that its placeholder has: a signature may state none, or another one."""
    name = end.tensor.removesuffix(":0")
    node = next((node for node in store.graph_def.node if node.name == name), None)
    if node is None or node.op not in _PLACEHOLDERS or "shape" not in node.attr:
        return end
    shape = protos.shape_of(node.attr["shape"].shape)
    return end._replace(shape=shape) if shape else end
