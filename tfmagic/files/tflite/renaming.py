"""Give the ends of a TensorFlow Lite file the user's names and order, by editing the flatbuffer in place.

TFLite's converter calls inputs ``serving_default_x:0`` and outputs ``StatefulPartitionedCall:1``, and sorts them as it
likes. A new name is appended to the file, and the tensor's reference turned to it; order is a matter of swapping
references. Not for: anything else in the file.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, TypeAlias

from tfmagic.files.flatbuffers import Buffer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.files.flatbuffers import Table

    #: Of inputs and of outputs: keys by keys.
    Sides: TypeAlias = Sequence[Mapping[str, str]]

_REFERENCE = struct.Struct("<I")
_NUMBER = struct.Struct("<i")
#: Numbers of fields in TensorFlow's ``schema.fbs``: of Model, SubGraph, Tensor, SignatureDef and TensorMap.
_SUBGRAPHS, _SIGNATURES = 2, 7
_TENSORS, _SUBGRAPH_ENDS = 0, (1, 2)
_NAME = 3
_SIGNATURE_ENDS, _SIGNATURE_KEY, _SUBGRAPH_NUMBER = (0, 1), 2, 4
_KEY, _TENSOR_NUMBER = 0, 1


def named(content: bytes, ends: Mapping[str, Sides]) -> bytes:
    """Return a file whose signatures have other keys and another order, their tensors named like them.

    Parameters
    ----------
    content : bytes
        The file.
    ends : mapping of str to two mappings of str to str
        By the signatures' keys, for inputs and outputs: the keys that they are to have, by those that they have, in the
        order wanted. A tensor that has several is called by the first.
    """
    edited = bytearray(content)
    model = Buffer(io.BytesIO(content), "the converted file").root()
    subgraphs = list(model.tables(_SUBGRAPHS))
    for signature in model.tables(_SIGNATURES):
        sides = ends[signature.text(_SIGNATURE_KEY)]
        _name_ends(edited, signature, subgraphs[signature.scalar(_SUBGRAPH_NUMBER, "uint")], sides)
    return bytes(edited)


def _name_ends(edited: bytearray, signature: Table, subgraph: Table, keys_of_sides: Sides) -> None:
    """Name and order the inputs and outputs of a signature, and the tensors of its subgraph."""
    tensors = list(subgraph.tables(_TENSORS))
    sides = list(zip(_SIGNATURE_ENDS, _SUBGRAPH_ENDS, keys_of_sides, strict=True))
    # An input that is an output as well is called by its input's key.
    for field, ends, keys in reversed(sides):
        entries = {entry.text(_KEY): entry for entry in signature.tables(field)}
        numbers = {key: entry.scalar(_TENSOR_NUMBER, "uint") for key, entry in entries.items()}
        order = [key for key in keys if key in numbers]
        _order_references(edited, signature, field, [list(numbers).index(key) for key in order])
        _order_numbers(edited, subgraph, ends, [numbers[key] for key in order])
        for key in reversed(order):
            _rename(edited, tensors[numbers[key]], _NAME, keys[key])
            _rename(edited, entries[key], _KEY, keys[key])


def with_input_key(content: bytes, signature: str, old: str, new: str) -> bytes:
    """Return a file in which an input of a signature has another key; its tensor is called as before."""
    edited = bytearray(content)
    for table in Buffer(io.BytesIO(content), "the file").root().tables(_SIGNATURES):
        if table.text(_SIGNATURE_KEY) == signature:
            for entry in table.tables(_SIGNATURE_ENDS[0]):
                if entry.text(_KEY) == old:
                    _rename(edited, entry, _KEY, new)
    return bytes(edited)


def _order_references(edited: bytearray, table: Table, field: int, order: Sequence[int]) -> None:
    """Put the tables of a vector into another order; a reference counts from where it stands."""
    begin, count = table.vector(field)
    if sorted(order) != list(range(count)):
        return
    places = [begin + _REFERENCE.size * number for number in range(count)]
    targets = [place + _REFERENCE.unpack_from(edited, place)[0] for place in places]
    for place, number in zip(places, order, strict=True):
        _REFERENCE.pack_into(edited, place, targets[number] - place)


def _order_numbers(edited: bytearray, table: Table, field: int, wanted: Sequence[int]) -> None:
    """Put the numbers of a vector into another order, those that are not wanted last."""
    begin, _ = table.vector(field)
    indices = table.scalars(field, "int")
    rank = {number: place for place, number in reversed(list(enumerate(wanted)))}
    for place, number in enumerate(sorted(indices, key=lambda each: rank.get(each, len(wanted)))):
        _NUMBER.pack_into(edited, begin + _NUMBER.size * place, number)


def _rename(edited: bytearray, table: Table, field: int, name: str) -> None:
    """Append a string, and let a field of a table refer to it."""
    place = table.position(field)
    if place is None:
        return
    edited.extend(bytes(-len(edited) % _REFERENCE.size))
    _REFERENCE.pack_into(edited, place, len(edited) - place)
    data = name.encode()
    edited.extend(_REFERENCE.pack(len(data)) + data + b"\0")
