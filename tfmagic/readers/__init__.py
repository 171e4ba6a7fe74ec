"""The forms, in the order in which they are tried; each source is claimed by one of them.

This is the table of contents. A new form is a new file with a reader, and its line here; one that is not
part of tfmagic is registered (:func:`register`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.models import registration
from tfmagic.models.model import Form, Model, Part
from tfmagic.models.reader import Candidate, Reader
from tfmagic.models.recognition import recognise
from tfmagic.readers.checkpoint import CheckpointReader
from tfmagic.readers.function import FunctionReader
from tfmagic.readers.graph_def import GraphDefReader
from tfmagic.readers.keras_file import KerasFileReader
from tfmagic.readers.keras_model import KerasModelReader
from tfmagic.readers.meta_graph import MetaGraphReader
from tfmagic.readers.saved_model import SavedModelReader
from tfmagic.readers.session import SessionReader
from tfmagic.readers.tflite import TFLiteReader

if TYPE_CHECKING:
    from collections.abc import Collection


__all__ = [
    "READERS",
    "Candidate",
    "Form",
    "Model",
    "Part",
    "Reader",
    "read",
    "register",
    "unregister",
]

READERS: list[Reader] = [
    KerasModelReader(),
    FunctionReader(),
    SessionReader(),
    SavedModelReader(),
    GraphDefReader(),
    MetaGraphReader(),
    CheckpointReader(),
    KerasFileReader(),
    TFLiteReader(),
]
_OWN = frozenset(reader.form for reader in READERS)
_MEMBERS = ("form", "parts", "looks_like", "claims", "read")


def register(reader: object) -> None:
    """Have sources of one more form recognised, as long as this process lives.

    Parameters
    ----------
    reader : Reader
        It is asked after all others. One of the same form that was registered before gives way to it. Of a class
        that does not inherit from Reader, what it lacks gets Reader's defaults.

    Raises
    ------
    TfMagicError
        If it is no reader, or its form is one of tfmagic's own.
    """
    registration.check(reader, "form", _OWN, _MEMBERS)
    whole: Reader = registration.completed(reader, Reader)
    READERS[:] = [*registration.without(READERS, "form", whole.form), whole]


def unregister(form: str) -> None:
    """Forget a form that was registered; tfmagic's own stay."""
    if form not in _OWN:
        READERS[:] = registration.without(READERS, "form", form)


def read(source: object, *, form: str | None = None, tags: Collection[str] | None = None, trust: bool = False) -> Model:
    """Recognise a source and return its model, the parts unread.

    Parameters
    ----------
    source : object
        A live object, a message, a path, or a Model, which is returned as it is.
    form : str, optional
        Takes the source for this form instead of asking what it is.
    tags : collection of str, optional
        The tag-set of the MetaGraphDef that is meant.
    trust : bool
        Whether Python code in the source, such as a Lambda layer's, may run when its graph or function is asked for.

    Raises
    ------
    FileNotFoundError
        If the path leads nowhere.
    UnrecognizedSourceError
        If no form claims the source.
    """
    return recognise(source, READERS, form, tags, trust=trust)
