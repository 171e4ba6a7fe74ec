"""What a TensorFlow Lite file says of itself: subgraphs, their tensors and ops, signatures.

The field numbers are those of TensorFlow's ``tensorflow/compiler/mlir/lite/schema/schema.fbs``. Weights are not read.
Not for: flatbuffers as such (:mod:`tfmagic.files.flatbuffers`), or changing a file
(:mod:`tfmagic.files.tflite.renaming`).
"""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tfmagic.files.flatbuffers import Buffer, Vector
from tfmagic.files.tflite import operators, tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfmagic.files.flatbuffers import Table
    from tfmagic.files.tflite.operators import Operator
    from tfmagic.files.tflite.tensors import Tensor

IDENTIFIER = b"TFL3"
_MAX_BYTES = 1 << 62
#: The number of an input that an operator leaves out.
_LEFT_OUT = -1
_NONE: Mapping[int, str] = MappingProxyType({})


class _Model:
    """Fields of the table Model."""

    VERSION, OPERATOR_CODES, SUBGRAPHS, DESCRIPTION, BUFFERS, _, METADATA, SIGNATURES, GROUPS, EXTERNAL = range(10)


class _Subgraph:
    TENSORS, INPUTS, OUTPUTS, OPERATORS, NAME = range(5)


class _Signature:
    INPUTS, OUTPUTS, KEY, _, SUBGRAPH = range(5)


class _External:
    """A buffer in another file, which a group names, by LiteRT's schema."""

    ID, GROUP, OFFSET, LENGTH, PACKING = range(5)


class Subgraph(NamedTuple):
    """A subgraph: the numbers of its inputs and outputs among its tensors, its operators in the order of their run."""

    name: str
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]

    @property
    def ops(self) -> Counter[str]:
        """How often each op occurs."""
        return Counter(operator.op for operator in self.operators)


class Signature(NamedTuple):
    """A signature: the numbers of its inputs and outputs among the tensors of its subgraph, by key."""

    key: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    subgraph: int


class Description(NamedTuple):
    """What a TFLite file says of itself.

    ``buffers`` says where each buffer lies, by its number, ``metadata`` names what is packed along, with the number of
    its buffer, ``foreign`` the ops that are not on TFLite's own list, whatever they are called. Buffers in other files
    come after the file's own; ``files`` says by their numbers how these are called, ``packings`` how those are packed
    that are packed in a way of their own.
    """

    schema_version: int
    text: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    buffers: tuple[Vector, ...]
    metadata: tuple[tuple[str, int], ...]
    foreign: frozenset[str]
    files: Mapping[int, str] = _NONE
    packings: Mapping[int, str] = _NONE

    @property
    def sizes(self) -> tuple[int, ...]:
        """The bytes of each buffer."""
        return tuple(buffer.length for buffer in self.buffers)

    @property
    def constant_bytes(self) -> int:
        """The bytes of all constants; what is packed along is none."""
        along = {number for _, number in self.metadata}
        return sum(size for number, size in enumerate(self.sizes) if number not in along)

    @property
    def ops(self) -> Counter[str]:
        """How often each op occurs, in all subgraphs."""
        return sum((subgraph.ops for subgraph in self.subgraphs), Counter())


def describe(path: Path) -> Description:
    """Read a TFLite file's structure, without its weights.

    Raises
    ------
    CorruptSourceError
        If it does not parse, or its tables refer to what is not there.
    """
    with path.open("rb") as file:
        return described(file, str(path))


def described(file: BinaryIO, name: str) -> Description:
    """Read the structure of an open file, as :func:`describe`; ``name`` is what errors call it."""
    buffer = Buffer(file, name)
    if buffer.size < len(IDENTIFIER) * 2 or buffer.identifier() != IDENTIFIER:
        buffer.corrupt(f"it lacks the identifier {IDENTIFIER!r}")
    return _Parser(buffer).description()


class _Parser:
    """Reads the tables of the schema out of a buffer."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.model = buffer.root()
        self.codes = [operators.code(table) for table in self.model.tables(_Model.OPERATOR_CODES)]
        self.buffers = [_place(table) for table in self.model.tables(_Model.BUFFERS)]
        self.external = list(self.model.tables(_Model.EXTERNAL))
        own = len(self.buffers)
        self.numbers = {each.scalar(_External.ID, "uint"): own + place for place, each in enumerate(self.external)}

    def description(self) -> Description:
        subgraphs = tuple(self._subgraph(table) for table in self.model.tables(_Model.SUBGRAPHS))
        signatures = (self._signature(table, subgraphs) for table in self.model.tables(_Model.SIGNATURES))
        files, packings = self._files()
        return Description(
            self.model.scalar(_Model.VERSION, "uint"),
            self.model.text(_Model.DESCRIPTION),
            subgraphs,
            tuple(signatures),
            (*self.buffers, *map(_external_place, self.external)),
            tuple((table.text(0), table.scalar(1, "uint")) for table in self.model.tables(_Model.METADATA)),
            frozenset(code.name for code in self.codes if not code.is_own),
            files,
            packings,
        )

    def _files(self) -> tuple[dict[int, str], dict[int, str]]:
        """Return which file each buffer of another file lies in, and how those are packed that are."""
        groups = [group.text(0) for group in self.model.tables(_Model.GROUPS)]
        files, packings = {}, {}
        for number, table in enumerate(self.external, len(self.buffers)):
            group = table.scalar(_External.GROUP, "uint")
            self._check(group, groups, "group of buffers")
            files[number] = groups[group]
            packing = table.text(_External.PACKING)
            if packing:
                packings[number] = packing
        return files, packings

    def _tensor(self, table: Table) -> Tensor:
        """Read a tensor; what it holds may lie in another file."""
        tensor = tensors.read(table)
        number = self.numbers.get(tensors.external_buffer(table), tensor.buffer)
        return tensor if tensor.buffer else tensor._replace(buffer=number)

    def _subgraph(self, table: Table) -> Subgraph:
        listed = tuple(map(self._tensor, table.tables(_Subgraph.TENSORS)))
        steps = tuple(self._operator(operator) for operator in table.tables(_Subgraph.OPERATORS))
        inputs, outputs = table.scalars(_Subgraph.INPUTS, "int"), table.scalars(_Subgraph.OUTPUTS, "int")
        used = {number for step in steps for number in (*step.inputs, *step.outputs) if number != _LEFT_OUT}
        for number in (*inputs, *outputs, *used):
            self._check(number, listed, "tensor")
        places = range(max(1, len(self.buffers) + len(self.external)))
        for number in {tensor.buffer for tensor in listed}:
            self._check(number, places, "buffer")
        return Subgraph(table.text(_Subgraph.NAME), listed, inputs, outputs, steps)

    def _operator(self, table: Table) -> Operator:
        number = table.scalar(0, "uint")
        self._check(number, self.codes, "operator code")
        return operators.read(table, self.codes[number])

    def _signature(self, table: Table, subgraphs: Sequence[Subgraph]) -> Signature:
        number = table.scalar(_Signature.SUBGRAPH, "uint")
        self._check(number, subgraphs, "subgraph")
        inputs, outputs = _tensor_map(table, _Signature.INPUTS), _tensor_map(table, _Signature.OUTPUTS)
        for tensor in (*inputs.values(), *outputs.values()):
            self._check(tensor, subgraphs[number].tensors, "tensor")
        return Signature(table.text(_Signature.KEY), inputs, outputs, number)

    def _check(self, number: int, among: Sequence[object], what: str) -> None:
        if not 0 <= number < len(among):
            self.buffer.corrupt(f"it refers to {what} {number} of {len(among)}")


def _tensor_map(table: Table, field: int) -> dict[str, int]:
    return {entry.text(0): entry.scalar(1, "uint") for entry in table.tables(field)}


def _place(table: Table) -> Vector:
    """Return where a buffer's content lies: inside the flatbuffer, or behind it where that would pass 2 GiB."""
    inside = table.vector(0, 1)
    return inside if inside.length else Vector(table.scalar(1, "ulong"), min(table.scalar(2, "ulong"), _MAX_BYTES))


def _external_place(table: Table) -> Vector:
    """Return where in its file a buffer lies that is not in the flatbuffer's."""
    offset, length = (min(table.scalar(field, "ulong"), _MAX_BYTES) for field in (_External.OFFSET, _External.LENGTH))
    return Vector(offset, length)
