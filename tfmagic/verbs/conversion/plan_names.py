"""The names that a form may speak of: signatures, their keys, tensors of the graph; and what is typed of them.

Not for: obtaining functions by them (:mod:`tfmagic.verbs.conversion.options`).
"""

from __future__ import annotations

import ast
import bisect
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.graphs import signatures
from tfmagic.graphs.signatures import own_key
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model

#: Names among which the nearest are looked for: of a million, that would take seconds for each key that is typed.
_COMPARED = 2_000


class Ends(NamedTuple):
    """Inputs and outputs of a signature."""

    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]

    def side(self, name: str) -> tuple[Endpoint, ...]:
        """Return one of both by its name: ``"inputs"`` or ``"outputs"``."""
        return self.inputs if name == "inputs" else self.outputs


def signed(model: Model, tags: Collection[str] | None = None) -> dict[str, Ends]:
    """Return the ends of each signature by its key, those of one tag-set.

    Parameters
    ----------
    model : Model
        Of a graph without signatures the ends are proposed, under the key ``"proposed"``. Reading them may take
        tracing.
    tags : collection of str, optional
        The tag-set that is meant; where there is none such, that of servers, else the first.
    """
    if model.has_no_signature:
        return _proposed(model)
    if Part.SIGNATURES not in model.loaders:
        return {}
    by_tags = {frozenset(found): by_key for found, by_key in model.part(Part.SIGNATURES)}
    wanted = (frozenset(tags or ()), frozenset(signatures.DEFAULT_TAGS), *by_tags)
    chosen: Mapping[str, Any] = next((by_tags[each] for each in wanted if each in by_tags), {})
    return {
        key: Ends(signatures.endpoints(each.inputs), signatures.endpoints(each.outputs))
        for key, each in chosen.items()
        if not signatures.is_hidden(key)
    }


def _proposed(model: Model) -> dict[str, Ends]:
    frame = model.proposals
    rows = zip(frame["side"], frame["key"], frame["tensor"], frame["dtype"], frame["shape"], strict=True)
    ends = [(side, signatures.Endpoint(*end)) for side, *end in rows]
    proposed = Ends(*(tuple(end for own, end in ends if own == side) for side in ("input", "output")))
    return {signatures.PROPOSED: proposed} if proposed.outputs else {}


def default_key(known: Mapping[str, object]) -> str:
    """Return the key of the signature that is meant where none is named, empty if that cannot be told."""
    try:
        return signatures.choose(known)
    except errors.UnknownNameError:
        return ""


@dataclass(frozen=True)
class Names:
    """What may be named.

    Attributes
    ----------
    signed : mapping of str to Ends
        The signatures.
    nodes : frozenset of str
        The nodes of the graph and of its functions; empty if they are not known.
    """

    signed: Mapping[str, Ends]
    nodes: frozenset[str] = frozenset()

    def unknown(self, side: str, signature: str, name: str) -> errors.UnknownNameError | None:
        """Return what says that there is no such tensor, None if there is one or it is not known.

        Parameters
        ----------
        side : str
            ``"inputs"`` or ``"outputs"``.
        signature : str
            The key of the signature that is meant.
        name : str
            A key of the signature, or a tensor's name with or without the number behind a colon.
        """
        ends = self.signed[signature].side(side) if signature in self.signed else ()
        keys = [end.key for end in ends]
        node, colon, number = name.partition(":")
        if signatures.find(ends, name) is not None:
            return None
        if not self.nodes or (node in self.nodes and (not colon or number.isdecimal())):
            return None
        return errors.UnknownNameError(name, "tensor", dict.fromkeys([*keys, *self._near(name)]))

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.nodes)

    def _near(self, name: str) -> list[str]:
        """Return the nodes that are worth being compared: in a large graph, those that begin most alike."""
        place = bisect.bisect(self._sorted, name)
        return self._sorted[max(0, place - _COMPARED // 2) : place + _COMPARED]


def nodes(model: Model) -> frozenset[str]:
    """Return the names of all nodes, none if the model has no graph; of a large graph that takes a second.

    Layers of a live Keras model are among them: their names stand for their outputs.
    """
    if Part.GRAPH not in model.loaders:
        return frozenset()
    is_live = model.live is not None and Part.KERAS in model.loaders
    return frozenset(model.table("ops", all=True)["name"]) | frozenset(model.layers["name"] if is_live else ())


def is_said(value: str | Mapping[str, object]) -> bool:
    """Say whether a field that takes text or pairs says anything."""
    return bool(value.strip() if isinstance(value, str) else value)


def parsed(text: str | Mapping[str, str]) -> dict[str, str] | None:
    """Read tensors as they are typed, ``KEY=TENSOR`` or names, joined by commas; None if nothing is.

    Tensors that are given by their keys are returned as they are.

    Raises
    ------
    ConversionError
        If a key has no tensor or comes twice.
    """
    if not isinstance(text, str):
        return dict(text) or None
    tensors: dict[str, str] = {}
    for part in _parts(text):
        before, equals, after = (each.strip() for each in part.rpartition("="))
        key, tensor = (before, after) if equals else (own_key(part), part)
        if not (key and tensor):
            raise errors.ConversionError(f"{part!r} names no tensor; write KEY=TENSOR, or a name alone")
        if key in tensors:
            raise errors.ConversionError(f"the key {key!r} is given twice; give one of both another: KEY=TENSOR")
        tensors[key] = tensor
    return tensors or None


class Expression(str):
    """The text of an expression over the notebook's variables: in code it stands as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def constants(text: str | Mapping[str, object]) -> dict[str, object] | None:
    """Read values for inputs as they are typed, ``INPUT=VALUE`` joined by commas; None if nothing is.

    Values that are given by their inputs are returned as they are.

    Raises
    ------
    ConversionError
        If one is no such pair, or its value none that Python writes as a literal.
    """
    if not isinstance(text, str):
        return dict(text) or None
    values: dict[str, object] = {}
    rest = text
    while rest.strip():
        name, _, rest = rest.partition("=")
        # A value may hold commas itself: the shortest piece that is a literal is meant.
        ends = [place for place, character in enumerate(rest) if character == ","]
        for end in (*ends, len(rest)):
            try:
                values[name.strip()] = ast.literal_eval(rest[:end].strip())
            except (SyntaxError, ValueError):
                continue
            rest = rest[end + 1 :]
            break
        else:
            raise errors.ConversionError(f"{text!r} binds nothing; write INPUT=VALUE, such as keep_prob=1.0")
    return values or None


def _parts(text: str) -> Iterable[str]:
    return (part.strip() for part in text.split(",") if part.strip())


def renames(ends: Mapping[str, str] | None) -> bool:
    """Say whether keys are other than what the tensors' names make them."""
    return ends is not None and any(own_key(tensor) != key for key, tensor in ends.items())
