"""The verbs: what ``import tfmagic`` offers, and what each magic is.

Not for: how a verb does its work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import readers

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfmagic.model import Model


def inspect(source: object, *, form: str | None = None, tags: str | Collection[str] | None = None) -> Model:
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
    return readers.read(source, form=form, tags=tag_set(tags))


def tag_set(tags: str | Collection[str] | None) -> tuple[str, ...] | None:
    """Take tags as a list or joined by commas; the empty string is the empty tag-set."""
    if isinstance(tags, str):
        return tuple(tag.strip() for tag in tags.split(",") if tag.strip())
    return None if tags is None else tuple(tags)
