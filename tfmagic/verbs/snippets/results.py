"""The code that makes the results of the verbs of a ConcreteFunction or a session.

Not for: getting those (:mod:`tfmagic.verbs.snippets.sources`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.models.model import Part
from tfmagic.transforms.merge import merge as planned
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.snippets.sources import Source, spec
from tfmagic.writers import writer_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What stock TensorFlow has no way to say, by the option that says it.
_LEFT_OUT: Mapping[str, str] = {
    "method": "The method name is always 'tensorflow/serving/predict'.",
    "text": "The message is binary, saved_model.pb.",
    "keep": "tf.train.CheckpointManager numbers checkpoints, and removes old ones.",
}
_CONVERT = "from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2"


def freeze(source: Source) -> list[str]:
    """Return the code that freezes a source."""
    output = source.options.get("output")
    return [*source.lines(), "", *_frozen(source, None if output is None else os.fspath(output))]


def export(source: Source, destination: str | os.PathLike[str]) -> list[str]:
    """Return the code that writes a source in another format."""
    place = os.fspath(destination)
    format = writer_for(Path(place), source.options.get("format")).format
    makers = _OF_SESSIONS if source.is_session else _OF_FUNCTIONS
    if format not in makers:
        reason = "stock TensorFlow writes none of it"
        raise errors.UnsupportedConversionError(source.model.form, f"code for {format}", sorted(makers), reason)
    return [*source.lines(), "", *_without_counterpart(source.options), *makers[format](source, place)]


def _without_counterpart(options: Mapping[str, object]) -> list[str]:
    """Say which options the code leaves out."""
    return [f"# {text}" for name, text in _LEFT_OUT.items() if options.get(name)]


def _frozen(source: Source, place: str | None) -> list[str]:
    if source.is_session:
        nodes = [name.partition(":")[0] for name in source.tensors("outputs").values()]
        lines = [
            "frozen = tf.compat.v1.graph_util.convert_variables_to_constants(",
            f"    session, session.graph.as_graph_def(), {nodes!r}",
            ")",
        ]
        return [*lines, *(_written("frozen", place) if place else [])]
    keys = sorted(end.key for end in source.function.outputs)
    names = ", ".join(f"{key!r} is Identity{f'_{place}' if place else ''}" for place, key in enumerate(keys))
    lines = [
        _CONVERT,
        "",
        "# Lookup tables are not in the result, and the keys of the signature are lost:",
        f"# {names}.",
        "frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)",
    ]
    return [*lines, *(_written("frozen.graph", place) if place else [])]


def _written(graph: str, place: str) -> list[str]:
    path = Path(place)
    return [
        f"tf.io.write_graph({graph}, {str(path.parent)!r}, {path.name!r}, as_text={path.suffix == '.pbtxt'})",
    ]


def _saved_model(source: Source, place: str) -> list[str]:
    tags = source.options.get("tags")
    note = ["# The tag-set is always 'serve': others take an edit of the message."] if tags else []
    return [
        "module = tf.Module()",
        f"module.held = {source.holder}",
        *note,
        f"tf.saved_model.save(module, {place!r}, signatures={{{source.function.key!r}: function}})",
    ]


def _saved_session(source: Source, place: str) -> list[str]:
    ends = []
    for side in ("inputs", "outputs"):
        pairs = ", ".join(f"{key!r}: graph.get_tensor_by_name({name!r})" for key, name in source.tensors(side).items())
        ends.append(f"    {side}={{{pairs}}},")
    return [
        "# This adds ops to the graph of the session.",
        "graph = session.graph",
        "with graph.as_default():",
        f"    tf.compat.v1.saved_model.simple_save(session, {place!r},",
        *(f"    {line}" for line in ends),
        "    )",
    ]


def _checkpoint(source: Source, place: str) -> list[str]:
    return [f"tf.train.Checkpoint(model={source.holder}).write({place!r})"]


def _saved_variables(_source: Source, place: str) -> list[str]:
    return [
        "# This adds ops to the graph of the session.",
        "with session.graph.as_default():",
        f"    tf.compat.v1.train.Saver().save(session, {place!r})",
    ]


def _keras(source: Source, place: str) -> list[str]:
    return [f"{source.holder}.save({place!r})"]


def _weights(source: Source, place: str) -> list[str]:
    return [f"{source.holder}.save_weights({place!r})"]


def _tflite(source: Source, place: str) -> list[str]:
    if source.is_keras and source.choice.is_other:
        reason = "its converter takes a Keras model with its own inputs and outputs only"
        raise errors.UnsupportedConversionError(source.model.form, "code for tflite", ("saved_model",), reason)
    if source.is_keras:
        # Of a function with a Keras model behind it, the converter writes other values, without a word.
        lines = [f"converter = tf.lite.TFLiteConverter.from_keras_model({source.holder})"]
    else:
        lines = [
            "module = tf.Module()",
            f"module.held = {source.holder}",
            "converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)",
        ]
    return [
        *lines,
        f'with open({place!r}, "wb") as file:',
        "    file.write(converter.convert())",
    ]


def _events(source: Source, place: str) -> list[str]:
    graph = "session.graph.as_graph_def()" if source.is_session else "function.graph.as_graph_def()"
    return [
        f"with tf.summary.create_file_writer({place!r}).as_default():",
        f"    tf.summary.graph({graph})",
    ]


_OF_FUNCTIONS: Mapping[str, Callable[[Source, str], list[str]]] = {
    "checkpoint": _checkpoint,
    "graph_def": _frozen,
    "graph_text": _frozen,
    "h5": _keras,
    "keras": _keras,
    "saved_model": _saved_model,
    "tensorboard": _events,
    "tflite": _tflite,
    "weights": _weights,
}
_OF_SESSIONS: Mapping[str, Callable[[Source, str], list[str]]] = {
    "checkpoint": _saved_variables,
    "graph_def": _frozen,
    "graph_text": _frozen,
    "saved_model": _saved_session,
    "tensorboard": _events,
}


def sign(source: Source, destination: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the code that gives a SavedModel other signatures."""
    options = source.options
    if source.model.form != "saved_model":
        raise errors.ConversionError(f"only a SavedModel on disk can be signed again, not a {source.model.form}")
    rename, gone = dict(options.get("rename") or {}), options.get("remove") or ()
    gone = (gone,) if isinstance(gone, str) else gone
    keys = [key for _, signed in source.model.part(Part.SIGNATURES) for key in signed if not key.startswith("__")]
    for key in (*rename, *gone):
        if key not in keys:
            raise errors.UnknownNameError(key, "signature", keys)
    kept = {rename.get(key, key): f"loaded.signatures[{key!r}]" for key in keys if key not in gone}
    place = f"{source.model.path}_signed" if destination is None else os.fspath(destination)
    pairs = ", ".join(f"{key!r}: {value}" for key, value in kept.items())
    return [
        "",
        "# TensorFlow loads and writes all variables for that, and never in place.",
        f"loaded = tf.saved_model.load({source.place})",
        f"tf.saved_model.save(loaded, {place!r}, signatures={{{pairs}}})",
    ]


def restore(source: Source, checkpoint: str | os.PathLike[str]) -> list[str]:
    """Return the code that puts a checkpoint's values into a live source.

    Raises
    ------
    UnsupportedConversionError
        If names are to be changed on the way.
    """
    place = os.fspath(checkpoint)
    partial = bool(source.options.get("partial"))
    if source.options.get("rename"):
        reason = "TensorFlow and Keras take values under the names that they have in the file"
        raise errors.UnsupportedConversionError(source.model.form, "code with rename=", (), reason)
    if source.is_session:
        return [
            "",
            "# This adds ops to the graph of the session.",
            f"with {source.name}.graph.as_default():",
            f"    tf.compat.v1.train.Saver().restore({source.name}, {place!r})",
        ]
    if place.endswith((".h5", ".keras")):
        mismatch = ", skip_mismatch=True" if partial else ""
        return ["", f"{source.name}.load_weights({place!r}{mismatch})"]
    status = "expect_partial" if partial else "assert_existing_objects_matched"
    return ["", f"tf.train.Checkpoint(model={source.name}).restore({place!r}).{status}()"]


def merge(source: Source, second: object) -> list[str]:
    """Return the code that calls one model on what another gives."""
    other = Source(
        str(source.options.get("second_name", "second")), conversion_options.read_source(second, None, must_exist=False)
    )
    if source.is_session or other.is_session:
        reason = "two graphs of TensorFlow 1 are joined with import_graph_def and its input_map"
        raise errors.UnsupportedConversionError(source.model.form, "code", (), reason)
    connect = source.options.get("connect")
    pairs = planned(source.function, other.function, connect).pairs
    fed = ", ".join(f"{target.key}=given[{key.key!r}]" for key, target in pairs)
    keys = [end.key for end in source.function.inputs]
    lines = [
        *source.lines(),
        "first = function",
        *other.lines(),
        "second = function",
        "",
        f"@tf.function(input_signature=[{', '.join(spec(end) for end in source.function.inputs)}])",
        f"def merged({', '.join(keys)}):",
        f"    given = first({', '.join(f'{key}={key}' for key in keys)})",
        f"    return second({fed})",
    ]
    output = source.options.get("output")
    if output is None:
        return lines
    return [
        *lines,
        "",
        "module = tf.Module()",
        "module.held = [list(first.graph.variables), list(second.graph.variables)]",
        f"tf.saved_model.save(module, {os.fspath(output)!r}, signatures=merged.get_concrete_function())",
    ]
