"""The verb ``inspect``: apart from the others, so that who only looks at a file does not load what converts.

Not for: recognising or reading a source (:mod:`tfmagic.readers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import readers
from tfmagic.graphs.signatures import tag_set
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfmagic.models.model import Model


@undisturbed
def inspect(
    source: object, *, form: str | None = None, tags: str | Collection[str] | None = None, trust: bool = False
) -> Model:
    """Show what is inside a model: its signatures, ops, functions, variables, assets and layers.

    Parameters
    ----------
    source : object
        A live Keras model, ``tf.function``, ConcreteFunction, ``tf.Module``, loaded SavedModel, Session or Graph, a
        GraphDef or MetaGraphDef message, or a path. Files are read without TensorFlow, and nothing in them is run.
        A path may be an address that ``fsspec`` knows, such as ``s3://bucket/model`` (extras ``remote`` and ``s3``): of
        it is fetched what is asked for, and ``model.fetched`` says how much that was.
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
