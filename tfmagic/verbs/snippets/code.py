"""The code that stands for a verb: which verbs have some, and how it is shown."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.graphs.signatures import tag_set
from tfmagic.verbs.conversion import sources as conversion_sources
from tfmagic.verbs.snippets import calls, remote_files, results
from tfmagic.verbs.snippets.remote_files import Sent
from tfmagic.verbs.snippets.sources import Source
from tfmagic.writers import writer_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_IMPORT = "import tensorflow as tf"


@dataclass(frozen=True, repr=False)
class Code:
    """Python that does with TensorFlow alone what a verb of tfmagic does.

    Attributes
    ----------
    text : str
        The code, its comments saying what stock TensorFlow cannot.
    """

    text: str

    def __repr__(self) -> str:
        return self.text

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def code(verb: str, source: object, *arguments: object, name: str = "model", **options: Any) -> Code:  # noqa: ANN401
    """Return plain TensorFlow code for a call of a verb; nothing is converted.

    Parameters
    ----------
    verb : str
        ``"freeze"``, ``"export"``, ``"sign"``, ``"merge"``, ``"restore"`` or ``"run"``.
    source : object
        What the verb is called on.
    *arguments
        What else it is called on: a destination, a second model, a checkpoint.
    name : str
        What a live source is called in the code.
    **options
        The verb's own options.

    Raises
    ------
    UnknownNameError
        If no such verb converts anything.
    UnsupportedConversionError
        If stock TensorFlow cannot do it at all.
    """
    if verb not in _VERBS:
        raise errors.UnknownNameError(verb, "verb that converts", list(_VERBS))
    tags = tag_set(options.get("tags"))
    of_source = tags is not None and _tells_the_part(verb, arguments, options.get("format"))
    model = conversion_sources.read_source(
        source, tags, must_exist=of_source, trust=bool(options.get("trust")), here=False
    )
    for option, reason in _WITHOUT_CODE.items():
        if options.get(option):
            raise errors.UnsupportedConversionError(model.form, f"code with {option}=", (), reason)
    sent = Sent.of(verb, arguments, options)
    lines = _VERBS[verb](Source(name, model, sent.options), *sent.arguments)
    first = [_IMPORT] if any("tf." in line for line in lines) else []
    fetched = [*remote_files.fetching(model), *sent.fetched]
    of_files = [remote_files.IMPORT] if any("fsspec." in line for line in (*fetched, *lines, *sent.lines)) else []
    return Code("\n".join([*of_files, *first, *fetched, *lines, *sent.lines]).rstrip() + "\n")


def _tells_the_part(verb: str, arguments: Sequence[object], format: str | None) -> bool:
    """Say whether tags are those of the source; a SavedModel that is written gets them."""
    return verb == "freeze" or (verb == "export" and not writer_for(Path(str(arguments[0])), format).has_tag_sets)


#: Options that stock TensorFlow could follow by a program only, not by a few lines.
_WITHOUT_CODE: Mapping[str, str] = {
    **dict.fromkeys(("signatures", "rename_tags"), "the code shows one signature"),
    "ema": "the averages are restored by a Saver of their own, tf.train.ExponentialMovingAverage.variables_to_restore",
    **dict.fromkeys(("bind", "keep_variables"), "it is an edit of the graph's messages, node by node"),
}
_VERBS: Mapping[str, Callable[..., list[str]]] = {
    "export": results.export,
    "freeze": results.freeze,
    "merge": results.merge,
    "restore": results.restore,
    "run": calls.run,
    "sign": results.sign,
}
