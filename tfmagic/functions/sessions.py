"""Take a function out of a TF1 session, its variables and tables with the content they have there.

The user's graph is only read: no op is added, so a finalised graph serves, and twice as well as once. Not for:
proposing where a graph begins and ends (:mod:`tfmagic.graphs.plumbing`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.functions.graph_defs import wrap_graph_def
from tfmagic.functions.named_function import as_array
from tfmagic.functions.state import table_objects
from tfmagic.functions.tf_functions import is_a
from tfmagic.graphs.resources import REF_VARIABLES
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from tfmagic.functions.graph_defs import Values
    from tfmagic.functions.named_function import NamedFunction

#: Where the inputs of an op that fills a table begin: the table itself comes first.
_TABLE_FILLERS = ("InitializeTableV2", "LookupTableImportV2")
_TABLE_EXPORT = "LookupTableExportV2"


def of_session(
    session: runtime.Live,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    *,
    read: Values | None = None,
    **others: runtime.Live,
) -> NamedFunction:
    """Return the function between named tensors of a session's graph.

    Parameters
    ----------
    session : tf.compat.v1.Session
        Or a MonitoredSession, whose hooks do not run.
    inputs, outputs : mapping of str to str
        The tensors' names by the keys they are to have, in order.
    read : callable, optional
        Gives the values of variables by the names of their nodes; those that the session has if left out.
    **others
        ``key``, ``tags``, ``method`` of the NamedFunction.

    Raises
    ------
    UnknownNameError
        If the graph has no such tensor.
    ConversionError
        If a variable is not initialised, or what a table holds cannot be found out.
    """
    inner = raw(session)
    return wrap_graph_def(
        _graph_def(inner.graph, outputs.values()),
        inputs,
        outputs,
        values=read or (lambda names: values(inner, names)),
        tables=lambda names: {name: table(inner, name) for name in names},
        **others,
    )


def raw(session: runtime.Live) -> runtime.Live:
    """Return the session inside a MonitoredSession, a plain one itself."""
    if not is_a(session, "_MonitoredSession"):
        return session
    try:
        return session.run_step_fn(lambda step_context: step_context.session)
    except (AttributeError, RuntimeError) as error:
        raise _closed() from error


def _graph_def(graph: runtime.Live, outputs: Iterable[str]) -> runtime.Live:
    """Return a graph's GraphDef with the shapes of its outputs, which a loop or a branch would not keep."""
    result = graph.as_graph_def()
    wanted = {name.partition(":")[0] for name in outputs}
    for node in result.node:
        if node.name in wanted:
            tensors = graph.get_operation_by_name(node.name).outputs
            node.attr["_output_shapes"].list.shape.extend(tensor.shape.as_proto() for tensor in tensors)
    return result


def _closed() -> errors.ReadError:
    return errors.ReadError("the session is closed, and its variables went with it: give one that is open")


def values(session: runtime.Live, names: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Read variables, by the names of their nodes, through tensors that the graph has already.

    Raises
    ------
    ReadError
        If the session is closed.
    ConversionError
        If a variable is not initialised, or nothing reads it.
    """
    tensors = {name: reading(session.graph, name) for name in names}
    try:
        # A scalar of text comes as bytes.
        arrays = {name: as_array(value) for name, value in session.run(tensors).items()}
    except RuntimeError as error:
        raise _closed() from error
    except runtime.tensorflow().errors.FailedPreconditionError as error:
        missing = errors.listed(without_value(session, names) or names)
        raise errors.ConversionError(
            f"variables of the session have no value: {missing}; run their initializer "
            "(tf.compat.v1.global_variables_initializer()) or restore a checkpoint first"
        ) from error
    return arrays


def without_value(session: runtime.Live, names: Iterable[str]) -> list[str]:
    """Return those variables, by the names of their nodes, that a session has no value for.

    They are read where they lie, and nothing is copied out of the session; one that nothing reads by itself is passed
    over.

    Raises
    ------
    ReadError
        If the session is closed.
    """
    readers = {}
    for name in names:
        with suppress(errors.ConversionError, KeyError):
            readers[name] = reading(session.graph, name).op
    return _failing(session, readers)


def _failing(session: runtime.Live, readers: Mapping[str, runtime.Live]) -> list[str]:
    """Return the names of those ops that cannot run: all in one go, else half by half."""
    if not readers:
        return []
    try:
        # A variable by reference runs without a value: what it gives is looked at, and not fetched.
        session.run([op if op.type not in REF_VARIABLES else _identity(op) for op in readers.values()])
    except RuntimeError as error:
        raise _closed() from error
    except runtime.tensorflow().errors.FailedPreconditionError:
        if len(readers) == 1:
            return list(readers)
        names = list(readers)
        half = len(names) // 2
        return [
            name
            for part in (names[:half], names[half:])
            for name in _failing(session, {key: readers[key] for key in part})
        ]
    return []


def _identity(op: runtime.Live) -> runtime.Live:
    """Return the op that reads a variable by reference for others, else the tensor, which is fetched then."""
    readers = (each for each in op.outputs[0].consumers() if each.type == "Identity" and not each.control_inputs)
    return next(readers, op.outputs[0])


def reading(graph: runtime.Live, name: str) -> runtime.Live:
    """Return a tensor with a variable's value, one whose reading sets nothing else in motion.

    Raises
    ------
    ConversionError
        If the graph has none.
    """
    node = graph.get_operation_by_name(name)
    if node.type in REF_VARIABLES:
        return node.outputs[0]
    readers = [op for op in node.outputs[0].consumers() if op.type == "ReadVariableOp"]
    plain = [op for op in readers if not op.control_inputs]
    if not plain:
        raise errors.ConversionError(
            f"nothing in the graph reads the variable {name!r} by itself, and no op is added to a user's graph: save a "
            "checkpoint and convert that, or read the variable once (variable.read_value()) before the conversion"
        )
    return plain[0].outputs[0]


def table(session: runtime.Live, name: str) -> runtime.Live:
    """Make a table with the content that one has in the session."""
    node = session.graph.get_operation_by_name(name)
    consumers = node.outputs[0].consumers()
    fill = next((op for op in consumers if op.type in table_objects.TEXT_FILLERS), None)
    if fill is not None:
        path = session.run(fill.inputs[1]).decode()
        return table_objects.of_text_file(node.node_def, fill.node_def, path)
    return table_objects.of_content(node.node_def, *session.run(list(_content(name, node, consumers))))


def _content(name: str, node: runtime.Live, consumers: Sequence[runtime.Live]) -> Iterator[runtime.Live]:
    """Return the tensors with a table's keys and values: what fills it, or exports it if it can have changed."""
    wanted = _TABLE_FILLERS if node.type == "HashTableV2" else (_TABLE_EXPORT,)
    op_with_content = next((op for op in consumers if op.type in wanted), None)
    if op_with_content is None:
        raise errors.ConversionError(
            f"what the table {name!r} ({node.type}) holds is known to the session only, and no op is added to a user's "
            "graph: save a checkpoint (a tf.compat.v1.train.Saver adds the op that reads the table), then convert"
        )
    return iter(op_with_content.outputs if op_with_content.type == _TABLE_EXPORT else op_with_content.inputs[1:])


def meta_graph_def(graph: runtime.Live) -> runtime.Live:
    """Describe a graph with its shapes and collections in TensorFlow's own MetaGraphDef; adds nothing to it."""
    with graph.as_default():
        return runtime.tensorflow().compat.v1.train.export_meta_graph(graph=graph)
