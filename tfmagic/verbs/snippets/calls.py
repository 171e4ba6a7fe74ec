"""The code that calls a model on example values, by the names of a signature.

Not for: requests to a server (:mod:`tfmagic.verbs.snippets.serving_requests`).
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import contents
from tfmagic.graphs import tensor_names
from tfmagic.graphs.signatures import DEFAULT_KEY, DEFAULT_TAGS, Endpoint, tag_set
from tfmagic.models.model import Part
from tfmagic.verbs.snippets import example_values

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from tfmagic.verbs.snippets.sources import Source

_NUMPY = "import numpy as np"
_GZIP = b"\x1f\x8b"
#: Bytes by which text is told from a message.
_HEAD = 4096


def run(source: Source) -> list[str]:
    """Return the code that calls a source."""
    makers = {
        "saved_model": _saved_model,
        "graph_def": _graph_def,
        "meta_graph": _session,
        "session": _session,
        "keras_model": _function,
        "keras_file": _function,
        "function": _function,
        "tflite": _tflite,
    }
    if source.model.form not in makers:
        reason = "it holds nothing that can be called"
        raise errors.UnsupportedConversionError(source.model.form, "a call", sorted(makers), reason)
    return [_NUMPY, *makers[source.model.form](source)]


def ends(frame: pd.DataFrame, key: str | None, side: str) -> list[Endpoint]:
    """Return the ends of a signature from the table of signatures; without a key, those of the default one."""
    of_key = frame[frame["signature"] == (key or default_key(frame))]
    # Where several tag-sets have it, what servers ask for is meant.
    tags = _tag_set(of_key)
    chosen = of_key[(of_key["tags"] == tags) & (of_key["side"] == side)]
    return [Endpoint(*row) for row in chosen[["key", "tensor", "dtype", "shape"]].itertuples(index=False, name=None)]


def default_key(frame: pd.DataFrame) -> str:
    """Return the key of the signature that is meant where none is named."""
    keys = list(dict.fromkeys(frame["signature"]))
    return DEFAULT_KEY if DEFAULT_KEY in keys or not keys else keys[0]


def _tag_set(frame: pd.DataFrame) -> str:
    """Return the tag-set of the rows of a signature, the one that servers ask for if there are several."""
    tag_sets = list(dict.fromkeys(frame["tags"]))
    return ",".join(DEFAULT_TAGS) if ",".join(DEFAULT_TAGS) in tag_sets or not tag_sets else tag_sets[0]


def _given(source: Source, side: str) -> list[Endpoint]:
    return ends(source.model.signatures, source.options.get("signature"), side)


def _saved_model(source: Source) -> list[str]:
    frame = source.model.signatures
    key = source.options.get("signature") or default_key(frame)
    tags = list(tag_set(source.options.get("tags") or _tag_set(frame[frame["signature"] == key])) or ())
    feeds = _given(source, "input")
    return [
        "",
        f"model = tf.saved_model.load({source.place}, tags={tags!r})",
        f"outputs = model.signatures[{key!r}](",
        *_keywords(feeds),
        ")",
    ]


def _function(source: Source) -> list[str]:
    """Call what is traced of a live model."""
    function = source.function
    return [*source.lines(), "", "outputs = function(", *_keywords(function.inputs), ")"]


def _keywords(inputs: Iterable[Endpoint]) -> list[str]:
    """Return a line an argument; a key that is no identifier goes through a dict."""
    values = [(end.key, f"tf.constant({example_values.array(end)})") for end in inputs]
    if all(key.isidentifier() for key, _ in values):
        return [f"    {key}={value}," for key, value in values]
    return ["    **{", *(f"        {key!r}: {value}," for key, value in values), "    }"]


def _graph_def(source: Source) -> list[str]:
    return [
        *_parsed(source),
        "with tf.Graph().as_default(), tf.compat.v1.Session() as session:",
        '    tf.graph_util.import_graph_def(graph_def, name="")',
        *(f"    {line}" for line in _session_run(source)),
    ]


def _parsed(source: Source) -> list[str]:
    """Return the code that reads a GraphDef: a message at hand, text, binary, either of them compressed."""
    path = source.model.path
    if path is None:
        return ["", f"graph_def = {source.name}"]
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    with gzip.open(path) if is_packed else path.open("rb") as file:
        is_text = contents.message_in_text(file.read(_HEAD)) is not None
    opened = "gzip.open" if is_packed else "open"
    parse = "text_format.Parse(file.read(), tf.compat.v1.GraphDef())"
    return [
        *(["import gzip"] if is_packed else []),
        *(["from google.protobuf import text_format"] if is_text else []),
        "",
        f'with {opened}({source.place}, "rb") as file:',
        f"    graph_def = {parse if is_text else 'tf.compat.v1.GraphDef.FromString(file.read())'}",
    ]


def _session(source: Source) -> list[str]:
    model = source.model
    if Part.FUNCTION not in model.loaders or (model.path is None and model.form == "meta_graph"):
        reason = "a graph alone has no values for its variables; give the session, or the checkpoint beside it"
        raise errors.UnsupportedConversionError(source.model.form, "a call", ["session", "meta_graph"], reason)
    return [*source.lines(), *_session_run(source)]


def _session_run(source: Source) -> list[str]:
    fetched = {end.key: tensor_names.full(end.tensor) for end in _given(source, "output")}
    feeds = _given(source, "input")
    fed = ", ".join(f"{tensor_names.full(end.tensor)!r}: {example_values.array(end)}" for end in feeds)
    return [f"outputs = session.run({fetched!r}, {{{fed}}})"]


def _tflite(source: Source) -> list[str]:
    key = source.options.get("signature")
    feeds = _given(source, "input")
    values = [f"    {end.key}={example_values.array(end)}," for end in feeds]
    return [
        "",
        f"interpreter = tf.lite.Interpreter({source.place})",
        f"outputs = interpreter.get_signature_runner({key or ''!r})(" if key else
        "outputs = interpreter.get_signature_runner()(",
        *values,
        ")",
    ]  # fmt: skip
