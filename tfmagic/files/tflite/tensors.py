"""The tensors of a TensorFlow Lite file: dtype, shape, how integers stand for real numbers, what sparse ones leave out.

Fields are numbered as in ``tensorflow/compiler/mlir/lite/schema/schema.fbs``. Not for: what tensors hold
(:mod:`tfmagic.files.tflite.values`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.tflite.options import DTYPES

if TYPE_CHECKING:
    from tfmagic.files.flatbuffers import Table
    from tfmagic.frames import Shape

_DIMENSION_KINDS = ("dense", "sparse CSR")
#: The kinds of integers in which a sparse dimension may hold its indices, by the union's number.
_INDEX_KINDS = ("", "int", "ushort", "ubyte")


class _Tensor:
    SHAPE, TYPE, BUFFER, NAME, QUANTISATION, IS_VARIABLE, SPARSITY, SHAPE_SIGNATURE, HAS_RANK, _, EXTERNAL = range(11)


class _Quantisation:
    MIN, MAX, SCALE, ZERO_POINT, DETAILS_TYPE, DETAILS, DIMENSION = range(7)


class Quantisation(NamedTuple):
    """How integers stand for real numbers: ``scale * (integer - zero_point)``, with one scale or one for each place.

    Attributes
    ----------
    scale : tuple of float
        One, or as many as the axis is long; empty where only a range was noted.
    zero_point : tuple of int
        Likewise, or empty for zero.
    axis : int
        The dimension along which they differ.
    low, high : tuple of float
        The range that was seen when the scale was chosen; mostly left out.
    scheme : str
        What else says how to read the numbers: ``"blockwise"``, ``"custom"`` or nothing.
    block_size : int
        Of a blockwise one.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    scheme: str = ""
    block_size: int = 0

    @property
    def is_by_axis(self) -> bool:
        """Whether each place of an axis has a scale of its own."""
        return len(self.scale) > 1


class SparseDimension(NamedTuple):
    """A dimension of a sparse tensor, in the order of its walk: dense with a size, or with indices as CSR has them."""

    kind: str
    size: int
    segments: tuple[int, ...]
    indices: tuple[int, ...]


class Sparsity(NamedTuple):
    """How a sparse tensor is written down: the order of its dimensions, blocks, and each dimension."""

    order: tuple[int, ...]
    block_map: tuple[int, ...]
    dimensions: tuple[SparseDimension, ...]


class Tensor(NamedTuple):
    """A tensor of a subgraph; ``buffer`` is the number of the buffer with its content, 0 if it has none.

    ``is_variable`` says that it keeps its value from one run to the next.
    """

    name: str
    dtype: str
    shape: Shape
    buffer: int
    quantisation: Quantisation | None = None
    sparsity: Sparsity | None = None
    is_variable: bool = False


def read(table: Table) -> Tensor:
    """Read a tensor."""
    kind = table.scalar(_Tensor.TYPE, "byte")
    dtype = DTYPES[kind] if 0 <= kind < len(DTYPES) else f"tflite_{kind}"
    quantisation, sparsity = table.table(_Tensor.QUANTISATION), table.table(_Tensor.SPARSITY)
    return Tensor(
        table.text(_Tensor.NAME),
        dtype,
        _shape(table),
        table.scalar(_Tensor.BUFFER, "uint"),
        _quantisation(quantisation) if quantisation is not None else None,
        _sparsity(sparsity) if sparsity is not None else None,
        bool(table.scalar(_Tensor.IS_VARIABLE, "bool")),
    )


def external_buffer(table: Table) -> int:
    """Return the number that a tensor has for a buffer in another file, 0 where it has none (LiteRT's schema)."""
    return table.scalar(_Tensor.EXTERNAL, "uint")


def _shape(table: Table) -> Shape:
    """Return the shape, in which the signature's -1 marks the dimensions that the plain shape holds at 1.

    An empty shape is a scalar's only where ``has_rank`` says so, as the schema has it; files before that field leave
    scalars and unknown ranks alike.
    """
    field = _Tensor.SHAPE_SIGNATURE if table.count(_Tensor.SHAPE_SIGNATURE) else _Tensor.SHAPE
    shape = tuple(size if size >= 0 else None for size in table.scalars(field, "int"))
    return shape if shape or table.scalar(_Tensor.HAS_RANK, "bool") else None


def _quantisation(table: Table) -> Quantisation | None:
    """Read how a tensor is quantised; converters write an empty table for those that are not."""
    scheme = ("", "custom", "blockwise")[min(2, table.scalar(_Quantisation.DETAILS_TYPE, "ubyte"))]
    details = table.table(_Quantisation.DETAILS) if scheme else None
    quantisation = Quantisation(
        table.reals(_Quantisation.SCALE),
        table.scalars(_Quantisation.ZERO_POINT, "long"),
        table.scalar(_Quantisation.DIMENSION, "int"),
        table.reals(_Quantisation.MIN),
        table.reals(_Quantisation.MAX),
        scheme,
        details.scalar(2, "int") if details is not None and scheme == "blockwise" else 0,
    )
    return quantisation if quantisation.scale or quantisation.low or quantisation.high or quantisation.scheme else None


def _sparsity(table: Table) -> Sparsity:
    dimensions = (_dimension(each) for each in table.tables(2))
    return Sparsity(table.scalars(0, "int"), table.scalars(1, "int"), tuple(dimensions))


def _dimension(table: Table) -> SparseDimension:
    kind = table.scalar(0, "byte")
    word = _DIMENSION_KINDS[kind] if 0 <= kind < len(_DIMENSION_KINDS) else str(kind)
    return SparseDimension(word, table.scalar(1, "int"), _indices(table, 2), _indices(table, 4))


def _indices(table: Table, field: int) -> tuple[int, ...]:
    """Read a union of vectors of several kinds of integers: its number lies in the field before it."""
    kind, inner = table.scalar(field, "ubyte"), table.table(field + 1)
    if inner is None or not 0 < kind < len(_INDEX_KINDS):
        return ()
    return inner.scalars(0, _INDEX_KINDS[kind])
