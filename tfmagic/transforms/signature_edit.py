"""Edit the signatures and tags of a serialised SavedModel; whatever else it holds stays as it lies, byte for byte.

Signatures stand in two places that must agree: the SignatureDefs, by which TensorFlow 1 and servers go, and the
object graph of TensorFlow 2. Not for: files (:mod:`tfmagic.verbs.sign`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tfmagic import errors
from tfmagic.files import long_messages, protos, wire
from tfmagic.files.reading import PROTOBUF_LIMIT
from tfmagic.graphs import metagraphs, signatures
from tfmagic.transforms import signature_functions
from tfmagic.transforms.frozen_graph import serialised
from tfmagic.transforms.signature_plans import is_function_style, kept, planned, visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.transforms.signature_plans import Changes, Planned

    Pieces: TypeAlias = list[bytes | memoryview]

# Field numbers of tensorflow/core/protobuf/{saved_model,meta_graph}.proto and core/framework/{graph,function}.proto.
_META_GRAPHS = 2
_META_INFO, _GRAPH, _SIGNATURES, _OBJECTS = 1, 2, 5, 7
_LIBRARY, _FUNCTION = 2, 1


@dataclass(frozen=True)
class Signed:
    """A MetaGraphDef after the edit.

    Attributes
    ----------
    old_tags, tags : tuple of str
        Its tag-set before and after.
    plan : mapping of str to Planned
        All its signatures.
    changed : tuple of str
        The keys of those that were added, replaced or renamed; all of them under a new tag-set.
    pieces : list of bytes-like
        The serialised message, most of it in place.
    notes : tuple of str
        What a person should know.
    """

    old_tags: tuple[str, ...]
    tags: tuple[str, ...]
    plan: Mapping[str, Planned]
    changed: tuple[str, ...]
    pieces: Pieces
    notes: tuple[str, ...]

    @property
    def signature_keys(self) -> set[str]:
        """The keys of all its signatures, those of bookkeeping included."""
        return set(self.plan)


@dataclass(frozen=True)
class SignedModel:
    """A SavedModel after the edit."""

    pieces: Pieces
    meta_graphs: tuple[Signed, ...]

    @property
    def size(self) -> int:
        """The bytes of the message."""
        return _size(self.pieces)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        return tuple(dict.fromkeys(note for each in self.meta_graphs for note in each.notes))


def signed(buffer: wire.Buffer, changes: Changes, tag_sets: Collection[frozenset[str]] | None = None) -> SignedModel:
    """Edit a serialised SavedModel.

    Parameters
    ----------
    buffer : Buffer
        The message; it is not written to.
    changes : Changes
        What is asked for.
    tag_sets : collection of frozenset, optional
        The MetaGraphDefs that are meant; all if left out. A change of a signature is made in each that has it.

    Raises
    ------
    UnknownNameError
        If there is no such signature, input, output, tensor or tag-set.
    ConversionError
        If what is asked for contradicts itself.
    TooLargeError
        If the result would pass protobuf's 2 GiB.
    """
    meta_graphs = metagraphs.of_saved_model(buffer)
    chosen = [tag_sets is None or frozenset(each.tags) in tag_sets for each in meta_graphs]
    _check_names([each for each, is_meant in zip(meta_graphs, chosen, strict=True) if is_meant], changes)
    _check_tags(meta_graphs, changes)
    results = [
        _signed(each, changes) if is_meant and _concerns(each, changes) else _untouched(each)
        for each, is_meant in zip(meta_graphs, chosen, strict=True)
    ]
    model = SignedModel(_saved_model(buffer, results), tuple(results))
    if model.size > PROTOBUF_LIMIT:
        raise errors.TooLargeError(
            f"the SavedModel's file would have {model.size / 2**30:.2f} GiB and protobuf takes no more than 2: its "
            "weights lie in the graph itself; make variables of them"
        )
    return model


def _check_names(meta_graphs: Sequence[MetaGraph], changes: Changes) -> None:
    """Refuse signatures and tag-sets that there are not, and TensorFlow's own."""
    keys = list(dict.fromkeys(key for each in meta_graphs for key in visible(each)))
    for key in (*changes.rename, *changes.remove):
        if key not in keys:
            raise errors.UnknownNameError(key, "signature", keys)
    for key in (*changes.rename.values(), *changes.signatures):
        signatures.require_own_key(key)
        if key in changes.signatures and key in changes.remove:
            raise errors.ConversionError(
                f"the signature {key!r} cannot be both removed and made; leave one of them out"
            )
    tag_sets = {frozenset(each.tags): ",".join(each.tags) for each in meta_graphs}
    for tags in changes.tags:
        if tags not in tag_sets:
            raise errors.UnknownNameError(",".join(sorted(tags)), "tag-set", tag_sets.values())


def _check_tags(meta_graphs: Sequence[MetaGraph], changes: Changes) -> None:
    """Refuse a tag-set that another MetaGraphDef has."""
    after = [frozenset(changes.tags.get(frozenset(each.tags), each.tags)) for each in meta_graphs]
    for tags in changes.tags.values():
        if after.count(frozenset(tags)) > 1:
            raise errors.ConversionError(
                f"no MetaGraphDef can get the tags {','.join(tags)!r}: another one has them; rename those too"
            )


def _concerns(meta_graph: MetaGraph, changes: Changes) -> bool:
    """Say whether anything is to be changed here: made from what several have, a signature is made in each."""
    named = {*changes.rename, *changes.remove}
    return bool(
        changes.signatures or frozenset(meta_graph.tags) in changes.tags or named.intersection(meta_graph.signature_def)
    )


def _untouched(meta_graph: MetaGraph) -> Signed:
    data = meta_graph.buffer.data[meta_graph.start : meta_graph.end]
    plan = {key: kept(key, key, each) for key, each in meta_graph.signature_def.items()}
    return Signed(meta_graph.tags, meta_graph.tags, plan, (), [data], ())


def _signed(meta_graph: MetaGraph, changes: Changes) -> Signed:
    old = meta_graph.tags
    tags = changes.tags.get(frozenset(old), old)
    plan = planned(meta_graph, changes)
    replaced: dict[int, Pieces] = {}
    if tags != old:
        replaced[_META_INFO] = [_tagged(meta_graph, tags)]
    notes = [note for each in plan.values() for note in each.notes]
    if changes.for_signatures:
        replaced[_SIGNATURES] = [_signature_map(plan)]
        if is_function_style(meta_graph):
            objects = signature_functions.rewritten(meta_graph, plan)
            replaced[_OBJECTS] = [serialised(protos.message("MetaGraphDef")(object_graph_def=objects.object_graph))]
            if objects.functions:
                replaced[_GRAPH] = _with_functions(meta_graph, objects.functions)
            notes += objects.notes
    changed = [each.key for each in plan.values() if not signatures.is_hidden(each.key)]
    if tags == old:
        changed = [key for key in changed if _is_changed(meta_graph, plan[key])]
    return Signed(old, tags, plan, tuple(changed), _replaced(meta_graph, replaced), (*notes, *_advice(old, tags, plan)))


def _is_changed(meta_graph: MetaGraph, planned: Planned) -> bool:
    return planned.key != planned.base or planned.signature != meta_graph.signature_def[planned.base]


def _advice(old: tuple[str, ...], tags: tuple[str, ...], plan: Mapping[str, Planned]) -> Iterator[str]:
    """Yield what servers and loaders make of the result."""
    if tags != old:
        yield from signatures.tag_notes(tags)
    if not any(not signatures.is_hidden(key) for key in plan):
        yield "no signature is left: servers have nothing to call"


def _tagged(meta_graph: MetaGraph, tags: tuple[str, ...]) -> bytes:
    """Return the MetaInfoDef with other tags."""
    info = type(meta_graph.header)(meta_info_def=meta_graph.header.meta_info_def)
    info.meta_info_def.tags[:] = tags
    return serialised(info)


def _signature_map(plan: Mapping[str, Planned]) -> bytes:
    result = protos.message("MetaGraphDef")()
    for key, entry in plan.items():
        result.signature_def[key].CopyFrom(entry.signature)
    return serialised(result)


# Wire format: all but the fields that change is taken over in place.


def _saved_model(buffer: wire.Buffer, results: Sequence[Signed]) -> Pieces:
    pieces: Pieces = []
    position, rest = 0, iter(results)
    for number, kind, _, stop in wire.fields(buffer, 0, buffer.size):
        if (number, kind) == (_META_GRAPHS, wire.BYTES):
            pieces += _field(number, next(rest).pieces)
        else:
            pieces.append(buffer.data[position:stop])
        position = stop
    return pieces


def _replaced(meta_graph: MetaGraph, replaced: Mapping[int, Pieces]) -> Pieces:
    """Return a MetaGraphDef with some fields replaced where they first stood; the new ones come with their tags."""
    pieces: Pieces = []
    left, position = dict(replaced), meta_graph.start
    for number, _, _, stop in wire.fields(meta_graph.buffer, meta_graph.start, meta_graph.end):
        if number in replaced:
            pieces += left.pop(number, [])
        else:
            pieces.append(meta_graph.buffer.data[position:stop])
        position = stop
    return [*pieces, *(piece for pieces in left.values() for piece in pieces)]


def _with_functions(meta_graph: MetaGraph, functions: Sequence[protos.Message]) -> Pieces:
    """Return the graph's field with more functions in its library."""
    added: Pieces = [piece for each in functions for piece in _field(_FUNCTION, [serialised(each)])]
    buffer, pieces = meta_graph.buffer, []
    for start, end in meta_graph.graph.pieces[:-1]:
        pieces += _field(_GRAPH, [buffer.data[start:end]])
    start, end = meta_graph.graph.pieces[-1]
    ((begins, stops),) = long_messages.spans(buffer, start, end, _LIBRARY)
    if not len(begins):
        return pieces + _field(_GRAPH, [buffer.data[start:end], *_field(_LIBRARY, added)])
    begin, stop = int(begins[-1]), int(stops[-1])
    before = buffer.data[start : _tag_start(buffer, begin, stop - begin)]
    library = _field(_LIBRARY, [buffer.data[begin:stop], *added])
    return pieces + _field(_GRAPH, [before, *library, buffer.data[stop:end]])


def _tag_start(buffer: wire.Buffer, begin: int, size: int) -> int:
    """Return where the library's field begins, whose payload begins here: its length may be written at length."""
    for width in range(1, begin):
        tag = begin - width - 1
        if buffer.raw[tag] == _LIBRARY << 3 | wire.BYTES and wire.varint(buffer.data, tag + 1, begin) == (size, begin):
            return tag
    raise wire.WireError(begin, "a field has no tag")


def _field(number: int, pieces: Pieces) -> Pieces:
    """Put a payload into a field."""
    return [bytes([number << 3 | wire.BYTES]) + wire.written(_size(pieces)), *pieces]


def _size(pieces: Pieces) -> int:
    return sum(map(len, pieces))
