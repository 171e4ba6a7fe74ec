"""The code that calls a model on example values, by the names of a signature.

Not for: requests to a server (:mod:`tfmagic.verbs.snippets.serving_requests`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.models.model import Part
from tfmagic.readers import READERS
from tfmagic.verbs.snippets import example_values

if TYPE_CHECKING:
    from tfmagic.verbs.snippets.sources import Source

_NUMPY = "import numpy as np"


def run(source: Source) -> list[str]:
    """Return the code that calls a source.

    Raises
    ------
    UnsupportedConversionError
        If nothing in it can be called.
    """
    model = source.model
    is_callable = Part.FUNCTION in model.loaders
    if model.reader.is_session and (not is_callable or (model.path is None and model.live is None)):
        reason = "a graph alone has no values for its variables; give the session, or the checkpoint beside it"
        sessions = [reader.form for reader in READERS if reader.is_session]
        raise errors.UnsupportedConversionError(model.form, "a call", sessions, reason)
    if not is_callable:
        callables = [reader.form for reader in READERS if Part.FUNCTION in reader.parts]
        raise errors.UnsupportedConversionError(model.form, "a call", callables, "it holds nothing that can be called")
    lines = model.reader.call(source)
    return [_NUMPY, *(_of_begun(source) if lines is None else lines)]


def _of_begun(source: Source) -> list[str]:
    """Call the function or the session that a source is brought to; what nobody can bring there calls tfmagic."""
    if source.begun is None:
        feeds = ", ".join(f"{key!r}: {value}" for key, value in source.fed())
        shown = source.name if source.path is None else source.place
        return ["import tfmagic", "", f"outputs = tfmagic.run({shown}, {{{feeds}}}).outputs"]
    if source.is_session:
        return [*source.begun, *source.session_run()]
    return [*source.begun, "", "outputs = function(", *example_values.keywords(source.function.inputs), ")"]
