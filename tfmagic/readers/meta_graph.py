"""The form ``meta_graph``: a MetaGraphDef, mostly a ``.meta`` with its checkpoint beside it.

Also the SessionBundle of the releases before 1.0 (``export.meta``). Not for: the checkpoint alone (``checkpoint``).
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar

from tfmagic import functions
from tfmagic.files import message_files, places, wire
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.graphs import metagraphs, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Candidate, Reader
from tfmagic.readers.graph_def import is_message, serialized, wrap_if_harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.graph_defs import Shared
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.functions.unsigned_graphs import Ends
    from tfmagic.models.plain_code import CodeSource

_SUFFIX = ".meta"
_INDEX = ".index"
_STATE_FILE = "checkpoint"
_SESSION_BUNDLE = "export.meta"


class MetaGraphReader(Reader):
    """Reads graphs of TensorFlow 1 with their collections and, if it is there, their checkpoint."""

    form: ClassVar[str] = "meta_graph"
    title: ClassVar[str] = "MetaGraph"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION})
    is_session: ClassVar[bool] = True
    is_open: ClassVar[bool] = True
    holds_more: ClassVar[bool] = True
    message: ClassVar[str] = "MetaGraphDef"
    smaller: ClassVar[str] = (
        "give the checkpoint's '.index' for a copy of its values, or export it to a SavedModel first, and slim that"
    )
    looks_like: ClassVar[str] = "`.meta`, or the prefix, with `.meta`, `.index` and `.data` together"

    def claims(self, candidate: Candidate) -> bool:
        """Say whether this is a MetaGraphDef, a checkpoint's prefix with one beside it, or a directory with one.

        A directory with the state file of a checkpoint is that.
        """
        if is_message(candidate.value, "MetaGraphDef") or beside_prefix(candidate) is not None:
            return True
        return _file_in(candidate) is not None or message_files.kind(candidate) == message_files.META_GRAPH

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; there is one MetaGraphDef, whatever its tags."""
        del tags
        if candidate.path is None:
            data = serialized(candidate.value)
            load = cache(lambda: (MetaGraph.of(data),))
            return _model("a MetaGraphDef message", load, None, None, trust=candidate.trust)
        path = _file_in(candidate) or _beside_checkpoint(candidate.path) or candidate.path
        checkpoint = graph_variables.checkpoint_beside(path)
        origin = candidate.path if beside_prefix(candidate) is not None else path
        load = cache(lambda: (metagraphs.of_meta_graph(_read(path)),))
        return _model(str(origin), load, path, checkpoint, trust=candidate.trust)

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the code that imports the graph and restores its values."""
        prefix = source.where.removesuffix(_SUFFIX)
        return [
            "session = tf.compat.v1.Session(graph=tf.Graph())",
            "with session.graph.as_default():",
            f"    saver = tf.compat.v1.train.import_meta_graph({source.place}, clear_devices=True)",
            f"    saver.restore(session, {prefix!r})",
        ]


def beside_prefix(candidate: Candidate) -> Path | None:
    """Return the MetaGraphDef beside a checkpoint whose prefix is given: with it, it is more than variables."""
    path = candidate.path
    if path is None or candidate.is_directory or path.name.endswith((_INDEX, _SUFFIX)):
        return None
    beside = path.with_name(path.name + _SUFFIX)
    if not places.is_file(beside) or not checkpoint_location.is_checkpoint(path):
        return None
    return beside if message_files.kind(Candidate(beside, beside)) == message_files.META_GRAPH else None


def _read(path: Path) -> wire.Buffer:
    return message_files.read_message(path, message_files.META_GRAPH)


def _model(  # noqa: PLR0913 - where it came from, and how it is read
    origin: str,
    load: Callable[[], tuple[MetaGraph, ...]],
    path: Path | None,
    checkpoint: checkpoint_location.CheckpointFiles | None,
    *,
    trust: bool,
    ema: bool = False,
) -> Model:
    assets = path.parent if path else None
    stores = cache(lambda: functions.saved_model_state.Store(load()[0], checkpoint, assets, trust=trust, ema=ema))
    wrap = functions.wrap_graph_def if trust else partial(wrap_if_harmless, origin)
    notes = () if checkpoint else ("no checkpoint lies beside it: variables are shown as the graph declares them",)
    return Model(
        MetaGraphReader.form,
        origin,
        {
            Part.GRAPH: load,
            Part.SIGNATURES: lambda: tuple((each.tags, each.signature_def) for each in load()),
            Part.VARIABLES: lambda: graph_variables.rows(checkpoint, load()),
            Part.FUNCTION: lambda: partial(function_of, stores(), wrap),
        },
        notes if path else (),
        path,
        trusting=None if trust else partial(_model, origin, load, path, checkpoint, trust=True, ema=ema),
        averaging=partial(_model, origin, load, path, checkpoint, trust=trust, ema=True),
        ema=ema,
        state=stores,
        checkpoint=lambda: checkpoint_location.kept(
            checkpoint, graph_variables.checkpoint_beside(path) if path else None
        ),
    )


def function_of(  # noqa: PLR0913 - a graph, and the options of its ends
    store: Store,
    wrap: Callable[..., NamedFunction],
    key: str | None = None,
    *,
    inputs: Ends = None,
    outputs: Ends = None,
    shared: Shared | None = None,
) -> NamedFunction:
    """Take out the function of a signature if there is one, else between the ends given or proposed."""
    wrap = partial(wrap, store.graph_def, values=store.values, tables=store.tables, shared=shared)
    signed = store.meta_graph.signature_def
    if not any(not signatures.is_hidden(name) for name in signed):
        return functions.unsigned_graphs.between(wrap, store.meta_graph, key, inputs, outputs)
    chosen = signatures.choose(signed, key)
    taken, wanted = (
        functions.unsigned_graphs.by_key(each, signatures.endpoints(side))
        for each, side in ((inputs, signed[chosen].inputs), (outputs, signed[chosen].outputs))
    )
    return wrap(taken, wanted, key=chosen, method=str(signed[chosen].method_name) or signatures.PREDICT)


def _file_in(candidate: Candidate) -> Path | None:
    """Return the MetaGraphDef of a directory that is no checkpoint's and no SavedModel's."""
    entries = candidate.entries
    if candidate.path is None or any(name.startswith("saved_model.") for name in entries):
        return None
    if _SESSION_BUNDLE in entries:
        return candidate.path / _SESSION_BUNDLE
    if _STATE_FILE in entries:
        return None
    files = [candidate.path / name for name in entries if name.endswith(_SUFFIX)]
    return max(files, key=lambda path: (places.modified(path), path.name)) if files else None


def _beside_checkpoint(path: Path) -> Path | None:
    """Return the MetaGraphDef of a checkpoint that the user wants to see as one."""
    files = checkpoint_location.find(path)
    return files.meta_graph if files else None
