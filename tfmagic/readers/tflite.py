"""TensorFlow Lite flatbuffers: their signatures, operators, tensors and weights, read without TensorFlow.

Running a model needs an interpreter (:mod:`tfmagic.functions.tflite`). Not for: the schema
(:mod:`tfmagic.files.tflite.structure`), or how operators are written as nodes (:mod:`tfmagic.graphs.tflite_graphs`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

from tfmagic import errors, functions
from tfmagic.files import protos
from tfmagic.files.tflite import metadata as tflite_metadata
from tfmagic.files.tflite import structure as tflite_structure
from tfmagic.files.tflite import values as tensor_values
from tfmagic.findings import hazards, tflite_hazards
from tfmagic.findings.scan import LOAD, RUN, finding
from tfmagic.frames import AssetRow, VariableRow
from tfmagic.graphs import tflite_graphs
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.signatures import Endpoint, Ordered, choose
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader
from tfmagic.models.value_blocks import Values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.files.tflite.structure import Description, Subgraph
    from tfmagic.files.tflite.tensors import Tensor
    from tfmagic.findings.scan import Finding
    from tfmagic.graphs.tflite_graphs import TFLiteGraph
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate

SIGNATURE = "serving_default"
METHOD = "tensorflow/serving/predict"
PROPOSAL = "no SignatureDef in the file: inputs and outputs of subgraph 0 are shown as a proposal"
#: Ops that a note lists; the rest is counted.
_LISTED_OPS = 12
#: Inputs and outputs, and letters of its maker's words, that notes tell.
_LISTED_ENDS, _LONGEST = 8, 200

Signatures: TypeAlias = "tuple[tuple[tuple[str, ...], Mapping[str, protos.Message]], ...]"


class TFLiteReader(Reader):
    """Reads TensorFlow Lite flatbuffers, whatever their suffix."""

    form: ClassVar[str] = "tflite"
    title: ClassVar[str] = "TFLite model"
    resizes_inputs: ClassVar[bool] = True
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION})
    has_own_ops: ClassVar[bool] = True
    variables_are_constants: ClassVar[bool] = True
    instead: ClassVar[str] = "give the model that it was made of"
    smaller: ClassVar[str] = "slim what it was made of, and export that once more"
    looks_like: ClassVar[str] = "a `.tflite` flatbuffer"

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the file has TFLite's identifier where a flatbuffer has it."""
        return candidate.head[4:8] == tflite_structure.IDENTIFIER

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model.

        Raises
        ------
        CorruptSourceError
            If the flatbuffer does not parse.
        """
        path = candidate.path
        if path is None:
            raise TypeError(f"a TFLite model is a path, not {candidate.value!r}")
        description = tflite_structure.describe(path)
        load = cache(partial(_graph, path, description))
        loaders: dict[Part, Callable[[], Any]] = {
            Part.GRAPH: lambda: (MetaGraph.of_message(load().message),),
            Part.SIGNATURES: partial(signatures, description),
            Part.VARIABLES: lambda: tuple(_rows(load().weights, description)),
        }
        if description.subgraphs:
            trust = candidate.trust
            loaders[Part.FUNCTION] = lambda: partial(_function, path, description, trust=trust)
        trusting = None if candidate.trust else lambda: self.read(replace(candidate, trust=True), tags)
        return Model(
            self.form,
            str(path),
            loaders,
            tuple(notes(description, path)),
            path,
            beside=tuple(tensor_values.files(path, description)),
            trusting=trusting,
            values=lambda row: _values(path, description, load().weights, row.name),
            packed=partial(_packed, path, description),
        )

    def constant_sizes(self, path: Path) -> tuple[list[tuple[str, int]], int]:
        """Return what each buffer takes, by the first tensor that has it, and what those take that none has."""
        description = tflite_structure.describe(path)
        names: dict[int, str] = {}
        for subgraph in description.subgraphs:
            for tensor in subgraph.tensors:
                names.setdefault(tensor.buffer, tensor.name)
        sizes = dict(enumerate(description.sizes))
        # Buffer 0 is that of tensors without content.
        named = [(names[number], size) for number, size in sizes.items() if number and number in names and size]
        return named, sum(sizes.values()) - sum(size for _, size in named)

    def findings(self, model: ShownModel) -> Iterator[Finding]:
        """Yield what ops could do that are not TFLite's own, and what is read of other folders."""
        if model.path is not None:
            description = tflite_structure.describe(model.path)
            yield from tflite_hazards.bombs(description)
            for hazard in tflite_hazards.of_file(description):
                why = (
                    "whoever registers an op of this name says what it does" if hazard.effect is Effect.UNKNOWN else ""
                )
                what = f"{hazard.effect.value}: {hazard.what}{f' {hazard.subject!r}' if hazard.subject else ''}"
                yield finding(hazard.effect, what, hazard.where, LOAD if hazard.loading else RUN, why)

    def call(self, source: CodeSource) -> list[str] | None:
        """Return the code that calls a signature in TFLite's interpreter."""
        key = source.options.get("signature")
        return [
            "",
            f"interpreter = tf.lite.Interpreter({source.place})",
            f"outputs = interpreter.get_signature_runner({repr(key) if key else ''})(",
            *source.keywords(constants=False),
            ")",
        ]


def _graph(path: Path, description: Description) -> TFLiteGraph:
    """Return the file as messages.

    Raises
    ------
    CorruptSourceError
        If its operators refer to what is not there.
    """

    def contents(number: int) -> bytes:
        if number not in description.files:
            return tensor_values.content(path, description.buffers[number])
        try:
            return tensor_values.content(*tensor_values.place(path, description, number))
        except errors.ReadError:
            # What the graph is, is known all the same.
            return b""

    def corrupt(problem: str) -> NoReturn:
        raise errors.CorruptSourceError(f"{str(path)!r} is damaged: {problem}; copy or download it again")

    return tflite_graphs.of_description(description, _declared(description), contents, corrupt)


def _rows(weights: Mapping[str, Tensor], description: Description) -> Iterator[VariableRow]:
    """Yield a row for each constant that is a weight; one of integers that stand for real numbers is one, too."""
    for name, tensor in weights.items():
        stored = description.buffers[tensor.buffer].length
        yield VariableRow(name, tensor.dtype, tensor.shape, tensor_values.size(tensor), stored, None)


def _values(path: Path, description: Description, weights: Mapping[str, Tensor], name: str) -> Values:
    """Return the real numbers of a weight.

    Raises
    ------
    ReadError
        If there is no such weight.
    """
    if name not in weights:
        raise errors.ReadError(f"{str(path)!r} has no weight {name!r}; inspect it again")
    tensor = weights[name]
    file, place = tensor_values.place(path, description, tensor.buffer)
    return Values(tensor_values.size(tensor), partial(tensor_values.blocks, file, tensor, place))


def _function(path: Path, description: Description, key: str | None = None, *, trust: bool) -> functions.NamedFunction:
    """Make a function of a signature, its ends in the file's order."""
    if not trust:
        hazards.require_none(tflite_hazards.of_file(description), str(path))
    declared = {signature.key: signature for signature in _declared(description)}
    chosen = declared[choose(declared, key)]
    tensors = description.subgraphs[chosen.subgraph].tensors
    inputs, outputs = (
        tuple(Endpoint(name, tensors[number].name, *tensors[number][1:3]) for name, number in ends.items())
        for ends in (chosen.inputs, chosen.outputs)
    )
    flex = tuple(sorted(name for name in description.foreign if name.startswith(tflite_hazards.FLEX)))
    call = functions.tflite.Call(chosen.key, inputs, outputs, is_declared=bool(description.signatures), flex=flex)
    return functions.tflite.load(path, call)


def signatures(description: Description) -> Signatures:
    """Return the signatures in the shape of a SavedModel's; TFLite has no tags.

    A file without any gets :data:`SIGNATURE` from the ends of its first subgraph, as a proposal.
    """
    declared = _declared(description)
    definitions = {signature.key: _signature_def(signature, description) for signature in declared}
    orders = {signature.key: (list(signature.inputs), list(signature.outputs)) for signature in declared}
    return (((), Ordered(definitions, orders)),)


def _packed(path: Path, description: Description) -> Iterator[AssetRow]:
    """Yield the files that belong to a model, the packed ones with the input or output that their metadata name."""
    sizes = tflite_metadata.packed_sizes(path)
    maker = _metadata(path, description)
    owners = {file.name: owner for file, owner in (maker.all_files if maker is not None else ())}
    for name in dict.fromkeys((*owners, *sizes)):
        yield AssetRow("", name, owners.get(name, ""), sizes.get(name))
    for name, size in tensor_values.file_sizes(path, description).items():
        yield AssetRow("", name, "", size)


def _metadata(path: Path, description: Description) -> tflite_metadata.Metadata | None:
    """Return what the maker says of a model, nothing where that is damaged: the model runs without it."""
    try:
        return tflite_metadata.read(path, description)
    except errors.CorruptSourceError:
        return None


def _maker_notes(maker: tflite_metadata.Metadata) -> Iterator[str]:
    """Say in sentences what the maker says of a model."""
    pairs = (("name", maker.name), ("version", maker.version), ("author", maker.author), ("licence", maker.license))
    facts = [f"{key} {_cut(value)!r}" for key, value in pairs if value]
    if facts or maker.description:
        yield "its maker says: " + ", ".join([*facts, *filter(None, [_cut(maker.description)])])
    for side, ends in (("input", maker.inputs), ("output", maker.outputs)):
        for number, end in enumerate(ends[:_LISTED_ENDS]):
            files = (f"{file.kind} in {file.name!r}" for file in end.files)
            words = "; ".join(filter(None, (_cut(end.description), end.content, *end.units, *files)))
            yield f"{side} {number} {end.name!r}{': ' if words else ''}{words}"
        if len(ends) > _LISTED_ENDS:
            yield f"{len(ends) - _LISTED_ENDS:,} {side}s more are described"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def notes(description: Description, path: Path) -> Iterator[str]:
    """Say in sentences what no table shows."""
    if not description.subgraphs:
        yield "no subgraph in the file: there is nothing to run"
    elif not description.signatures:
        yield PROPOSAL
    text = f", {description.text!r}" if description.text else ""
    yield f"TFLite schema {description.schema_version}{text}"
    tensors = sum(len(subgraph.tensors) for subgraph in description.subgraphs)
    stored = f"bytes of constants {description.constant_bytes:,}"
    yield f"subgraphs {len(description.subgraphs):,}, tensors {tensors:,}, {stored}"
    ops = description.ops
    if ops:
        listed = ", ".join(f"{name} {count:,}" for name, count in ops.most_common(_LISTED_OPS))
        rest = len(ops) - _LISTED_OPS
        yield f"ops {ops.total():,}: {listed}" + (f" and {rest} kinds more" if rest > 0 else "")
    if description.files:
        yield f"constants in other files: {errors.listed(dict.fromkeys(description.files.values()))}"
        held = dict.fromkeys((name, description.packings.get(number, "")) for number, name in description.files.items())
        unread = [(name, reason) for name, packing in held if (reason := tensor_values.why_unread(path, name, packing))]
        yield from (f"constants in {name!r}, {reason}, are not read" for name, reason in unread[:_LISTED_ENDS])
    others = [name for name, _ in description.metadata if name != tflite_metadata.NAME]
    if others:
        yield f"metadata: {errors.listed(others)}"
    maker = _metadata(path, description)
    if maker is not None:
        yield from _maker_notes(maker)


def _declared(description: Description) -> Sequence[tflite_structure.Signature]:
    """Return the file's signatures, else the proposal."""
    if description.signatures or not description.subgraphs:
        return description.signatures
    main = description.subgraphs[0]
    return [
        tflite_structure.Signature(
            SIGNATURE, _proposed(main, main.inputs, "input"), _proposed(main, main.outputs, "output"), 0
        )
    ]


def _proposed(subgraph: Subgraph, numbers: Sequence[int], side: str) -> dict[str, int]:
    """Name ends by their tensors; nameless and repeated ones by their position."""
    keys: dict[str, int] = {}
    for position, number in enumerate(numbers):
        key = subgraph.tensors[number].name or f"{side}_{position}"
        while key in keys:
            key = f"{key}_{position}"
        keys[key] = number
    return keys


def _signature_def(signature: tflite_structure.Signature, description: Description) -> protos.Message:
    result = protos.message("SignatureDef")(method_name=METHOD)
    tensors = description.subgraphs[signature.subgraph].tensors
    for ends, numbers in ((result.inputs, signature.inputs), (result.outputs, signature.outputs)):
        for key, number in numbers.items():
            _fill(ends[key], tensors[number])
    return result


def _fill(info: protos.Message, tensor: Tensor) -> None:
    info.name = tensor.name
    try:
        info.dtype = protos.dtype_number(tensor.dtype)
    except KeyError:
        info.dtype = protos.dtype_number("invalid")
    info.tensor_shape.CopyFrom(protos.shape_proto(tensor.shape))
