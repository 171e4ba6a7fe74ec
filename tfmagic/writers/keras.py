"""The formats ``keras`` (``.keras``) and ``h5`` (``.h5``): a whole model as Keras itself saves it.

A model of Keras 3 becomes a file of Keras 3, whatever it was loaded from, and one of ``tf_keras`` a file of Keras 2.
Not for: weights alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfmagic import errors, functions
from tfmagic.files import hdf5_writing, protos
from tfmagic.functions.keras import files as keras_files
from tfmagic.functions.keras import keras_2_layers
from tfmagic.models.model import Part
from tfmagic.models.writer import Size, Writer
from tfmagic.runtime import error_texts
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.log_filters import held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, WriteOptions

#: Room for the config beside the weights.
CONFIG_BYTES = 1 << 20
#: Models whose layers Keras writes down.
_HOLDS_LAYERS = frozenset({"Functional", "Sequential"})
#: What Keras asks of a class or function that is not its own, so that it finds it again.
_REGISTER = "decorate it with @keras.saving.register_keras_serializable()"


@dataclass(frozen=True)
class KerasDraft:
    """A live model on its way to a file."""

    function: NamedFunction
    suffix: str
    size: int
    notes: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Have Keras save the model.

        Raises
        ------
        ConversionError
            If it cannot; its own error is the cause.
        """
        model = self.function.model
        with keras_runtime.compiled_as_before(model):
            place = _archive(path) if self.suffix == ".keras" else hdf5_writing.hdf5_file(path, "model.h5")
            saved(place, model.save, f"the model {model.name!r}", path.parent)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Load the file as anybody would, and trace it under the source's keys.

        Raises
        ------
        ConversionError
            If Keras does not load what it saved.
        """
        del key
        try:
            with _custom_objects(self.function.model):
                # Code in the file is the model's own, which runs here already.
                loaded = keras_files.load(path, trust=True)
        except errors.ReadError as error:
            said = str(error).replace(repr(str(path)), "the file").removesuffix(keras_files.WHERE_ELSE)
            raise errors.ConversionError(
                f"the model can be saved, and not be loaded again: {said}. If a class or function of your own is "
                f"missing, {_REGISTER}; else export to another format, such as saved_model"
            ) from error
        function = functions.trace_keras_model(loaded.model)
        _require_weights(self.function.model, loaded.model)
        return replace(
            function,
            inputs=_under_keys_of(self.function.inputs, function.inputs),
            outputs=_under_keys_of(self.function.outputs, function.outputs),
        )


class KerasWriter(Writer):
    """Writes ``.keras`` archives."""

    format: ClassVar[str] = "keras"
    suffixes: ClassVar[tuple[str, ...]] = (".keras",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.FUNCTION, Part.KERAS})
    label: ClassVar[str] = "Keras (.keras)"
    options: ClassVar[frozenset[str]] = frozenset()

    def prepare(self, source: Model, options: WriteOptions) -> KerasDraft:
        """Obtain the live model.

        Raises
        ------
        ConversionError
            If an option is given that means nothing in a Keras file.
        """
        return _draft(source, options, self.format, ".keras")

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size."""
        return size_with_optimizer(source, measures)

    def kept(self, source: Model) -> Iterator[str]:
        """Say that it stays a model."""
        yield "layers and their settings"
        if getattr(source.live, "optimizer", None) is not None:
            yield "how the model is trained: optimizer, loss, metrics"

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that saves the model."""
        return None if source.is_session else [f"{source.holder}.save({place!r})"]


class H5Writer(Writer):
    """Writes whole models in HDF5."""

    format: ClassVar[str] = "h5"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".hdf5")
    needs: ClassVar[frozenset[Part]] = frozenset({Part.FUNCTION, Part.KERAS})
    label: ClassVar[str] = "Keras in HDF5 (.h5)"
    options: ClassVar[frozenset[str]] = frozenset()

    def prepare(self, source: Model, options: WriteOptions) -> KerasDraft:
        """Obtain the live model.

        Raises
        ------
        ConversionError
            If an option is given that means nothing in a Keras file, or HDF5 has no place for all of the model.
        """
        draft = _draft(source, options, self.format, ".h5")
        if not _HOLDS_LAYERS.intersection(base.__name__ for base in type(draft.function.model).__mro__):
            raise self._refusal(source, "the layers of a subclassed model are in its code, which HDF5 does not hold")
        lookups = [layer.name for layer in _layers(draft.function.model) if _is_lookup(layer)]
        if lookups:
            reason = f"Keras leaves the vocabulary of {errors.listed(lookups)} out of HDF5: what is loaded knows none"
            raise self._refusal(source, reason)
        return draft

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size."""
        return size_with_optimizer(source, measures)

    def kept(self, source: Model) -> Iterator[str]:
        """Say that it stays a model."""
        yield "layers and their settings"
        del source

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that saves the model."""
        return None if source.is_session else [f"{source.holder}.save({place!r})"]

    def _refusal(self, source: Model, reason: str) -> errors.UnsupportedConversionError:
        return errors.UnsupportedConversionError(source.form, self.format, ("keras", "saved_model"), reason)


def saved(place: AbstractContextManager[object], save: Callable[[Any], object], what: str, directory: Path) -> None:
    """Have Keras save to a place that goes by Keras's own suffix, its temporary files in a directory of ours.

    Raises
    ------
    ConversionError
        If Keras cannot; its own error is the cause.
    """
    try:
        # Keras advises against every HDF5 file: who asks for one knows that there is `.keras`.
        with (
            runtime.eager(),
            held_back(logging.getLogger("absl"), "HDF5 file"),
            keras_runtime.temporary_files_in(directory),
            place as target,
        ):
            save(target)
    except OSError:
        raise
    except Exception as error:
        advice = "give each class of yours a get_config, or export a SavedModel"
        raise errors.ConversionError(f"Keras cannot save {what}: {error_texts.gist(error)}; {advice}") from error


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[str]:
    """Give a file the suffix by which Keras writes archives."""
    own = path.with_name("model.keras")
    yield str(own)
    own.replace(path)


def _draft(source: Model, options: WriteOptions, format: str, suffix: str) -> KerasDraft:
    function = live_model(source, options, format)
    if source.reader.holds_keras_weights and not keras_runtime.is_keras_2(function.model):
        _refuse_stand_ins(source, function.model, format)
    size = weight_bytes(function.variables)
    return KerasDraft(function, suffix, size + CONFIG_BYTES, tuple(_notes(source, function)))


def live_model(source: Model, options: WriteOptions, format: str) -> NamedFunction:
    """Return the function that is a call of the source's live model.

    Raises
    ------
    ConversionError
        If an option is given that means nothing in a Keras file.
    """
    if options.stated:
        shown = errors.listed(options.stated)
        raise errors.ConversionError(
            f"a Keras file holds a whole model, and neither signatures nor tags, so that {shown} cannot be written as "
            f"{format!r}; leave it out, or export to a SavedModel (a path without suffix)"
        )
    function: NamedFunction = source.part(Part.FUNCTION)(options.signatures[0])
    return function


def size_with_optimizer(source: Model, measures: Measures) -> Size | None:
    """Predict the size of a file of weights: Keras saves an optimizer's state with them."""
    del source
    return None if measures.weights is None else Size(measures.weights + measures.optimizer)


def weight_bytes(variables: Mapping[str, runtime.Live]) -> int:
    """Return the size of all values."""
    return sum(int(math.prod(each.shape)) * (protos.item_size(each.dtype.name) or 0) for each in variables.values())


def _refuse_stand_ins(source: Model, model: runtime.Live, format: str) -> None:
    """Refuse a model with parts that only tfmagic knows; its Lambda layers become Keras's own."""
    stand_ins = dict(keras_2_layers.objects())
    own_lambda = stand_ins.pop("Lambda")
    for layer in _layers(model):
        if type(layer) is own_lambda:
            layer.__class__ = keras_runtime.keras().layers.Lambda
    text = model.to_json()
    used = [name for name in stand_ins if f'"{name}"' in text]
    if used:
        raise errors.UnsupportedConversionError(
            source.form,
            format,
            ("saved_model", "graph_def", "graph_text", "tflite"),
            f"Keras 3 has no counterpart of its {errors.listed(used)}, which tfmagic stands in for: nothing else could "
            "load the file",
        )


def _notes(source: Model, function: NamedFunction) -> Iterator[str]:
    yield from function.notes
    if keras_runtime.is_keras_2(function.model):
        yield "the model is one of tf_keras, and so is the file: Keras 3 may not load it"
    if source.reader.holds_keras_weights and _was_trained(source):
        yield "the file's optimizer and training configuration do not come along"


def _was_trained(source: Model) -> bool:
    """Say whether a file has the state of an optimizer."""
    rows = source.part(Part.VARIABLES) if Part.VARIABLES in source.loaders else ()
    return any(row.name.startswith("optimizer") for row in rows)


def _require_weights(model: runtime.Live, loaded: runtime.Live) -> None:
    """See that what was loaded has every weight, to its last bit: HDF5 has no checksums.

    Raises
    ------
    ConversionError
        If one is not there.
    """
    # Of these Keras writes the sum, and the parts are made anew.
    if any(getattr(layer, "lora_enabled", False) for layer in _layers(model)):
        return
    stored = Counter(digest(weight.numpy()) for weight in loaded.weights)
    for weight in model.weights:
        known = digest(weight.numpy())
        stored[known] -= 1
        if stored[known] < 0:
            raise errors.ConversionError(
                f"the weight {getattr(weight, 'path', weight.name)!r} is another in what was written, so nothing was "
                "left; look at the disk, and whether something trains the model meanwhile"
            )


def digest(value: npt.NDArray[Any]) -> bytes:
    """Tell values apart by shape and bytes: Keras writes a bfloat16 as bytes without a meaning."""
    return hashlib.sha256(repr(value.shape).encode() + np.ascontiguousarray(value).tobytes()).digest()


def _under_keys_of(wanted: tuple[Endpoint, ...], ends: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Give ends the keys of those that they came from; their order in the model stays, if Keras made up new names."""
    if {each.key for each in wanted} == {each.key for each in ends} or len(wanted) != len(ends):
        return ends
    return tuple(each._replace(key=one.key) for one, each in zip(wanted, ends, strict=True))


@contextlib.contextmanager
def _custom_objects(model: runtime.Live) -> Iterator[None]:
    """Let Keras find the classes of the live model's own layers, registered or not."""
    classes = {type(layer).__name__: type(layer) for layer in [model, *_layers(model)]}
    own = {name: each for name, each in classes.items() if not _is_of_keras(each)}
    keras = keras_runtime.tf_keras() if keras_runtime.is_keras_2(model) else keras_runtime.keras()
    with keras.saving.custom_object_scope(own):
        yield


def _is_of_keras(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in {"keras", "tf_keras"}


def _layers(model: runtime.Live) -> list[runtime.Live]:
    """Return a model's layers, those of nested models among them."""
    return list(model._flatten_layers(include_self=False))  # noqa: SLF001 - there is no public way


def _is_lookup(layer: runtime.Live) -> bool:
    return type(layer).__name__ in keras_files.LOOKUPS and _is_of_keras(type(layer))
