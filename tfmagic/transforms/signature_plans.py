"""What the signatures of a MetaGraphDef are to be: the user's words, resolved and checked against what is there.

Not for: doing it (:mod:`tfmagic.transforms.signature_edit`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import signatures
from tfmagic.graphs.signature_keys import require_arguments
from tfmagic.graphs.tensors import GraphTensors

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tfmagic.graphs.metagraphs import MetaGraph

INPUTS, OUTPUTS = "inputs", "outputs"


class Wanted(NamedTuple):
    """A signature as the user describes it.

    ``inputs`` and ``outputs`` give keys and names of tensors by the keys that they are to have, None for all of the
    signature that this one is made from: the one called ``base``, None for the one that has the same key, else the
    default or only one.
    """

    base: str | None = None
    inputs: Mapping[str, str] | None = None
    outputs: Mapping[str, str] | None = None
    method: str | None = None


@dataclass(frozen=True)
class Changes:
    """All that is to be changed in each MetaGraphDef.

    Attributes
    ----------
    signatures : mapping of str to Wanted
        Signatures to add or replace, by their keys.
    rename : mapping of str to str
        Old keys to new ones; as in ``remove``, keys of the file as it is.
    remove : tuple of str
        Keys of signatures that go.
    tags : mapping of frozenset to tuple of str
        Old tag-sets to new ones.
    """

    signatures: Mapping[str, Wanted] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    tags: Mapping[frozenset[str], tuple[str, ...]] = field(default_factory=dict)

    @property
    def for_signatures(self) -> bool:
        """Whether any signature is to be changed."""
        return bool(self.signatures or self.rename or self.remove)


@dataclass(frozen=True)
class Planned:
    """A signature of the result.

    Attributes
    ----------
    key : str
        Its key.
    base : str
        The key of the signature that it is made from; empty if it was made from the graph alone.
    inputs, outputs : mapping of str to str or None
        For each key the one that it has in the base; None for other tensors of the graph.
    signature : SignatureDef
        The message.
    """

    key: str
    base: str
    inputs: Mapping[str, str | None]
    outputs: Mapping[str, str | None]
    signature: protos.Message

    @property
    def has_own_ends(self) -> bool:
        """Whether its inputs or outputs are others than the base's."""
        return any(key != old for side in (self.inputs, self.outputs) for key, old in side.items()) or not self.base

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        said = signatures.method_notes(str(self.signature.method_name), self.inputs, self.outputs)
        return tuple(f"signature {self.key!r}: {note}" for note in said)


def kept(key: str, base: str, signature: protos.Message) -> Planned:
    """Return a signature with the ends that it has."""
    inputs, outputs = ({name: name for name in side} for side in (signature.inputs, signature.outputs))
    return Planned(key, base, inputs, outputs, signature)


def planned(meta_graph: MetaGraph, changes: Changes) -> dict[str, Planned]:
    """Return all signatures that a MetaGraphDef is to have, by key.

    Raises
    ------
    UnknownNameError
        If there is no such input, output or tensor, or no signature to make another from.
    ConversionError
        If what is asked for contradicts itself.
    """
    return _Planner(meta_graph, changes).plan()


def is_function_style(meta_graph: MetaGraph) -> bool:
    """Say whether signatures are functions of an object graph, as TensorFlow 2 saves them."""
    objects = meta_graph.object_graph_def
    return bool(objects is not None and objects.nodes and any(map(_is_map, objects.nodes[0].children)))


def _is_map(child: protos.Message) -> bool:
    return bool(child.local_name == "signatures")


def visible(meta_graph: MetaGraph) -> list[str]:
    """Return the keys of the signatures that are a user's."""
    return [key for key in meta_graph.signature_def if not signatures.is_hidden(key)]


@dataclass(frozen=True)
class _Planner:
    meta_graph: MetaGraph
    changes: Changes

    def plan(self) -> dict[str, Planned]:
        there = self.meta_graph.signature_def
        rename = {old: new for old, new in self.changes.rename.items() if old in there}
        gone = {key for key in self.changes.remove if key in there}
        _check_renames(there, rename, gone)
        result = {rename.get(key, key): kept(rename.get(key, key), key, each) for key, each in there.items()}
        for key in gone:
            result.pop(key)
        known = {key: kept(key, key, each) for key, each in there.items()} | result
        for key, wanted in self.changes.signatures.items():
            result[key] = self._made(key, wanted, known)
        return result

    def _made(self, key: str, wanted: Wanted, known: Mapping[str, Planned]) -> Planned:
        base = self._base(key, wanted, known)
        names, old = ("", protos.message("SignatureDef")()) if base is None else (base.base, base.signature)
        signature = protos.message("SignatureDef")()
        signature.CopyFrom(old)
        method = wanted.method or (None if old.method_name else signatures.PREDICT)
        if method is not None:
            signature.method_name = signatures.method_uri(method)
        inputs, outputs = (self._side(key, signature, side, getattr(wanted, side)) for side in (INPUTS, OUTPUTS))
        _move_defaults(signature, inputs)
        planned = Planned(key, names, inputs, outputs, signature)
        require_arguments(inputs, key)
        if is_function_style(self.meta_graph):
            _check_arguments(planned, old)
        return planned

    def _base(self, key: str, wanted: Wanted, known: Mapping[str, Planned]) -> Planned | None:
        """Return the signature that this one is made from; a graph's own tensors need none."""
        shown = [each for each in known if not signatures.is_hidden(each)]
        name = wanted.base or (key if key in known else None)
        if name is not None:
            if name not in shown:
                raise errors.UnknownNameError(name, "signature", shown)
            return known[name]
        choice = signatures.DEFAULT_KEY if signatures.DEFAULT_KEY in shown else shown[0] if len(shown) == 1 else None
        if choice is not None:
            return known[choice]
        if wanted.inputs is None or wanted.outputs is None or is_function_style(self.meta_graph):
            raise errors.ConversionError(
                f"it is not clear from which signature {key!r} is to be made: give it a field 'signature', one of "
                f"{errors.listed(shown)}"
            )
        return None

    def _side(
        self, key: str, signature: protos.Message, side: str, wanted: Mapping[str, str] | None
    ) -> dict[str, str | None]:
        """Put the inputs or outputs that are wanted into the message; return where each comes from."""
        ends = getattr(signature, side)
        if wanted is None:
            return {name: name for name in ends}
        if not all(wanted):
            raise errors.ConversionError(f"signature {key!r}: its {side} are {dict(wanted)!r}; each needs a key")
        if not wanted and side == OUTPUTS:
            raise errors.ConversionError(f"signature {key!r} has no output; leave 'outputs' out to keep those it has")
        before = type(signature)()
        before.CopyFrom(signature)
        old = getattr(before, side)
        origin = {name: self._origin(tensor, old, side) for name, tensor in wanted.items()}
        ends.clear()
        for name, tensor in wanted.items():
            source = origin[name]
            ends[name].CopyFrom(self._tensors.info(tensor, *old) if source is None else old[source])
        return origin

    @cached_property
    def _tensors(self) -> GraphTensors:
        return GraphTensors(self.meta_graph)

    def _origin(self, tensor: str, old: Mapping[str, protos.Message], side: str) -> str | None:
        """Return the key in the base of what is meant, None for another tensor of the graph."""
        names = {signatures.tensor_name(info): name for name, info in old.items()}
        end = signatures.find(signatures.endpoints(old), tensor)
        key = None if end is None else end.key
        if key is None and is_function_style(self.meta_graph):
            raise errors.UnknownNameError(
                tensor, f"{side.removesuffix('s')} of the function behind the signature", [*old, *names]
            )
        return key


def _check_renames(there: Collection[str], rename: Mapping[str, str], gone: set[str]) -> None:
    """Refuse renames that would lose a signature."""
    after = Counter([rename.get(key, key) for key in there if key not in gone])
    for old, new in rename.items():
        if old in gone:
            raise errors.ConversionError(
                f"the signature {old!r} cannot be both renamed and removed; leave one of them out"
            )
        if after[new] > 1:
            raise errors.ConversionError(
                f"the signature {old!r} cannot become {new!r}: there would be two of that key. Remove or rename the "
                "other one in the same call"
            )


def _move_defaults(signature: protos.Message, inputs: Mapping[str, str | None]) -> None:
    """Let default values go with the inputs that they belong to."""
    defaults = {name: value.SerializeToString() for name, value in signature.defaults.items()}
    signature.defaults.clear()
    for key, old in inputs.items():
        if old in defaults:
            signature.defaults[key].ParseFromString(defaults[old])


def _check_arguments(planned: Planned, base: protos.Message) -> None:
    """Refuse inputs that a function cannot have."""
    missing = [key for key in base.inputs if key not in planned.inputs.values()]
    twice = [old for old, count in Counter(planned.inputs.values()).items() if count > 1]
    if missing or twice:
        what = f"{errors.listed(missing)} would be left out" if missing else f"{errors.listed(twice)} would come twice"
        raise errors.ConversionError(
            f"signature {planned.key!r}: {what}; a function of TensorFlow 2 takes each of its inputs once: "
            f"{errors.listed(sorted(base.inputs))}"
        )
