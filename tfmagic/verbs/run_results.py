"""What a run of a model gives back: its outputs, times and inputs, pictures shown as pictures, classes ranked.

Not for: running (:mod:`tfmagic.verbs.run`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic.display import pictures, render, sounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

_ARRAY_COLUMNS = ("key", "dtype", "shape", "values")
#: Values of an array that a display shows.
_SHOWN = 6
#: Fewer numbers than these are rather coordinates than classes.
_CLASSES = 6
_TOP_COLUMNS = ("output", "row", "class", "label", "value")
_MOST_RANKED = 25
_BATCH_OF_PICTURES = 4


@dataclass(frozen=True, repr=False)
class Run(render.Sectioned):
    """What a model made of some inputs.

    Attributes
    ----------
    outputs : dict of str to ndarray
        By key, in the signature's order; strings are arrays of bytes objects.
    load_seconds : float
        What it took to have the function: next to nothing where the model was loaded already.
    first_seconds : float
        The first call of this run; after loading, it optimises the graph, which makes it the slowest by far.
    warm_seconds : float
        The median of the calls after that, NaN if there was none.
    inputs : dict of str to ndarray
        What it was called with, given or generated.
    notes : tuple of str
        Which inputs were generated, and what a person should know of the model.
    labels : dict of str to tuple of str
        By output, what its classes are called, where that is known.
    files : dict of str to tuple of str
        By input, the files that its rows were read from.
    rates : dict of str to int
        By input that was read from a file of sound, its samples a second.
    """

    outputs: dict[str, npt.NDArray[Any]]
    load_seconds: float
    first_seconds: float
    warm_seconds: float
    inputs: dict[str, npt.NDArray[Any]]
    notes: tuple[str, ...] = ()
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rates: dict[str, int] = field(default_factory=dict)

    def top(self, count: int = 5) -> pd.DataFrame:
        """Return the largest values of each row of each output that is a vector of numbers.

        Parameters
        ----------
        count : int
            How many of a row.

        Returns
        -------
        DataFrame
            output, row (its file's name, where it was read from one, else its number), class (its number), label
            (``""`` where it is not known), value.
        """
        import pandas as pd  # noqa: PLC0415 - loaded with the first table

        rows = [row for key, array in self.outputs.items() for row in self._top(key, array, count)]
        return pd.DataFrame(rows, columns=list(_TOP_COLUMNS))

    def _top(self, key: str, array: npt.NDArray[Any], count: int) -> Iterator[tuple[object, ...]]:
        if not is_of_classes(array):
            return
        names = next((names for names in self.files.values() if len(names) == len(array)), ())
        labels = self.labels.get(key, ())
        for row, vector in enumerate(array.reshape(-1, array.shape[-1])):
            numbers = np.nan_to_num(vector.astype(np.float64), nan=-np.inf)
            for place in np.argsort(-numbers, kind="stable")[:count].tolist():
                yield key, names[row] if names else row, place, labels[place] if labels else "", float(vector[place])

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return the outputs, the times and the inputs."""
        warm = "not measured" if np.isnan(self.warm_seconds) else _seconds(self.warm_seconds)
        facts: list[tuple[str, object]] = [
            ("loading", _seconds(self.load_seconds)),
            ("first call", _seconds(self.first_seconds)),
            ("warm call", warm),
            *(("note", note) for note in self.notes),
        ]
        return f"run: {', '.join(self.outputs)}", [
            render.Section("Outputs", table=_table(self.outputs)),
            *self._ranked(),
            *_pictured("Output", self.outputs),
            render.Section("Time", facts),
            render.Section("Inputs", table=_table(self.inputs)),
            *_pictured("Input", self.inputs),
            *self._heard(),
        ]

    def _heard(self) -> Iterator[render.Section]:
        """Yield a section for each input that is a sound."""
        for key, rate in self.rates.items():
            samples = self.inputs[key]
            said = sounds.length_text(samples.size, rate)
            if samples.size > sounds.MOST_SAMPLES:
                said += f", of which the first {sounds.MOST_SAMPLES / rate:.0f} s can be played"
            yield render.Section("Input as a sound", [(repr(key), said)], sound=sounds.address(samples, rate))

    def _ranked(self) -> Iterator[render.Section]:
        top = self.top()
        if not len(top):
            return
        spare = [*(["output"] if len(set(top["output"])) == 1 else []), *([] if any(top["label"]) else ["label"])]
        shown = top.assign(value=[f"{value:.4g}" for value in top["value"]]).drop(columns=spare)
        yield render.Section("Largest values", table=shown.head(_MOST_RANKED), total=len(shown))


def is_of_classes(array: npt.NDArray[Any]) -> bool:
    """Say whether an output is a vector of numbers, or a batch of such, one number for each class."""
    return array.ndim in (1, 2) and array.dtype.kind in "fiu" and array.size > 0 and array.shape[-1] >= _CLASSES


def _pictured(side: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Iterator[render.Section]:
    """Yield a section for each array that is a picture, or a batch of some: what the model was given, and gives."""
    for key, array in arrays.items():
        if pictures.is_picture(array):
            size = f"{array.shape[-3]}\N{MULTIPLICATION SIGN}{array.shape[-2]}"
            count = array.shape[0] if array.ndim == _BATCH_OF_PICTURES else 1
            facts = [(repr(key), f"{count:,} of {size}, from {_number(array.min())} to {_number(array.max())}")]
            yield render.Section(f"{side} as a picture", facts, picture=pictures.strip(array))


def _number(value: object) -> str:
    return f"{float(value):.3g}"  # type: ignore[arg-type] # numpy's scalars


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.2f} ms"


def _table(arrays: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    rows = [(key, _dtype(each), each.shape, _values(each)) for key, each in arrays.items()]
    return pd.DataFrame(rows, columns=list(_ARRAY_COLUMNS))


def _dtype(array: npt.NDArray[Any]) -> str:
    return "string" if array.dtype.kind in "SUO" else array.dtype.name


def _values(array: npt.NDArray[Any]) -> str:
    """Word the first values."""
    flat = array.reshape(-1)[:_SHOWN]
    if _dtype(array) == "string":
        words = [repr(each.decode(errors="replace") if isinstance(each, bytes) else each) for each in flat]
    else:
        words = [f"{each:.4g}" if array.dtype.kind in "fc" else str(each) for each in flat]
    return " ".join(words) + (" …" if array.size > _SHOWN else "")
