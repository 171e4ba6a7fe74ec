"""The format ``onnx``: a frozen graph in ONNX's ops, for other runtimes than TensorFlow's.

``tf2onnx``, which the extra ``onnx`` installs, converts the graph that freezing gives; ``onnxruntime`` checks it. Not
for: weights outside the file, which ONNX has for more than 2 GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.graphs import function_library
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.signature_keys import name_notes
from tfmagic.models.model import Part
from tfmagic.models.writer import ENDS, Library, Variables, Writer
from tfmagic.runtime import error_texts, onnx
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import error_functions
from tfmagic.transforms.freeze import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.models.model import Model
    from tfmagic.models.writer import WriteOptions
    from tfmagic.transforms.frozen_graph import FrozenGraph

_OTHERS = ("saved_model", "graph_def", "graph_text")
_TABLES = of_kind("table", "mutable table")
#: Where ONNX's own ops are, and those that onnxruntime brings.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


@dataclass(frozen=True)
class OnnxDraft:
    """An ONNX model on its way to a file."""

    model: runtime.Live
    frozen: FrozenGraph
    #: What the file calls the inputs and the outputs, in their order.
    names: tuple[Sequence[str], Sequence[str]]

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return int(self.model.ByteSize())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the graph."""
        sides = zip((self.frozen.inputs, self.frozen.outputs), self.names, strict=True)
        pairs = ((end.key, name) for ends, names in sides for end, name in zip(ends, names, strict=True))
        return (*self.frozen.notes, *name_notes("an ONNX file", pairs))

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(self.model.SerializeToString())

    def load(self, path: Path, key: str) -> Callable[[Mapping[str, npt.ArrayLike]], Mapping[str, npt.NDArray[Any]]]:
        """Load the file in onnxruntime.

        Raises
        ------
        MissingDependencyError
            If onnxruntime is not installed.
        ConversionError
            If it does not take the file.
        """
        del key
        try:
            session = onnx.session(path)
        except errors.MissingDependencyError:
            raise
        except Exception as error:
            said = f"onnxruntime does not take the result: {error_texts.gist(error)}"
            raise errors.ConversionError(f"{said}; verify=False (--no-verify) writes it all the same") from error
        named = list(zip(self.names[0], self.frozen.inputs, strict=True))

        def run(inputs: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[Any]]:
            feeds = {name: _given(inputs[end.key], end.dtype) for name, end in named}
            results = session.run(list(self.names[1]), feeds)
            return {end.key: _found(value) for end, value in zip(self.frozen.outputs, results, strict=True)}

        return run


class OnnxWriter(Writer):
    """Writes ONNX files."""

    format: ClassVar[str] = "onnx"
    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.FUNCTION})
    label: ClassVar[str] = "ONNX (.onnx)"
    options: ClassVar[frozenset[str]] = ENDS
    variables: ClassVar[Variables] = Variables.CONSTANTS
    loses_of_signature: ClassVar[str] = "tags and the method name"
    library: ClassVar[Library | None] = Library("tf2onnx", 'pip install "tfmagic[onnx]"')

    def key_notes(self, source: Model, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[str, ...]:
        """Say which outputs cannot be called as they are, because an input is."""
        del source
        names = end_names(list(inputs), list(outputs))
        return name_notes("an ONNX file", zip([*inputs, *outputs], [*names[0], *names[1]], strict=True))

    def prepare(self, source: Model, options: WriteOptions) -> OnnxDraft:
        """Freeze and convert the function.

        Raises
        ------
        UnsupportedConversionError
            If ONNX lacks an op, or the model looks words up in tables.
        ConversionError
            If ``tf2onnx`` gives up otherwise; its error is the cause.
        MissingDependencyError
            If ``tf2onnx`` is not installed.
        """
        if "method" in options.stated:
            raise errors.ConversionError(
                "an ONNX file has no place for a method name, which servers of SavedModels ask for; leave method= out"
            )
        if len(options.signatures) != 1:
            raise errors.ConversionError(
                f"an ONNX file holds one signature, and there are {errors.listed(options.signatures)}; name one with "
                "signature='…' (--signature in a magic or shell)"
            )
        function: NamedFunction = source.part(Part.FUNCTION)(options.signatures[0])
        frozen = freeze(function)
        tables = [node.name for node in function_library.all_nodes(frozen.graph_def) if node.op in _TABLES]
        if tables:
            raise _refusal(
                source,
                f"ONNX has no lookup tables such as {errors.listed(tables)}; leave them out by choosing inputs behind "
                "them, with inputs={…} (--input), and look words up before the model is called",
            )
        names = end_names([end.key for end in frozen.inputs], [end.key for end in frozen.outputs])
        return OnnxDraft(_converted(source, frozen, names), frozen, names)


def end_names(inputs: Sequence[str], outputs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what a file calls its ends: their keys, but no output like an input, as names of values are unique."""
    names = nested_structures.unique([*inputs, *outputs])
    return names[: len(inputs)], names[len(inputs) :]


def _refusal(source: Model, reason: str) -> errors.UnsupportedConversionError:
    return errors.UnsupportedConversionError(source.form, "onnx", _OTHERS, reason)


def _converted(source: Model, frozen: FrozenGraph, names: tuple[Sequence[str], Sequence[str]]) -> runtime.Live:
    inputs, outputs = (
        {name: end.tensor for name, end in zip(side, ends, strict=True)}
        for side, ends in zip(names, (frozen.inputs, frozen.outputs), strict=True)
    )
    graph_def = frozen.filled()
    error_functions.without_complements(graph_def)
    try:
        model = onnx.converted(protos.native(graph_def), inputs, outputs)
    except errors.MissingDependencyError:
        raise
    except Exception as error:
        raise errors.ConversionError(
            f"tf2onnx gave up: {error_texts.gist(error)}; choose other outputs, or another format"
        ) from error
    unknown = sorted({node.op_type for node in _nodes(model.graph) if not _is_known(node)})
    if unknown:
        raise _refusal(
            source,
            f"tf2onnx knows nothing in ONNX for TensorFlow's {errors.listed(unknown)}; leave that part out by choosing "
            "inputs behind it or outputs before it, with inputs={…} and outputs={…} (--input, --output)",
        )
    return model


def _nodes(graph: runtime.Live) -> Iterator[runtime.Live]:
    """Yield the nodes of a graph and of the bodies of its loops and branches."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _is_known(node: runtime.Live) -> bool:
    return node.domain in _DOMAINS and (node.domain not in ("", "ai.onnx") or onnx.knows(node.op_type, ""))


def _given(value: npt.ArrayLike, dtype: str) -> npt.NDArray[Any]:
    """Return a value as onnxruntime takes it: text as ``str``, numbers of exactly their dtype."""
    array = np.asarray(value)
    if dtype == "string":
        texts = [each.decode("utf-8", "surrogateescape") if isinstance(each, bytes) else each for each in array.flat]
        return np.array(texts, dtype=object).reshape(array.shape)
    return array.astype(runtime.tensorflow().as_dtype(dtype).as_numpy_dtype)


def _found(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a result as TensorFlow has it: text as bytes."""
    if value.dtype.kind not in "OU":
        return value
    texts = [str(each).encode("utf-8", "surrogateescape") for each in value.flat]
    return np.array(texts, dtype=object).reshape(value.shape)
