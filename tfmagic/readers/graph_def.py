"""The form ``graph_def``: a GraphDef message, or a file with one, binary or text, gzipped or not.

Not for: a GraphDef within a MetaGraphDef or a SavedModel.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from tfmagic import errors, functions
from tfmagic.files import message_files, reading, wire
from tfmagic.findings import hazards
from tfmagic.graphs import constants, metagraphs
from tfmagic.graphs import variables as graph_variables
from tfmagic.models import value_blocks
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader
from tfmagic.models.variable_values import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from tfmagic.files import protos
    from tfmagic.frames import VariableRow
    from tfmagic.functions.graph_defs import Shared
    from tfmagic.functions.unsigned_graphs import Ends
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate
    from tfmagic.models.value_blocks import Values


class GraphDefReader(Reader):
    """Reads graphs that have no signature: their ends are proposed."""

    form: ClassVar[str] = "graph_def"
    title: ClassVar[str] = "GraphDef"
    variables_are_constants: ClassVar[bool] = True
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.VARIABLES, Part.FUNCTION})
    has_free_key: ClassVar[bool] = True
    is_open: ClassVar[bool] = True
    message: ClassVar[str] = "GraphDef"
    looks_like: ClassVar[str] = "a GraphDef message, `.pb`, `.pbtxt`"

    def claims(self, candidate: Candidate) -> bool:
        """Say whether this is a GraphDef, by type or by content."""
        return is_message(candidate.value, "GraphDef") or message_files.kind(candidate) == message_files.GRAPH

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; a graph without an envelope has no tags to choose by."""
        del tags
        origin = str(candidate.path) if candidate.path else "a GraphDef message"
        return _model(origin, cache(_loader(candidate)), candidate.path, trust=candidate.trust)

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the code that imports the graph and prunes it to its ends."""
        inputs = source.function.inputs
        feeds, fetches = list(source.tensors("inputs").values()), source.tensors("outputs")
        return [
            "graph_def = tf.compat.v1.GraphDef()",
            f'with open({source.place}, "rb") as file:',
            "    graph_def.ParseFromString(file.read())",
            "wrapped = tf.compat.v1.wrap_function(",
            '    lambda: tf.graph_util.import_graph_def(graph_def, name=""), []',
            f").prune({feeds!r}, {fetches!r})",
            "",
            *source.traced(inputs, "wrapped"),
        ]

    def call(self, source: CodeSource) -> list[str] | None:
        """Return the code that runs the graph in a session."""
        return [
            *_parsing_code(source),
            "with tf.Graph().as_default(), tf.compat.v1.Session() as session:",
            '    tf.graph_util.import_graph_def(graph_def, name="")',
            *(f"    {line}" for line in source.session_run()),
        ]


def _model(origin: str, load: Callable[[], tuple[MetaGraph, ...]], path: Path | None, *, trust: bool) -> Model:
    wrap = functions.wrap_graph_def if trust else partial(wrap_if_harmless, origin)
    return Model(
        GraphDefReader.form,
        origin,
        {
            Part.GRAPH: load,
            Part.VARIABLES: lambda: rows(load()),
            Part.FUNCTION: lambda: partial(_function, load, wrap),
        },
        path=path,
        trusting=None if trust else partial(_model, origin, load, path, trust=True),
        values=lambda row: values_of_constant(load()[0], row),
        state=cache(lambda: functions.saved_model_state.Store(load()[0], trust=trust)),
    )


def _parsing_code(source: CodeSource) -> list[str]:
    """Return the code that reads a GraphDef: a message at hand, text, binary, either of them compressed."""
    if source.path is None:
        return ["", f"graph_def = {source.name}"]
    with reading.opened(source.path) as file:
        head = file.read(message_files.HEAD_BYTES)
    is_packed = head.startswith(reading.GZIP_MAGIC)
    is_text = message_files.message_in_text(reading.head_of(head, message_files.HEAD_BYTES)) is not None
    opened = "gzip.open" if is_packed else "open"
    parse = "text_format.Parse(file.read(), tf.compat.v1.GraphDef())"
    return [
        *(["import gzip"] if is_packed else []),
        *(["from google.protobuf import text_format"] if is_text else []),
        "",
        f'with {opened}({source.place}, "rb") as file:',
        f"    graph_def = {parse if is_text else 'tf.compat.v1.GraphDef.FromString(file.read())'}",
    ]


def values_of_constant(meta_graph: MetaGraph, row: VariableRow) -> Values:
    """Return the values of a constant that is a weight.

    Raises
    ------
    ReadError
        If the graph has none.
    """
    if not constants.has(meta_graph, row.name):
        # Names that are like it are no help: there may be thousands of such variables.
        raise errors.ReadError(
            "a GraphDef has no values of its variables: give the SavedModel or the .meta with the checkpoint"
        )
    try:
        return value_blocks.cut(comparable(constants.value(meta_graph, row.name).reshape(-1), row.dtype))
    except ValueError as error:
        raise errors.ReadError(f"the graph has no value for {row.name!r}: {error}; inspect it again") from error


def rows(graphs: tuple[MetaGraph, ...]) -> tuple[VariableRow, ...]:
    """Return the variables of a graph as it declares them, and the constants that are weights."""
    return (*graph_variables.rows(None, graphs), *(row for graph in graphs for row in constants.weights(graph)))


def _loader(candidate: Candidate) -> Callable[[], tuple[MetaGraph, ...]]:
    """Return what reads the graph."""
    if candidate.path is None:
        data = serialized(candidate.value)
        return lambda: (metagraphs.of_graph_def(wire.Buffer(data)),)
    path = candidate.path
    return lambda: (metagraphs.of_graph_def(message_files.read_message(path, message_files.GRAPH)),)


def _function(  # noqa: PLR0913 - a graph, and the options of its ends
    load: Callable[[], tuple[MetaGraph, ...]],
    wrap: Callable[..., functions.NamedFunction],
    key: str | None = None,
    *,
    inputs: Ends = None,
    outputs: Ends = None,
    shared: Shared | None = None,
) -> functions.NamedFunction:
    """Wrap the graph between the ends given, those proposed for it where none are."""
    (meta_graph,) = load()
    return functions.unsigned_graphs.between(
        partial(wrap, meta_graph.graph_def()), meta_graph, key, inputs, outputs, shared=shared
    )


def wrap_if_harmless(
    origin: str,
    graph_def: protos.Message,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    **options: Any,  # noqa: ANN401 - those of wrap_graph_def
) -> functions.NamedFunction:
    """Wrap a graph that nobody vouched for, as :func:`tfmagic.functions.graph_defs.wrap_graph_def` does.

    Raises
    ------
    UntrustedCodeError
        If what the outputs need would act outside the graph.
    """
    dangers = hazards.of_graph(graph_def, outputs.values(), fed=inputs.values())
    hazards.require_none(dangers, origin)
    return functions.wrap_graph_def(graph_def, inputs, outputs, **options)


def is_message(value: object, name: str) -> bool:
    """Say whether a live object is a message of TensorFlow's with this name, of any descriptor pool."""
    descriptor = getattr(type(value), "DESCRIPTOR", None)
    return getattr(descriptor, "full_name", "") == f"tensorflow.{name}"


def serialized(message: Any) -> bytes:  # noqa: ANN401 - a message of any pool
    """Serialise a live message; what the caller does to it later does not show."""
    data: bytes = message.SerializeToString()
    return data
