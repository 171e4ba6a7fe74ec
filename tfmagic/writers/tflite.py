"""The format ``tflite``: a TensorFlow Lite flatbuffer with one signature, for TFLite's own ops alone.

TensorFlow's converter makes it of a SavedModel; the file then gets the user's names and order. Not for: quantising.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from tfmagic import errors, readers
from tfmagic.files.hidden_places import Scratch
from tfmagic.files.tflite import renaming as tflite_renaming
from tfmagic.graphs import signatures
from tfmagic.models.model import Part
from tfmagic.models.writer import ENDS, Variables, WriteOptions, Writer
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import batch
from tfmagic.writers.saved_model.writer import SavedModelWriter

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource

#: Every model that TFLite takes can be written in these.
_OTHERS = ("saved_model", "graph_def", "graph_text")
#: What the converter says of ops that TFLite lacks.
_LACKING = re.compile(r"(?:TF Select|Custom) ops: ([\w, ]+)")
#: What an end is called on the way.
_PLAIN_KEY = "end_{:06}"
_HALVES = re.compile(r"x(?:b?f16)>")
_LISTS = re.compile(r"TensorList\w*")


@dataclass(frozen=True)
class TFLiteDraft:
    """A flatbuffer on its way to a file."""

    content: bytes
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return len(self.content)

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(self.content)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the file back, to be run by TFLite's interpreter.

        Raises
        ------
        ConversionError
            If that does not take it.
        """
        try:
            loaded: NamedFunction = readers.read(path, trust=True).part(Part.FUNCTION)(key)
        except errors.ConversionError as error:
            said = str(error).replace(repr(str(path)), "what the converter made")
            raise errors.ConversionError(f"{said}; TFLite cannot do this model") from error
        return loaded


class TFLiteWriter(Writer):
    """Writes TensorFlow Lite files."""

    format: ClassVar[str] = "tflite"
    suffixes: ClassVar[tuple[str, ...]] = (".tflite",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.FUNCTION})
    label: ClassVar[str] = "TFLite (.tflite)"
    options: ClassVar[frozenset[str]] = ENDS
    variables: ClassVar[Variables] = Variables.CONSTANTS
    loses_of_signature: ClassVar[str] = "tags and the method name"

    def prepare(self, source: Model, options: WriteOptions) -> TFLiteDraft:
        """Convert the function.

        Raises
        ------
        UnsupportedConversionError
            If TFLite lacks an op, or cannot do it for a batch of any size.
        ConversionError
            If TensorFlow's converter gives up otherwise; its error is the cause.
        """
        if "method" in options.stated:
            raise errors.ConversionError(
                "a TFLite file has no place for a method name, which servers of SavedModels ask for; leave method= out"
            )
        if len(options.signatures) != 1:
            raise errors.ConversionError(
                f"a TFLite file is written with one signature, and there are {errors.listed(options.signatures)}; "
                "name one with signature='…' (--signature on a magic's line)"
            )
        (key,) = options.signatures
        function: NamedFunction = source.part(Part.FUNCTION)(key)
        if batch.has_open_lists(function):
            # TensorFlow's converter finds out as well, and says so in pages that no one can hold back.
            raise _of_known_batch(source)
        options = WriteOptions((key,), signatures.DEFAULT_TAGS)
        draft = SavedModelWriter().of_functions(source, (_with_plain_keys(function),), options)
        with Scratch() as directory:
            saved = directory / "model"
            draft.write(saved)
            content = _converted(source, saved, key)
        keys = (
            {_PLAIN_KEY.format(place): end.key for place, end in enumerate(side)}
            for side in (function.inputs, function.outputs)
        )
        return TFLiteDraft(tflite_renaming.named(content, *keys), draft.notes)

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that converts.

        Raises
        ------
        UnsupportedConversionError
            If other inputs and outputs of a Keras model are meant than its own.
        """
        if source.is_session:
            return None
        if source.is_keras and not source.is_whole:
            reason = "its converter takes a Keras model with its own inputs and outputs only"
            raise errors.UnsupportedConversionError(source.form, "code for tflite", ("saved_model",), reason)
        if source.is_keras:
            # Of a function with a Keras model behind it, the converter writes other values, without a word.
            lines = [f"converter = tf.lite.TFLiteConverter.from_keras_model({source.holder})"]
        else:
            lines = [
                "module = tf.Module()",
                f"module.held = {source.holder}",
                "converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)",
            ]
        return [*lines, f'with open({place!r}, "wb") as file:', "    file.write(converter.convert())"]


def _with_plain_keys(function: NamedFunction) -> NamedFunction:
    """Give the ends keys that every loader takes: TFLite can hold any, the SavedModel on the way there cannot."""
    inputs, outputs = (
        tuple(end._replace(key=_PLAIN_KEY.format(place)) for place, end in enumerate(side))
        for side in (function.inputs, function.outputs)
    )
    return replace(function, inputs=inputs, outputs=outputs)


def _converted(source: Model, saved: Path, key: str) -> bytes:
    tf = runtime.tensorflow()
    try:
        with runtime.eager():
            converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=[key])
            return bytes(converter.convert())
    except Exception as error:
        raise _refusal(source, error) from error


def _refusal(source: Model, error: Exception) -> errors.ConversionError:
    """Word what the converter says in pages."""
    text = str(error)
    lacking = sorted({name.strip() for found in _LACKING.findall(text) for name in found.split(",")})
    if lacking and _HALVES.search(text):
        return errors.UnsupportedConversionError(
            source.form,
            "tflite",
            _OTHERS,
            f"it computes in half precision, for which TFLite has no op ({errors.listed(lacking)}): build the model "
            "with the dtype policy 'float32' (keras.config.set_dtype_policy) and load the same weights",
        )
    if lacking:
        return errors.UnsupportedConversionError(
            source.form,
            "tflite",
            _OTHERS,
            f"TFLite has no op for {errors.listed(lacking)}, and needs TensorFlow's own kernels (SELECT_TF_OPS) for "
            "that; leave that part out by choosing inputs behind it or outputs before it, with inputs={…} and "
            "outputs={…} (--input, --output)",
        )
    if _LISTS.search(text):
        return _of_known_batch(source)
    return errors.ConversionError(f"TensorFlow's converter to TFLite gave up: {error_texts.gist(error)}")


def _of_known_batch(source: Model) -> errors.UnsupportedConversionError:
    return errors.UnsupportedConversionError(
        source.form,
        "tflite",
        _OTHERS,
        "TFLite runs a loop over steps, such as an LSTM's or a GRU's, for a batch of known size only; fix it with "
        "batch=1 (--batch 1)",
    )
