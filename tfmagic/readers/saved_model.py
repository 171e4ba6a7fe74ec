"""The form ``saved_model``: a directory with ``saved_model.pb`` or ``.pbtxt``, of TensorFlow 1 or 2.

Also a base directory of numbered versions, as servers want it, and the layouts before 1.0. Not for: a single graph
file (``graph_def``, ``meta_graph``).
"""

from __future__ import annotations

import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from tfmagic import errors, functions
from tfmagic.files import message_files, places, wire
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.findings import hazards
from tfmagic.graphs import metagraphs, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader
from tfmagic.readers.meta_graph import function_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.findings.scan import Finding
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate

    Signed: TypeAlias = Callable[[], functions.SavedModelFunctions]

BINARY, TEXT, CHUNKED = "saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"
#: Where Keras 2 keeps the configs of its layers, since TensorFlow 2.5.
_KERAS_METADATA = "keras_metadata.pb"
#: How the version stands in the JSON that Keras 2 notes of a model, and as much of that as is looked through.
_KERAS_VERSION, _MOST_METADATA = re.compile(rb'"keras_version": "([0-9][0-9A-Za-z.+-]{0,40})"'), 64 << 20
#: Triton keeps each version's SavedModel in a folder of this name.
_TRITON_FOLDER = "model.savedmodel"
_NO_CHECKPOINT = "there is no checkpoint in it: variables, if there are any, are shown as the graph declares them"


class SavedModelReader(Reader):
    """Reads SavedModels, without loading them."""

    form: ClassVar[str] = "saved_model"
    title: ClassVar[str] = "SavedModel"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION})
    has_tag_sets: ClassVar[bool] = True
    holds_more: ClassVar[bool] = True
    message: ClassVar[str] = "SavedModel"
    looks_like: ClassVar[str] = "a directory with `saved_model.pb` or `.pbtxt`, or of numbered versions of one"

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the path is a SavedModel's directory, its file, or a directory of versions."""
        if candidate.is_directory and candidate.path is not None:
            return _locate(candidate.path) is not None
        return message_files.kind(candidate) == message_files.SAVED_MODEL

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model of the newest version there is.

        Raises
        ------
        UnknownNameError
            If no MetaGraphDef has exactly these tags.
        """
        path = candidate.path
        assert path is not None  # noqa: S101 - a live object is no SavedModel
        file, notes = (path, ()) if candidate.is_file else _newest(path)
        return _model(file, notes, tags, trust=candidate.trust)

    def keras_version(self, model: ShownModel) -> str:
        """Return the version that Keras 2 notes beside each layer; Keras 3 leaves none in an export."""
        metadata = Path(model.origin) / _KERAS_METADATA
        if places.is_file(metadata):
            return _noted_version(places.head(metadata, _MOST_METADATA))
        objects = model.meta_graph.object_graph_def
        noted = (node.user_object.metadata for node in objects.nodes) if objects is not None else ()
        return next(filter(None, (_noted_version(text.encode()) for text in noted)), "")

    def findings(self, model: ShownModel) -> Iterator[Finding]:
        """Yield what each message could do, of two side by side both, Keras's metadata, and which links lead out."""
        # As in Form.
        from tfmagic.findings import file_scan, graph_scan, keras_scan, scan  # noqa: PLC0415
        from tfmagic.findings.scan import Finding  # noqa: PLC0415

        directory = model.path
        assert directory is not None  # noqa: S101 - it was read from one
        files = [file for file in (directory / BINARY, directory / TEXT) if places.is_file(file)]
        metadata = directory / _KERAS_METADATA
        if places.is_file(metadata):
            yield from keras_scan.of_saved_model(None, metadata)
        for file in files:
            graphs = _graphs_in(file, model)
            yield from graph_scan.findings(graphs, file.name if len(files) > 1 else "")
            for meta_graph in graphs:
                yield from keras_scan.of_saved_model(meta_graph.object_graph_def)
        if files and places.is_file(directory / CHUNKED):
            what = f"{CHUNKED!r} lies beside {files[0].name!r}, and is not looked into"
            yield Finding(scan.MEDIUM, what, f"file {CHUNKED!r}", scan.LOAD, scan.TWO_READERS)
        yield from file_scan.of_directory(directory)

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the code that loads it, and takes a signature."""
        tags = list(source.whole.tags)
        return [
            f"loaded = tf.saved_model.load({source.place}, tags={tags!r})",
            f"function = loaded.signatures[{source.whole.key!r}]",
            *source.chosen_ends(),
        ]

    def holder(self, source: CodeSource) -> str:
        """Return what was loaded."""
        del source
        return "loaded"

    def call(self, source: CodeSource) -> list[str] | None:
        """Return the code that loads it and calls a signature, in a session where TensorFlow 2 has no call."""
        if any(key == "self" for key, _ in source.fed()):
            return [
                "",
                "with tf.Graph().as_default(), tf.compat.v1.Session() as session:",
                f"    tf.compat.v1.saved_model.load(session, {source.tags!r}, {source.place})",
                *(f"    {line}" for line in source.session_run()),
            ]
        return [
            "",
            f"model = tf.saved_model.load({source.place}, tags={source.tags!r})",
            f"outputs = model.signatures[{source.key!r}](",
            *source.keywords(),
            ")",
        ]


def _noted_version(data: bytes) -> str:
    """Return the version in the JSON that Keras 2 notes of an object, or in a file of such."""
    noted = _KERAS_VERSION.search(data)
    return noted[1].decode() if noted else ""


def _model(
    file: Path, notes: tuple[str, ...], tags: Collection[str] | None, *, trust: bool, ema: bool = False
) -> Model:
    directory = file.parent
    load = cache(partial(_load, file, None if tags is None else frozenset(tags)))
    if tags is not None:
        load()
    checkpoint = graph_variables.find_checkpoint(directory)
    tag_set = None if tags is None else tuple(tags)
    signed = cache(lambda: functions.SavedModelFunctions(directory, tag_set, ema=ema))
    unread = cache(lambda: functions.SavedModelFunctions(directory, tag_set, unread=True))

    def function(key: str | None = None, *, signed: Signed = signed) -> functions.NamedFunction:
        places.require_no_specials(directory)
        if not trust:
            keys = None if key is None else [key]
            hazards.require_none(loading_hazards(directory, tags, keys), str(directory))
        store = state() if ema else None
        if store is not None:
            return function_of(store, functions.wrap_graph_def, key)
        return signed().function(key)

    state = cache(lambda: _state(load(), checkpoint, directory, trust=trust, ema=ema))
    return Model(
        SavedModelReader.form,
        str(directory),
        {
            Part.GRAPH: load,
            Part.SIGNATURES: lambda: tuple((each.tags, each.signature_def) for each in load()),
            Part.VARIABLES: lambda: graph_variables.rows(checkpoint, load()),
            Part.FUNCTION: lambda: function,
        },
        (*notes, *_missing(directory), *_links(directory), *(checkpoint.notes if checkpoint else (_NO_CHECKPOINT,))),
        directory,
        file,
        trusting=None if trust else lambda: _model(file, notes, tags, trust=True, ema=ema),
        averaging=lambda: _model(file, notes, tags, trust=trust, ema=True),
        ema=ema,
        unread=None if ema else lambda: partial(function, signed=unread),
        narrowed=partial(_narrowed, file, notes, tags, trust),
        checkpoint=lambda: checkpoint_location.kept(checkpoint, graph_variables.find_checkpoint(directory)),
        state=state,
    )


def _state(
    graphs: tuple[MetaGraph, ...], checkpoint: CheckpointFiles | None, directory: Path, *, trust: bool, ema: bool
) -> Store | None:
    """Return the graph and its values as TensorFlow 1 sees them, None where TensorFlow 2 keeps objects."""
    serving = [each for each in graphs if each.tags == signatures.DEFAULT_TAGS]
    chosen = (serving or list(graphs))[0]
    if chosen.object_graph_def is not None:
        return None
    return functions.saved_model_state.Store(
        chosen, checkpoint, directory / "assets", trust=trust, ema=ema, initialised_last=True
    )


def loading_hazards(
    directory: Path, tags: Collection[str] | None = None, keys: Collection[str] | None = None
) -> tuple[hazards.Hazard, ...]:
    """Say what loading a SavedModel and running some of its signatures could do, by the file that TensorFlow loads.

    Parameters
    ----------
    directory : Path
        Where ``saved_model.pb`` or ``.pbtxt`` lies.
    tags, keys : collection of str, optional
        The MetaGraphDef and the signatures that are meant; all if left out.
    """
    file = directory / BINARY
    file = file if places.is_file(file) else directory / TEXT
    dangers: list[hazards.Hazard] = []
    try:
        for meta_graph in metagraphs.of_saved_model(message_files.read_message(file, message_files.SAVED_MODEL)):
            if tags is None or set(meta_graph.tags) == set(tags):
                meant = list(meta_graph.signature_def) if keys is None else keys
                dangers += hazards.of_saved_model(meta_graph.meta_graph_def(), meant)
    except wire.WireError as error:
        message = f"{str(file)!r} is damaged: TensorFlow does not parse it ({error}); fetch or save it again"
        raise errors.CorruptSourceError(message) from error
    return tuple(dict.fromkeys(dangers))


def _narrowed(
    file: Path,
    notes: tuple[str, ...],
    known: Collection[str] | None,
    trust: bool,  # noqa: FBT001 - bound by position
    tags: Collection[str],
) -> Model:
    """Return the model of the MetaGraphDef with these tags; one that stands for another has it not."""
    if known is not None and set(known) != set(tags):
        raise errors.UnknownNameError(",".join(tags), "tag-set", (",".join(known),), SavedModelReader.form)
    return _model(file, notes, tags, trust=trust)


def _locate(directory: Path) -> Path | None:
    """Return the SavedModel's file in a directory or in the newest of its versions."""
    here = _file_in(directory)
    located = here or next((file for version in _versions(directory) if (file := _file_in(version))), None)
    return located if here or (located and not _holds_checkpoint(directory)) else None


def _holds_checkpoint(directory: Path) -> bool:
    """Say whether a directory is a training's, which means its checkpoint, whatever was exported into it."""
    return checkpoint_location.is_checkpoint(directory) or any(
        name.endswith(".meta") for name in places.names(directory)
    )


def _file_in(directory: Path) -> Path | None:
    """Return the SavedModel's file right in a directory; the binary one counts where both are.

    A chunked one is nobody else's; it is claimed to say so.
    """
    for folder in (directory, directory / _TRITON_FOLDER):
        for name in (BINARY, TEXT, CHUNKED):
            file = folder / name
            if places.is_file(file) or places.is_link(file):
                return file
    return None


def _versions(directory: Path) -> list[Path]:
    """Return the numbered versions in a directory, newest first."""
    numbered = [path for path in places.directories(directory) if path.name.isdecimal() and path.name.isascii()]
    return sorted(numbered, key=lambda path: int(path.name[:32]), reverse=True)


def _newest(directory: Path) -> tuple[Path, tuple[str, ...]]:
    """Choose the newest version, and say so if there was a choice."""
    file = _locate(directory)
    if file is None:
        message = f"{str(directory)!r} holds no SavedModel, or not any more: neither {BINARY!r} nor {TEXT!r} is in it"
        raise errors.CorruptSourceError(f"{message}; give the directory that has it")
    if _file_in(directory):
        return file, ()
    versions = [version.name for version in _versions(directory) if _file_in(version)]
    return file, (f"version {versions[0]} is shown, the newest of {errors.listed(versions)} in {str(directory)!r}",)


def _load(path: Path, tags: frozenset[str] | None) -> tuple[MetaGraph, ...]:
    """Read the MetaGraphDefs, all or those with exactly these tags."""
    meta_graphs = metagraphs.of_saved_model(message_files.read_message(path, message_files.SAVED_MODEL))
    if not meta_graphs:
        message = f"{str(path)!r} holds no MetaGraphDef, so there is no model in it; save it again"
        raise errors.CorruptSourceError(message)
    if tags is None:
        return meta_graphs
    chosen = tuple(each for each in meta_graphs if set(each.tags) == tags)
    if not chosen:
        available = [",".join(each.tags) for each in meta_graphs]
        raise errors.UnknownNameError(",".join(sorted(tags)), "tag-set", available, SavedModelReader.form)
    return chosen


def _graphs_in(file: Path, model: ShownModel) -> tuple[MetaGraph, ...]:
    """Return all MetaGraphDefs of a file, those that a model was read from as it has them."""
    if file != model.file:
        return metagraphs.of_saved_model(message_files.read_message(file, message_files.SAVED_MODEL))
    known = {each.start: each for each in model.meta_graphs}
    return tuple(known.get(each.start, each) for each in metagraphs.of_saved_model(model.meta_graphs[0].buffer))


def _links(directory: Path) -> tuple[str, ...]:
    """Say which links lead out of the directory: caches of model hubs consist of such, and they are followed."""
    outside = [f"{name} (to {target})" for name, target in places.links_out(directory)]
    return (f"links that lead out of the directory are followed: {errors.listed(outside)}",) if outside else ()


def _missing(directory: Path) -> tuple[str, ...]:
    """Say which pieces cannot be read."""
    if places.exists(directory / CHUNKED):
        return (f"{CHUNKED!r} is a chunked proto that no public TensorFlow reads; the other file is shown",)
    return ()
