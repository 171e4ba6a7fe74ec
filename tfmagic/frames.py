"""Rows into DataFrames; the columns of every public table are the fields of a row type here.

A row type is the table's contract: names, order and meaning (DESIGN section 5). An empty table keeps its
columns. Not for: finding the rows, which readers and :mod:`tfmagic.graphs.node_columns` do.
"""

from __future__ import annotations

from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard

from tfmagic.escaping import UNTYPESET, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

#: A tensor's shape: None for an unknown dimension, None as a whole for unknown rank.
Shape: TypeAlias = tuple[int | None, ...] | None


class SignatureRow(NamedTuple):
    """One input or output of a SignatureDef."""

    tags: str
    signature: str
    method: str
    side: str
    key: str
    tensor: str
    dtype: str
    shape: Shape


class OpRow(NamedTuple):
    """One NodeDef of the main graph (function ``""``) or of a FunctionDef."""

    function: str
    name: str
    op: str
    inputs: tuple[str, ...]
    control_inputs: tuple[str, ...]
    device: str
    dtype: str
    shape: Shape
    bytes: int


class FunctionRow(NamedTuple):
    """One FunctionDef of the library."""

    function: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ops: int
    called_by: tuple[str, ...]


class VariableRow(NamedTuple):
    """One variable: ``size`` in elements, ``bytes`` as stored; ``trainable`` is None where it is not recorded."""

    name: str
    dtype: str
    shape: Shape
    size: int | None
    bytes: int | None
    trainable: bool | None


class MetaGraphRow(NamedTuple):
    """One MetaGraphDef of a SavedModel; ``bytes`` is its serialised size."""

    tags: str
    tensorflow_version: str
    ops: int
    functions: int
    signatures: int
    variables: int
    bytes: int


class AssetRow(NamedTuple):
    """One asset file; ``bytes`` is None when the file is missing."""

    tags: str
    filename: str
    tensor: str
    bytes: int | None


class LayerRow(NamedTuple):
    """One Keras layer; ``shape`` is its output's, ``parameters`` a count of elements, ``bytes`` what those take.

    ``flops`` counts a multiply-add as two and ``activation_bytes`` what its output takes, both of a batch of one; None
    where an open dimension, or what the layer does, leaves them unknown.
    """

    name: str
    # `class` is a keyword: the field carries an underscore, the column does not (see COLUMN_NAMES).
    class_: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: Shape
    parameters: int | None
    trainable: bool | None
    bytes: int | None = None
    flops: int | None = None
    activation_bytes: int | None = None


class CostRow(NamedTuple):
    """What one run of a name scope, or of a Keras layer, costs for a batch of one; None is not known.

    ``class`` is the layer's, or the op that takes most of its FLOPs.
    """

    scope: str
    class_: str
    ops: int
    parameters: int | None
    bytes: int | None
    flops: int | None
    activation_bytes: int | None


class TotalCost(NamedTuple):
    """What all rows of a table of costs cost together: where one of them does not tell, it is at least that."""

    flops: int
    is_whole: bool

    @classmethod
    def of(cls, flops: Iterable[int | None]) -> TotalCost:
        """Add up what each row costs."""
        listed = list(flops)
        known = [each for each in listed if is_known(each)]
        return cls(sum(known), len(known) == len(listed))

    def __str__(self) -> str:
        """Word it."""
        return f"{'' if self.is_whole else 'at least '}{self.flops:,} FLOPs for a batch of one"


class DiffRow(NamedTuple):
    """One difference between two models.

    ``difference`` is the largest between two numbers of a weight, ``cosine`` that of the angle between both; None where
    the row is of no weight, and where there is no such number: ``b`` says so of NaN in but one of both.
    """

    what: str
    where: str
    a: str
    b: str
    difference: float | None
    cosine: float | None


class CatalogRow(NamedTuple):
    """One model of a catalogue; what is nested is JSON text, what it does not say is None.

    Attributes
    ----------
    address : str
        What :func:`tfmagic.inspect` takes.
    form : str or None
        The form, None where it could not be told.
    error : str or None
        Why it could not be read, or not all of it.
    stamp : str or None
        Another text once one of its files was written again, None where a server does not tell that.
    bytes : int
        What its files take.
    created : str or None
        When the file that makes it a model was written, in UTC as ISO 8601 has it.
    tensorflow_version, keras_version : str or None
        What wrote it.
    tags : str or None
        The tag-sets: ``[["serve"]]``.
    signatures : str or None
        A list of objects with ``tags``, ``signature``, ``method``, ``inputs`` and ``outputs``, and in these ``dtype``
        and ``shape`` by key.
    parameters : int or None
        The elements of its variables, of a graph those of the constants that are weights.
    families : str or None
        How many of its ops, or layers, do which kind of work.
    severity : str or None
        That of its scan.
    structure, weights : str or None
        Fingerprints: equal for models that compute the same but for their weights; equal for the same weights.
    formats : str or None
        What it can be converted to.
    """

    address: str
    form: str | None
    error: str | None
    stamp: str | None
    bytes: int
    created: str | None
    tensorflow_version: str | None
    keras_version: str | None
    tags: str | None
    signatures: str | None
    parameters: int | None
    families: str | None
    severity: str | None
    structure: str | None
    weights: str | None
    formats: str | None


#: The columns of a catalogue that are numbers.
CATALOG_NUMBERS = frozenset({"bytes", "parameters"})
#: Those that a person is shown, what is looked for first first.
CATALOG_SHOWN = (
    *("address", "form", "error", "bytes", "parameters", "severity", "tensorflow_version", "keras_version", "created"),
    *("signatures", "families", "formats", "tags", "structure", "weights"),
)
#: Those of which several models share a value; the commonest fingerprints are those of copies.
CATALOG_FACETS = ("form", "severity", "tensorflow_version", "keras_version", "structure", "weights")

#: The public tables, by name, in the order in which they are shown.
ROW_TYPES: Mapping[str, type[NamedTuple]] = {
    "signatures": SignatureRow,
    "ops": OpRow,
    "functions": FunctionRow,
    "variables": VariableRow,
    "metagraphs": MetaGraphRow,
    "assets": AssetRow,
    "layers": LayerRow,
    "costs": CostRow,
}

#: Columns whose text repeats from row to row.
CATEGORICAL = frozenset({"function", "op", "device", "dtype", "tags"})
_MAX_INTEGER = (1 << 63) - 1
_INTEGERS = frozenset({"size", "bytes", "parameters", "ops", "functions", "signatures", "variables", "flops",
                       "activation_bytes"})  # fmt: skip


def columns(table: str) -> list[str]:
    """Return the column names of a public table, in order."""
    return [field.rstrip("_") for field in ROW_TYPES[table]._fields]


class Rows(NamedTuple):
    """A public table as rows, for who needs no DataFrame: pandas takes longer to import than most files to read."""

    table: str
    rows: Sequence[tuple[object, ...]]

    @property
    def columns(self) -> list[str]:
        """The column names, in order."""
        return columns(self.table)

    def column(self, name: str) -> list[object]:
        """Return the values of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


def from_rows(table: str, rows: Iterable[tuple[object, ...]]) -> pd.DataFrame:
    """Build the DataFrame of a public table from its rows.

    Parameters
    ----------
    table : str
        A key of :data:`ROW_TYPES`.
    rows : iterable of tuple
        Values in the order of the table's columns.
    """
    transposed = list(zip(*rows, strict=True))
    names = columns(table)
    values = transposed or [()] * len(names)
    return from_columns(table, dict(zip(names, values, strict=True)))


def of_findings(kind: type[NamedTuple], rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    """Build the DataFrame of what a verb found, whose columns are the fields of a row; numbers stay numbers."""
    import pandas as pd  # noqa: PLC0415 - as below

    columns = {name: [row[place] for row in rows] for place, name in enumerate(kind._fields)}
    is_number = {name: "float" in str(hint) for name, hint in kind.__annotations__.items()}
    frame = pd.DataFrame(
        {name: pd.Series(values, dtype="float64" if is_number[name] else object) for name, values in columns.items()}
    )
    return shown_safely(frame)


def of_catalog(rows: Iterable[CatalogRow]) -> pd.DataFrame:
    """Build the DataFrame of a catalogue: numbers that may be missing, all else text or None."""
    import pandas as pd  # noqa: PLC0415 - as below

    columns = list(zip(*rows, strict=True)) or [()] * len(CatalogRow._fields)
    frame = pd.DataFrame(
        {
            name: pd.Series(list(values), dtype="Int64" if name in CATALOG_NUMBERS else object)
            for name, values in zip(CatalogRow._fields, columns, strict=True)
        }
    )
    return shown_safely(frame)


def from_columns(table: str, values: Mapping[str, object]) -> pd.DataFrame:
    """Build the DataFrame of a public table from whole columns, each a sequence, array or Series."""
    import pandas as pd  # noqa: PLC0415 - with the first table, not with tfmagic: it takes longer than most files

    # The function of a FunctionRow names its row; it does not repeat.
    repeating = CATEGORICAL if table != "functions" else frozenset()
    series = {name: _series(name, values[name], name in repeating) for name in columns(table)}
    # The columns are the frame's own already: copied once more into one block, a million rows take twice as long.
    return shown_safely(pd.DataFrame(series, copy=False))


def categorical(codes: npt.NDArray[np.integer], labels: Sequence[str]) -> pd.Categorical[str]:
    """Build a column of text that repeats from numbers into its labels."""
    import pandas as pd  # noqa: PLC0415 - as above

    # With pyarrow installed, pandas' own type for text refuses what is no UTF-8, as in names that a JSON text escapes.
    return pd.Categorical.from_codes(codes, categories=pd.Index(list(labels), dtype=object))


def _series(name: str, values: object, repeating: bool) -> pd.Series:  # noqa: FBT001 - internal
    """Give a column the dtype that its content calls for, empty or not."""
    import numpy as np  # noqa: PLC0415 - as above: `%load_ext` takes five times as long with it
    import pandas as pd  # noqa: PLC0415 - as above

    if isinstance(values, np.ndarray):
        # pandas 3 would copy an array of names into a column of its own string type, unlike that of an empty table.
        # A model keeps the array: who writes into a table does not write into the model.
        return pd.Series(values, dtype=values.dtype, copy=True)
    if isinstance(values, (pd.Series, pd.Categorical)):
        return pd.Series(values, copy=True)
    items = values if isinstance(values, list) else list(values)  # type: ignore[call-overload]
    if repeating:
        return pd.Series(pd.Categorical(pd.Series(items, dtype=object)))
    if name in _INTEGERS:
        items = [item if is_known(item) else None for item in items]
        missing = any(item is None for item in items)
        return pd.Series(items, dtype="Int64" if missing else "int64")
    # An assignment would take tuples of equal length for a second axis; fromiter takes each as one object.
    return pd.Series(np.fromiter(items, dtype=object, count=len(items)), dtype=object)


def is_known(number: int | None) -> TypeGuard[int]:
    """Say whether a count is known: what a model claims past any file and any memory is not."""
    return number is not None and -_MAX_INTEGER <= number <= _MAX_INTEGER


def is_missing(value: object) -> bool:
    """Say whether there is no value: None, NaN, pandas' NA and NaT, without importing either for it."""
    # numpy registers its floats as real numbers; of all numbers NaN alone is not itself.
    if isinstance(value, Real):
        return bool(value != value)  # noqa: PLR0124 - as above
    return value is None or type(value).__name__ in ("NAType", "NaTType")


# How a table is shown where names are a stranger's


def shown_safely(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text and HTML show control characters written out; its values stay as they are."""
    table: pd.DataFrame = _classes()["ModelTable"](frame)
    return table


def __getattr__(name: str) -> object:
    """Make the classes of tables when they are first asked for (PEP 562): they need pandas, reading a file does not."""
    if name not in ("ModelTable", "ModelColumn"):
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return _classes()[name]


@cache
def _classes() -> dict[str, Any]:
    """Make the classes of a table and of its column, under names of this module, by which pickle finds them again."""
    import pandas as pd  # noqa: PLC0415 - as above

    def lines(text: str) -> str:
        return "\n".join(map(visible, text.split("\n")))

    class ModelColumn(pd.Series):
        """A column of a table of tfmagic's."""

        @property
        def _constructor(self) -> Any:  # noqa: ANN401 - as pandas declares it
            return ModelColumn

        @property
        def _constructor_expanddim(self) -> Any:  # noqa: ANN401 - as above
            return ModelTable

        def __repr__(self) -> str:
            return lines(super().__repr__())

    class ModelTable(pd.DataFrame):
        """A table of tfmagic's: a DataFrame in all but what reaches a terminal or a page."""

        @property
        def _constructor(self) -> Any:  # noqa: ANN401 - as above
            return ModelTable

        @property
        def _constructor_sliced(self) -> Any:  # noqa: ANN401 - as above
            return ModelColumn

        def __repr__(self) -> str:
            return lines(super().__repr__())

        def _repr_html_(self) -> str | None:
            page = super()._repr_html_()  # type: ignore[misc] # pandas-stubs leaves it out
            # JupyterLab typesets what stands between two dollar signs.
            return page and f'<div class="{UNTYPESET}">{lines(page)}</div>'

    classes = {"ModelColumn": ModelColumn, "ModelTable": ModelTable}
    for name, made_class in classes.items():
        made_class.__module__, made_class.__qualname__ = __name__, name
    return classes
