"""The code that makes the results of the verbs of a ConcreteFunction or a session.

Not for: getting those (:mod:`tfmagic.verbs.snippets.sources`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.functions import nested_structures
from tfmagic.models.model import Part
from tfmagic.transforms.merge import merge as planned
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion import sources as conversion_sources
from tfmagic.verbs.snippets import remote_files
from tfmagic.verbs.snippets.example_values import is_argument
from tfmagic.verbs.snippets.sources import Source, spec
from tfmagic.writers import WRITERS, writer_for
from tfmagic.writers.graph_def import frozen_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.functions import NamedFunction

#: What stock TensorFlow has no way to say, by the option that says it.
_LEFT_OUT: Mapping[str, str] = {
    "method": "The method name is always 'tensorflow/serving/predict'.",
    "text": "The message is binary, saved_model.pb.",
    "keep": "tf.train.CheckpointManager numbers checkpoints, and removes old ones.",
}


def freeze(source: Source) -> list[str]:
    """Return the code that freezes a source."""
    output = source.options.get("output")
    return [*source.lines(), "", *frozen_code(source, None if output is None else os.fspath(output))]


def export(source: Source, destination: str | os.PathLike[str]) -> list[str]:
    """Return the code that writes a source in another format."""
    place = os.fspath(destination)
    writer = writer_for(Path(place), source.options.get("format"))
    conversion_sources.require_parts(source.model, writer, WRITERS)
    begun = source.begun
    lines = None if begun is None else writer.code(source, place)
    if begun is None or lines is None:
        return _by_tfmagic(source, place, writer.format)
    return [*begun, "", *_without_counterpart(source.options), *lines]


def _by_tfmagic(source: Source, place: str, format: str) -> list[str]:
    """Return the call that stands for itself."""
    shown = source.name if source.model.path is None else source.place
    ends = {side: conversion_options.named(source.options.get(side)) for side in ("inputs", "outputs")}
    options = {**source.options, **{side: named for side, named in ends.items() if named}}
    said = "".join(f", {name}={value!r}" for name, value in options.items() if value)
    return [
        f"# {format}: stock TensorFlow writes none of it.",
        "import tfmagic",
        "",
        f"tfmagic.export({shown}, {place!r}{said})",
    ]


def _without_counterpart(options: Mapping[str, object]) -> list[str]:
    """Say which options the code leaves out."""
    return [f"# {text}" for name, text in _LEFT_OUT.items() if options.get(name)]


def sign(source: Source, destination: str | os.PathLike[str] | None = None) -> list[str]:
    """Return the code that gives a SavedModel other signatures."""
    options = source.options
    if source.model.reader.message != "SavedModel":
        raise errors.ConversionError(f"only a SavedModel on disk can be signed again, not a {source.model.form}")
    rename, gone = dict(options.get("rename") or {}), options.get("remove") or ()
    gone = (gone,) if isinstance(gone, str) else gone
    keys = [key for _, signed in source.model.part(Part.SIGNATURES) for key in signed if not key.startswith("__")]
    for key in (*rename, *gone):
        if key not in keys:
            raise errors.UnknownNameError(key, "signature", keys)
    kept = {rename.get(key, key): f"loaded.signatures[{key!r}]" for key in keys if key not in gone}
    place = f"{source.where}_signed" if destination is None else os.fspath(destination)
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
        str(source.options.get("second_name", "second")),
        conversion_sources.read_source(second, None, must_exist=False, here=False),
    )
    if source.is_session or other.is_session:
        reason = "two graphs of TensorFlow 1 are joined with import_graph_def and its input_map"
        raise errors.UnsupportedConversionError(source.model.form, "code", (), reason)
    connect = source.options.get("connect")
    pairs = planned(source.function, other.function, connect).pairs
    fed = _called("second", {target.key: f"given[{key.key!r}]" for key, target in pairs})
    names = _arguments(source.function)
    lines = [
        *source.lines(),
        "first = function",
        *remote_files.fetching(other.model),
        *other.lines(),
        "second = function",
        "",
        f"@tf.function(input_signature=[{', '.join(spec(end) for end in source.function.inputs)}])",
        f"def merged({', '.join(names.values())}):",
        f"    given = {_called('first', names)}",
        f"    return {fed}",
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


def _arguments(function: NamedFunction) -> dict[str, str]:
    """Return a name that Python takes for each input, by its key."""
    keys = [end.key for end in function.inputs]
    return dict(zip(keys, nested_structures.identifiers(keys), strict=True))


def _called(name: str, values: Mapping[str, str]) -> str:
    """Return the code of a call by keywords; a key that is no argument's name goes through a dict."""
    if all(map(is_argument, values)):
        return f"{name}({', '.join(f'{key}={value}' for key, value in values.items())})"
    return f"{name}(**{{{', '.join(f'{key!r}: {value}' for key, value in values.items())}}})"
