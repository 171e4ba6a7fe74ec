"""The verbs: what ``import tfmagic`` offers, and what each magic is.

Not for: how a verb does its work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import readers, registry
from tfmagic.conversions import Export, export, freeze
from tfmagic.merges import merge
from tfmagic.requests import tag_set
from tfmagic.restoration import restore
from tfmagic.runs import Run, run
from tfmagic.runs import compare as verify
from tfmagic.writers import WRITERS

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from tfmagic.model import Model

__all__ = ["Export", "Run", "export", "format_names", "forms", "freeze", "inspect", "merge", "restore", "run", "verify"]


def inspect(
    source: object, *, form: str | None = None, tags: str | Collection[str] | None = None, trust: bool = False
) -> Model:
    """Show what is inside a model: its signatures, ops, functions, variables, assets and layers.

    Parameters
    ----------
    source : object
        A live Keras model, ``tf.function``, ConcreteFunction, ``tf.Module``, loaded SavedModel, Session or Graph, a
        GraphDef or MetaGraphDef message, or a path. Files are read without TensorFlow, and nothing in them is run.
    form : str, optional
        Takes the source for this form (``tfmagic.forms()`` lists them) instead of recognising it.
    tags : str or collection of str, optional
        The tag-set of the MetaGraphDef that is meant, ``"serve,gpu"`` or ``["serve", "gpu"]``.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run, once its graph is asked for.

    Returns
    -------
    Model
        Its tables are DataFrames: ``signatures``, ``ops``, ``functions``, ``variables``, ``metagraphs``, ``assets``,
        ``layers``; its messages are ``graph_def``, ``meta_graph_def``, ``signature_def``.

    Raises
    ------
    FileNotFoundError
        If the path leads nowhere.
    ReadError
        If nothing recognises the source, or it is damaged.
    UnknownNameError
        If there is no such form or tag-set.
    """
    return readers.read(source, form=form, tags=tag_set(tags), trust=trust)


def forms() -> pd.DataFrame:
    """Return which forms can be read, how they look, and in which formats each can be written.

    The table is computed from what readers have and writers need. A single source may have less than its form: a
    Keras file with weights alone has no function.

    Returns
    -------
    DataFrame
        A row a form, by name: ``looks_like``, ``parts``, and a column a format that says whether it is possible.
    """
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    table = registry.conversion_table(readers.READERS, WRITERS)
    rows = [
        {"looks_like": reader.looks_like, "parts": " ".join(sorted(reader.parts)), **row.formats}
        for reader, row in zip(readers.READERS, table, strict=True)
    ]
    return pd.DataFrame(rows, index=pd.Index([row.form for row in table], name="form"))


def format_names() -> list[str]:
    """Return the formats that can be written."""
    return [writer.format for writer in WRITERS]
