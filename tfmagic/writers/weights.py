"""The format ``weights`` (``.weights.h5``): the values of a Keras model's variables, as Keras itself saves them.

Not for: whole models (:mod:`tfmagic.writers.keras`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfmagic import errors
from tfmagic.files import hdf5_writing
from tfmagic.models.model import Part
from tfmagic.models.writer import Writer
from tfmagic.runtime import keras as keras_runtime
from tfmagic.writers.keras import CONFIG_BYTES, digest, live_model, saved, size_with_optimizer, weight_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, Size, WriteOptions
    from tfmagic.runtime import tensorflow as runtime

_SUFFIX = ".weights.h5"


@dataclass(frozen=True)
class WeightsDraft:
    """The variables of a live model on their way to a file."""

    model: runtime.Live
    variables: Mapping[str, runtime.Live]
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The predicted size in bytes."""
        return weight_bytes(self.variables) + CONFIG_BYTES

    def write(self, path: Path) -> None:
        """Have Keras save the weights.

        Raises
        ------
        ConversionError
            If it cannot; its own error is the cause.
        """
        place = hdf5_writing.file_object(path, f"model{_SUFFIX}")
        saved(place, self._save, f"the weights of {self.model.name!r}", path.parent)

    def _save(self, file: hdf5_writing.UnfailingFile) -> None:
        # Others make text of what they are given, and would write to a path of that name.
        takes_files = not keras_runtime.is_keras_2(self.model) and keras_runtime.saves_weights_to_file_objects()
        self.model.save_weights(file if takes_files else hdf5_writing.PathWithFile(file))

    def read_back(self, path: Path) -> Iterator[tuple[str, npt.ArrayLike, npt.ArrayLike]]:
        """Yield each variable with the same value in the file, or with nothing if that is not there."""
        stored = Counter(digest(value) for value in _datasets(path))
        for name, variable in self.variables.items():
            value = variable.numpy()
            values_stored = value if stored[digest(value)] else np.zeros(0)
            stored[digest(value)] -= 1
            yield name, value, values_stored


class WeightsWriter(Writer):
    """Writes weights without a model."""

    format: ClassVar[str] = "weights"
    suffixes: ClassVar[tuple[str, ...]] = (_SUFFIX,)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.FUNCTION, Part.KERAS})
    label: ClassVar[str] = "weights of Keras (.weights.h5)"
    options: ClassVar[frozenset[str]] = frozenset()

    def prepare(self, source: Model, options: WriteOptions) -> WeightsDraft:
        """Obtain the live model.

        Raises
        ------
        ConversionError
            If an option is given that means nothing to weights.
        """
        function = live_model(source, options, self.format)
        model = function.model
        # What draws random numbers has a state that is a variable and no weight.
        weights = {id(weight) for weight in model.weights}
        if not weights:
            raise errors.ConversionError(f"the model {model.name!r} has no weights to write")
        variables = zip(function.variables.items(), model.variables, strict=True)
        return WeightsDraft(model, {name: value for (name, value), variable in variables if id(variable) in weights})

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size."""
        return size_with_optimizer(source, measures)

    def lost(self, source: Model) -> Iterator[str]:
        """Say what values alone cannot do."""
        del source
        yield "the graph: the result holds values and cannot run"

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that saves the weights."""
        return None if source.is_session else [f"{source.holder}.save_weights({place!r})"]


def _datasets(path: Path) -> Iterator[npt.NDArray[np.generic]]:
    """Yield the content of every dataset."""
    import h5py  # noqa: PLC0415 - for values only

    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            yield np.asarray(file[name][()])
