"""The format ``tflite``: a TensorFlow Lite flatbuffer with the signatures of its source.

TensorFlow's converter makes it of a SavedModel; the file then gets the user's names and order. Not for: what the
converter is told and says (:mod:`tfmagic.writers.tflite_conversion`).
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from tfmagic import errors, readers
from tfmagic.files.temporary_files import Scratch
from tfmagic.files.tflite import renaming as tflite_renaming
from tfmagic.files.tflite import structure as tflite_structure
from tfmagic.graphs import signatures
from tfmagic.models.model import Part
from tfmagic.models.writer import ENDS, Signatures, Variables, WriteOptions, Writer
from tfmagic.transforms import batch
from tfmagic.transforms.freeze import freeze
from tfmagic.writers import tflite_conversion
from tfmagic.writers.graph_def import FREEZING, wrapped
from tfmagic.writers.saved_model.writer import SavedModelWriter
from tfmagic.writers.tflite_conversion import Wanted, converted, of_known_batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Call

#: What an end is called on the way.
_PLAIN_KEY = "end_{:06}"


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


@dataclass(frozen=True)
class QuantisedDraft(TFLiteDraft):
    """A file with smaller numbers than its source has, and what it is to be tried on."""

    samples: Mapping[str, Sequence[Call]]


class TFLiteWriter(Writer):
    """Writes TensorFlow Lite files."""

    format: ClassVar[str] = "tflite"
    suffixes: ClassVar[tuple[str, ...]] = (".tflite",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.FUNCTION})
    label: ClassVar[str] = "TFLite (.tflite)"
    options: ClassVar[frozenset[str]] = ENDS | {"quantize", "samples", "select_tf_ops"}
    variables: ClassVar[Variables] = Variables.CONSTANTS
    loses_of_signature: ClassVar[str] = "tags and the method name"

    @property
    def signatures(self) -> Signatures:
        """A file has a subgraph for each."""
        return Signatures.MANY

    def prepare(self, source: Model, options: WriteOptions) -> TFLiteDraft:
        """Convert the functions.

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
        functions: list[NamedFunction] = [source.part(Part.FUNCTION)(key) for key in options.signatures]
        if any(map(batch.has_open_lists, functions)):
            # TensorFlow's converter finds out as well, and says so in pages that no one can hold back.
            raise of_known_batch(source)
        if options.quantize:
            # To see what values it reaches, TensorFlow runs the model, and cannot where it reads variables.
            functions = [_frozen(function) for function in functions]
        if options.quantize == "int8":
            tflite_conversion.require_measurable(source, [each.concrete.graph.as_graph_def() for each in functions])
        plain = tuple(map(_with_plain_keys, functions))
        on_the_way = WriteOptions(options.signatures, signatures.DEFAULT_TAGS)
        draft = SavedModelWriter().of_functions(source, plain, on_the_way)
        with Scratch() as directory:
            saved = directory / "model"
            draft.write(saved)
            content = converted(source, saved, options.signatures, _wanted(functions, options))
        ends = {function.key: tuple(map(_own_keys, (function.inputs, function.outputs))) for function in functions}
        content = tflite_renaming.named(content, ends)
        notes = (*draft.notes, *options.notes)
        if not options.quantize:
            return TFLiteDraft(content, notes)
        return QuantisedDraft(content, (*notes, _quantised(content, options.quantize)), options.samples)

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
        elif source.options.get("quantize"):
            lines = [
                FREEZING,
                "",
                "frozen = convert_variables_to_constants_v2(function)",
                "converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])",
            ]
        else:
            lines = [
                "module = tf.Module()",
                f"module.held = {source.holder}",
                "converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)",
            ]
        lines += tflite_conversion.code(source)
        return [*lines, f'with open({place!r}, "wb") as file:', "    file.write(converter.convert())"]


def _frozen(function: NamedFunction) -> NamedFunction:
    """Return a function without variables."""
    frozen = freeze(function)
    return replace(wrapped(frozen, frozen.filled(), function.key), notes=frozen.notes)


def _wanted(functions: Sequence[NamedFunction], options: WriteOptions) -> Wanted:
    """Return what the converter is told; samples go by the keys on the way."""
    samples = {
        function.key: [
            {_PLAIN_KEY.format(place): call[end.key] for place, end in enumerate(function.inputs)}
            for call in options.samples[function.key]
        ]
        for function in functions
        if function.key in options.samples
    }
    return Wanted(options.quantize, samples, options.select_tf_ops)


def _quantised(content: bytes, kind: str) -> str:
    """Say what became of the numbers."""
    description = tflite_structure.described(io.BytesIO(content), "the converted file")
    dtypes = Counter(tensor.dtype for subgraph in description.subgraphs for tensor in subgraph.tensors)
    counts = ", ".join(f"{dtype} {count:,}" for dtype, count in dtypes.most_common())
    if not dtypes["float16" if kind == "float16" else "int8"]:
        return f"nothing was quantised: TFLite leaves small weights as they are (tensors {counts})"
    return f"quantised, {kind}: tensors {counts}"


def _own_keys(side: Sequence[Endpoint]) -> dict[str, str]:
    """Return the user's keys of a side of a signature, by those on the way."""
    return {_PLAIN_KEY.format(place): end.key for place, end in enumerate(side)}


def _with_plain_keys(function: NamedFunction) -> NamedFunction:
    """Give the ends keys that every loader takes: TFLite can hold any, the SavedModel on the way there cannot."""
    inputs, outputs = (
        tuple(end._replace(key=_PLAIN_KEY.format(place)) for place, end in enumerate(side))
        for side in (function.inputs, function.outputs)
    )
    return replace(function, inputs=inputs, outputs=outputs)
