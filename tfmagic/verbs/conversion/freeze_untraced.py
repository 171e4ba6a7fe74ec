"""Freeze a model as it lies on disk or in a session, without making a function of it, where that can be done.

Not for: what goes from the files to the graph (:mod:`tfmagic.transforms.freeze_stored`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import sessions, unsigned_graphs
from tfmagic.functions.state.saved_models import Store
from tfmagic.functions.state.sessions import SessionStore
from tfmagic.graphs import plumbing, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.signatures import Endpoint
from tfmagic.transforms import freeze_stored
from tfmagic.transforms.subgraph import own_key
from tfmagic.verbs.conversion import options as conversion_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.models.model import Model
    from tfmagic.transforms.frozen_graph import FrozenGraph
    from tfmagic.verbs.conversion.options import Ends, Wish

_FORMS = frozenset({"saved_model", "meta_graph"})
_SESSION = "session"
_PLACEHOLDERS = of_kind("placeholder")


class Straight(NamedTuple):
    """A graph that was frozen without loading the model, None if it must be loaded; ``notes`` say why."""

    frozen: FrozenGraph | None
    notes: tuple[str, ...] = ()


def freeze(model: Model, wish: Wish) -> Straight:
    """Freeze a model as it lies on disk.

    Raises
    ------
    UnknownNameError
        If there is no such signature.
    TooLargeError
        If the result would pass 2 GiB.
    """
    is_there = model.form == _SESSION or (model.form in _FORMS and model.path is not None)
    if not is_there or wish.signatures is not None or wish.batch is not None:
        return Straight(None)
    (key,) = conversion_options.keys_of(model, wish.signature, every=False)
    try:
        return Straight(_frozen(model, wish, key))
    except errors.TooLargeError:
        raise
    except errors.MissingPartError:
        return Straight(None)  # a name inside a function, perhaps, which only the loaded function has
    except errors.ConversionError as error:
        return Straight(None, (f"the model was loaded to freeze it, which takes memory and time: {error}",))


def _frozen(model: Model, wish: Wish, key: str | None) -> FrozenGraph:
    store = _store(model)
    signature = _signature(model, key)
    if signature is None and model.form == "saved_model" and wish.outputs is None:
        raise errors.MissingPartError("signatures", model.form, model.parts)
    sides = (signature.inputs, signature.outputs) if signature else _proposed(model, wish)
    inputs, outputs = (
        _chosen(model, store, wanted, side if isinstance(side, list) else signatures.endpoints(side))
        for wanted, side in zip((wish.inputs, wish.outputs), sides, strict=True)
    )
    if not outputs:
        raise errors.MissingPartError("function", model.form, model.parts)
    own_method = signature.method_name if signature else ""
    for end in (*inputs, *outputs):
        if "," in end.tensor:
            raise errors.ConversionError(f"{end.key!r} is no plain tensor")
    # The value of a variable is what its reference stands for.
    outputs = [end._replace(dtype=end.dtype.removesuffix("_ref")) for end in outputs]
    frozen = freeze_stored.freeze(
        store,
        ([_declared(store, end) for end in inputs], outputs),
        key=wish.signature or key or signatures.DEFAULT_KEY,
        method=(own_method or signatures.PREDICT) if wish.method is None else signatures.method_uri(wish.method),
    )
    notes = signatures.default_notes(signature) if signature else ()
    return replace(frozen, notes=(*frozen.notes, *notes))


def _store(model: Model) -> Store:
    """Return where the model's graph and its state lie."""
    if model.form == _SESSION:
        return SessionStore(model.meta_graph, session=sessions.raw(model.live))
    if model.path is None or model.form == "meta_graph":
        files = graph_variables.checkpoint_beside(model.path) if model.path else None
        return Store(model.meta_graph, files, model.path.parent if model.path else None)
    return Store(model.meta_graph, graph_variables.find_checkpoint(model.path), model.path / "assets")


def _signature(model: Model, key: str | None) -> protos.Message | None:
    """Return the signature that is meant, None if the graph has none."""
    signed = model.meta_graph.signature_def
    if any(not signatures.is_hidden(name) for name in signed):
        return signed[signatures.choose(signed, key)]
    return None


def _proposed(model: Model, wish: Wish) -> tuple[list[Endpoint], list[Endpoint]]:
    """Return the ends proposed for a graph without signatures, as far as the user named none."""
    if wish.inputs is not None and wish.outputs is not None:
        return [], []
    ends = unsigned_graphs.propose(model.meta_graph, conversion_options.named(wish.outputs))
    inputs = [_endpoint(model, own_key(name), name) for name in ends.inputs if wish.inputs is None]
    return inputs, [_endpoint(model, own_key(name), name) for name in ends.outputs if wish.outputs is None]


def _endpoint(model: Model, key: str, name: str) -> Endpoint:
    """Describe any tensor of the main graph.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    ConversionError
        If it is not its node's first output, of which alone the dtype is known.
    """
    shapes = plumbing.endpoint_shapes(model.table("ops", all=True))
    node, _, index = name.partition(":")
    if node not in shapes:
        raise errors.UnknownNameError(name, "tensor", shapes)
    dtype, shape = shapes[node]
    if index not in ("", "0") or not dtype:
        raise errors.ConversionError(f"the graph does not say of which dtype {name!r} is")
    return Endpoint(key, f"{node}:0", dtype.removesuffix("_ref"), shape)


def _chosen(model: Model, store: Store, wanted: Ends, ends: Sequence[Endpoint]) -> list[Endpoint]:
    """Return the tensors that are meant, under their keys."""
    names = conversion_options.named(wanted)
    if names is None:
        return list(ends)
    known = {name: end for end in ends for name in (end.tensor.removesuffix(":0"), end.tensor, end.key)}
    # What is inside a TF2 SavedModel's functions has no name in the main graph.
    if any(name not in known for name in names.values()) and store.meta_graph.object_graph_def is not None:
        raise errors.MissingPartError("tensor", model.form, model.parts)
    found = {key: known[name] if name in known else _endpoint(model, key, name) for key, name in names.items()}
    return [end._replace(key=key) for key, end in found.items()]


def _declared(store: Store, end: Endpoint) -> Endpoint:
    """Give an input the shape that its placeholder has: a signature may state none, or another one."""
    name = end.tensor.removesuffix(":0")
    node = next((node for node in store.graph_def.node if node.name == name), None)
    if node is None or node.op not in _PLACEHOLDERS or "shape" not in node.attr:
        return end
    shape = protos.shape_of(node.attr["shape"].shape)
    return end._replace(shape=shape) if shape else end
