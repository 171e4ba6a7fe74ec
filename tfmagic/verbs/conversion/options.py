"""What a user asks to be converted, resolved: which functions of which model, under which keys.

Not for: converting them (:mod:`tfmagic.verbs.export`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from tfmagic import errors
from tfmagic.functions import composites, graph_defs
from tfmagic.functions.keras import models as keras_models
from tfmagic.graphs import saved_callables, signatures
from tfmagic.graphs.signatures import own_key
from tfmagic.models.model import Model, Part
from tfmagic.transforms import batch
from tfmagic.transforms.bind import bind_function
from tfmagic.transforms.cut_function import by_key, select
from tfmagic.verbs.conversion.signature_maps import check_fields, checked_mapping, require_some

if TYPE_CHECKING:
    from tfmagic.functions import NamedFunction

#: Names or tensors; a mapping gives them keys of their own.
Ends: TypeAlias = Sequence[object] | Mapping[str, object] | str | None
#: Signatures by key, each with any of ``inputs``, ``outputs``, ``method``.
SignatureMap: TypeAlias = Mapping[str, Mapping[str, Any]]

_UNSIGNED = (
    "Nobody signed this SavedModel: freeze it between tensors of its graph, inputs=[…] and outputs=[…] (--inputs, "
    "--outputs), or load it with tf.saved_model.load and give the function that is meant"
)
#: Functions that a message names.
_TOLD = 10
_SIGNATURE_FIELDS = ("inputs", "outputs", "method")
_OPTIONS = ("signature", "method", "inputs", "outputs", "signatures", "batch", "bind")


@dataclass(frozen=True)
class Wish:
    """What the user said of what is converted, as :func:`tfmagic.export` takes it."""

    signature: str | None = None
    method: str | None = None
    inputs: Ends = None
    outputs: Ends = None
    signatures: SignatureMap | None = None
    batch: int | None = None
    bind: Mapping[str, Any] | None = None
    keep_variables: Sequence[str] | None = None
    optimize: bool = False
    select_tf_ops: bool = False
    ema: bool = False
    quantize: str | None = None
    samples: object = None

    def __post_init__(self) -> None:
        """Refuse outputs that are none."""
        require_some(self.outputs)

    @property
    def stated(self) -> tuple[str, ...]:
        """The options that the user named."""
        return tuple(name for name in _OPTIONS if getattr(self, name) is not None)


def functions(model: Model, wish: Wish, *, every: bool) -> dict[str, NamedFunction]:
    """Return the functions that are to be converted, by the keys of their signatures.

    Parameters
    ----------
    model : Model
        It must have the FUNCTION part.
    wish : Wish
        What the user said.
    every : bool
        Whether all signatures are meant where none is named, else the default or only one.

    Raises
    ------
    UnknownNameError
        If there is no such signature or tensor.
    """
    chosen = _chosen(model, wish, every=every)
    return chosen if wish.batch is None else {key: batch.described(each, wish.batch) for key, each in chosen.items()}


def _chosen(model: Model, wish: Wish, *, every: bool) -> dict[str, NamedFunction]:
    if is_unsigned(model):
        raise unsigned(model)
    shared = graph_defs.Shared()
    if wish.signatures is not None:
        return {key: _of_map(model, wish, key, fields, shared) for key, fields in checked(wish).items()}
    keys = keys_of(model, wish.signature, every=every)
    if wish.signature is not None:
        signatures.require_own_key(wish.signature)
    changed = [_obtain(model, key, wish, shared) for key in keys]
    if wish.signature is not None:
        changed = [replace(each, key=wish.signature) for each in changed]
    return {each.key: each for each in changed}


def checked(wish: Wish) -> SignatureMap:
    """Return the signature map.

    Raises
    ------
    ConversionError
        If something in it has no meaning, or a key is TensorFlow's own.
    """
    signature_map = checked_mapping(wish.signatures, "signatures")
    if not signature_map or wish.inputs is not None or wish.outputs is not None or wish.signature is not None:
        raise errors.ConversionError(
            "signatures={…} names each signature's inputs and outputs itself: give at least one signature, and leave "
            "signature=, inputs= and outputs= out"
        )
    for key, fields in signature_map.items():
        signatures.require_own_key(key)
        check_fields(key, fields, _SIGNATURE_FIELDS)
        require_some(fields.get("outputs"))
    return signature_map


def _of_map(model: Model, wish: Wish, key: str, fields: Mapping[str, Any], shared: graph_defs.Shared) -> NamedFunction:
    """Return the function of one entry of a signature map: another cut of the source's function."""
    base = key if key in _known_keys(model) else None
    own = replace(
        wish, inputs=fields.get("inputs"), outputs=fields.get("outputs"), method=fields.get("method", wish.method)
    )
    return replace(_obtain(model, base, own, shared), key=key)


def _obtain(model: Model, key: str | None, wish: Wish, shared: graph_defs.Shared) -> NamedFunction:
    """Return a function with the ends and the method that are asked for."""
    constants = wish.bind or {}
    if names_layers(model, wish.inputs, wish.outputs):
        starts, stops = (None if each is None else by_key(each) for each in (wish.inputs, wish.outputs))
        traced = keras_models.trace_between(model.live, starts, stops, key or signatures.DEFAULT_KEY)
        return with_method(bind_function(traced, constants), wish.method)
    load = model.part(Part.FUNCTION)
    with model.well_formed():
        if model.reader.is_open:
            # What is bound is an input of the graph first.
            keys = _end_keys(model, key)
            inputs = named(wish.inputs, keys[0])
            if inputs is not None:
                inputs |= {own_key(name, keys[0]): name for name in constants if name not in inputs.values()}
            whole: NamedFunction = load(key, inputs=inputs, outputs=named(wish.outputs, keys[1]), shared=shared)
            function = bind_function(whole, constants)
        else:
            whole = load(key)
            _require_unbound(whole, wish.inputs, constants)
            function = select(bind_function(whole, constants), wish.inputs, wish.outputs)
    return with_method(function, wish.method)


def _require_unbound(function: NamedFunction, inputs: Ends, constants: Collection[str]) -> None:
    """Refuse an input that is to be a constant as well."""
    bound = {signatures.find(function.inputs, name) for name in constants} - {None}
    named_ends = {} if inputs is None else by_key(inputs)
    both = [key for key, tensor in named_ends.items() if signatures.find(function.inputs, tensor) in bound]
    if both:
        raise bound_input(both)


def bound_input(keys: Iterable[str]) -> errors.ConversionError:
    """Say that inputs are bound to constants as well."""
    return errors.ConversionError(
        f"{errors.listed(keys)} is named as an input and bound to a constant: leave it out of the inputs, or do not "
        "bind it"
    )


def names_layers(model: Model, inputs: Ends, outputs: Ends) -> bool:
    """Say whether some of the ends of a live Keras model are symbolic tensors of its layers, or the layers' names."""
    if model.live is None or Part.KERAS not in model.loaders:
        return False
    tensors = [tensor for each in (inputs, outputs) if each is not None for tensor in by_key(each).values()]
    if any(map(keras_models.is_symbolic, tensors)):
        return True
    words = {tensor for tensor in tensors if isinstance(tensor, str)}
    return bool(words) and not words.isdisjoint(keras_models.named_layers(model.live))


def with_method(function: NamedFunction, method: str | None) -> NamedFunction:
    """Return a function under another method, if one is asked for."""
    if method is None:
        return function
    uri = signatures.method_uri(method)
    sides = ({end.key for end in ends} for ends in (function.inputs, function.outputs))
    return replace(function, method=uri, notes=(*function.notes, *signatures.method_notes(uri, *sides)))


def named(ends: Ends, keys: Collection[str] = ()) -> dict[str, str] | None:
    """Return the names of the tensors that are meant, by the keys they are to have.

    Parameters
    ----------
    ends : sequence or mapping, or None
        What the user gave.
    keys : collection of str
        The keys of that side of the signature, which what is named by one keeps.

    Raises
    ------
    ConversionError
        If none is named.
    """
    if ends is None:
        return None
    tensors = composites.taken_apart(by_key(ends, keys))
    return {key: str(getattr(tensor, "name", tensor)) for key, tensor in tensors.items()}


def keys_of(model: Model, signature: str | None, *, every: bool) -> list[str | None]:
    """Return the keys to ask the model for; None is its default.

    Raises
    ------
    UnknownNameError
        If there is no such signature.
    """
    known = _known_keys(model)
    if signature is not None and known and signature not in known:
        if model.reader.has_free_key and len(known) == 1:
            return [None]
        raise errors.UnknownNameError(signature, "signature", known, model.form)
    if signature is not None:
        return [signature if known else None]
    if every and known:
        return list(known)
    return [signatures.choose(dict.fromkeys(known))] if known else [None]


def unsigned(model: Model) -> errors.MissingPartError:
    """Word that nobody signed a source, and what it can be asked for: its functions, where it has some."""
    there = [part for part in model.parts if part not in (Part.SIGNATURES, Part.FUNCTION)]
    known = [text for each in model.meta_graphs for _, text in saved_callables.callables(each.object_graph_def)]
    advice = f"{_UNSIGNED}: {'; '.join(known[:_TOLD])}" if known else _UNSIGNED
    return errors.MissingPartError("signatures", model.form, there, advice)


def is_unsigned(model: Model) -> bool:
    """Say whether a source that is called by its signatures has none but TensorFlow's own."""
    needs_signature = Part.SIGNATURES in model.loaders and not (model.reader.is_open or model.reader.has_free_key)
    return needs_signature and not _known_keys(model)


def _end_keys(model: Model, key: str | None) -> tuple[list[str], list[str]]:
    """Return the keys of the inputs and of the outputs of a signature, none where there is none."""
    tagged = model.part(Part.SIGNATURES) if Part.SIGNATURES in model.loaders else ()
    for _, known in tagged:
        if key in known if key is not None else not all(map(signatures.is_hidden, known)):
            signature = known[signatures.choose(known, key)]
            return list(signature.inputs), list(signature.outputs)
    return [], []


def _known_keys(model: Model) -> tuple[str, ...]:
    """Return the keys of the model's signatures, none if they need not be known."""
    if Part.SIGNATURES not in model.loaders or model.reader.is_one_call:
        return ()
    keys = {key for _, each in model.part(Part.SIGNATURES) for key in each if not signatures.is_hidden(key)}
    return tuple(sorted(keys))
