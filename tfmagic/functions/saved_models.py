"""Load a signature of a SavedModel directory as a function, also where ``tf.saved_model.load`` gives up.

Not for: what the directory holds (``readers/``); that is read without TensorFlow.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import message_files, protos
from tfmagic.files.temporary_files import Scratch
from tfmagic.findings import waits
from tfmagic.functions.graph_defs import Shared, wrap_graph_def
from tfmagic.functions.named_function import NamedFunction, of_concrete
from tfmagic.functions.state import stored_variables
from tfmagic.functions.state.saved_models import Store
from tfmagic.graphs import metagraphs, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.resources import own_state
from tfmagic.runtime import cancellation, concrete_functions, error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from tfmagic.graphs.metagraphs import MetaGraph

#: How a SavedModel calls the class of an optimizer of Keras 2, and of an object that has none.
_OPTIMIZER, _NO_CLASS = "optimizer", "_generic_user_object"


def load_saved_model(
    path: str | os.PathLike[str], tags: Collection[str] | None = None, key: str | None = None
) -> NamedFunction:
    """Load one signature, its variables and tables initialised.

    Parameters
    ----------
    path : path-like
        The directory with ``saved_model.pb`` or ``.pbtxt``.
    tags : collection of str, optional
        The tag-set; may be left out where there is only one.
    key : str, optional
        The signature; may be left out where there is a default one or only one.

    Raises
    ------
    UnknownNameError
        If there is no such signature.
    ConversionError
        If TensorFlow cannot load it in any way; its first error is the cause.
    """
    return SavedModelFunctions(Path(path), None if tags is None else tuple(tags)).function(key)


class _Stated(NamedTuple):
    """What a file states: of each signature its tag-set, its method and notes; what loading may wait for, if it may."""

    signatures: Mapping[str, tuple[tuple[str, ...], str, tuple[str, ...]]]
    waits: str


@dataclass(frozen=True)
class SavedModelFunctions:
    """The signatures of a SavedModel that is loaded once, so that they share their variables.

    Attributes
    ----------
    path : Path
        The directory.
    tags : tuple of str or None
        The tag-set; None where there is only one.
    ema : bool
        Whether variables get their moving averages, of objects of TensorFlow 2.
    unread : bool
        Whether the values of variables stay on the disk until somebody runs what reads them, of objects of TensorFlow 2
        (:mod:`tfmagic.functions.state.stored_variables`).
    whole : bool
        Whether it has to load as it lies, and not as a reduced copy: what was made here is no old model.
    """

    path: Path
    tags: tuple[str, ...] | None
    ema: bool = False
    unread: bool = False
    whole: bool = False
    _loaded: dict[object, runtime.Live] = field(default_factory=dict)
    _shared: Shared = field(default_factory=Shared)

    def function(self, key: str | None = None) -> NamedFunction:
        """Return one signature, as :func:`load_saved_model` does."""
        with runtime.eager():
            loaded = self._load(key)
            chosen = signatures.choose(loaded.signatures, key)
            unknown = (self.tags or signatures.DEFAULT_TAGS, signatures.PREDICT, ())
            tagged, method, notes = self._stated.signatures.get(chosen, unknown)
            if self.ema:
                self._average(loaded.signatures[chosen].variables)
            named = of_concrete(loaded.signatures[chosen], chosen, tags=tagged, method=method, owner=loaded)
            if own_state(concrete_functions.graph_def(named.concrete)):
                named = self._with_outside_state(named)
            named = replace(named, notes=(*named.notes, *notes))
            # The file keeps no order of its own.
            return named.ordered(sorted(one.key for one in named.inputs), sorted(one.key for one in named.outputs))

    def _average(self, variables: Iterable[runtime.Live]) -> None:
        """Give variables that were loaded here the moving averages that lie beside them."""
        files = graph_variables.find_checkpoint(self.path)
        for meta_graph in self._meta_graphs() if files is not None else ():
            averages = Store(meta_graph, files).averages_by_name()
            for variable in variables:
                name = str(variable.name).removesuffix(":0")
                if name in averages:
                    variable.assign(averages[name]())

    @cached_property
    def _stated(self) -> _Stated:
        """What the file states and TensorFlow's loader does not tell."""
        declared: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {}
        waiting = ""
        for meta_graph in self._meta_graphs():
            waiting = waiting or waits.at_loading(meta_graph)
            for key, signature in meta_graph.signature_def.items():
                method = str(signature.method_name) or signatures.PREDICT
                declared.setdefault(key, (meta_graph.tags, method, signatures.default_notes(signature)))
        return _Stated(declared, waiting)

    def _with_outside_state(self, loaded: NamedFunction) -> NamedFunction:
        """Return a function of TensorFlow 1 with variables and tables that can be saved and trained.

        TensorFlow's loader leaves variables by reference, and tables, inside the graph. Where the graph also assigns
        them, it stays so; it can run, and whoever would lose its values on saving refuses it.
        """
        for meta_graph in self._meta_graphs():
            signature = meta_graph.signature_def.get(loaded.key)
            if signature is None or set(meta_graph.tags) != set(loaded.tags):
                continue
            files = graph_variables.find_checkpoint(self.path)
            store = Store(meta_graph, files, self.path / "assets", initialised_last=True)
            ends = (
                {end.key: end.tensor for end in signatures.endpoints(each)}
                for each in (signature.inputs, signature.outputs)
            )
            with contextlib.suppress(errors.TfMagicError):
                return wrap_graph_def(
                    store.graph_def,
                    *ends,
                    values=store.values,
                    tables=store.tables,
                    shared=self._shared,
                    key=loaded.key,
                    tags=loaded.tags,
                    method=loaded.method,
                )
        return loaded

    def _load(self, key: str | None) -> runtime.Live:
        """Load as it is, else what TensorFlow's loaders make of a reduced copy."""
        first: Exception | None = None
        loaded = None
        for reduce in (None,) if self.whole else (None, _without_optimizers, _without_objects):
            try:
                candidate = self._once(reduce)
                # What holds the signatures is an object of the file, and may be any.
                known = () if candidate is None else tuple(candidate.signatures)
            except errors.WriteError:
                raise  # for want of a temporary directory
            except cancellation.EndlessError as error:
                raise errors.ConversionError(
                    f"loading the SavedModel {os.fspath(self.path)!r} {error} ({self._stated.waits}), which the loader "
                    "runs; a frozen graph (%tf_freeze), whose initialiser is left out, may run all the same"
                ) from error
            except Exception as error:  # noqa: BLE001 - the loader runs into anything
                first = first or error
                continue
            if candidate is not None and (key is None or key in known):
                return candidate
            loaded = loaded or candidate
        if first is None and loaded is not None:
            return loaded
        raise errors.ConversionError(
            f"TensorFlow cannot load the SavedModel {os.fspath(self.path)!r}: "
            f"{error_texts.gist(first or ValueError())}; load it with the TensorFlow that wrote it, and export it again"
        ) from first

    def _once(self, reduce: Callable[[protos.Message], bool] | None) -> runtime.Live | None:
        """Load the directory, or a reduced copy, unless that was done before."""
        if reduce not in self._loaded:
            self._loaded[reduce] = self._by_tensorflow(self.path) if reduce is None else self._reduced(reduce)
        return self._loaded[reduce]

    def _by_tensorflow(self, path: Path) -> runtime.Live:
        """Have TensorFlow load a directory, in a thread of its own if what the loader runs may never end."""
        if self.unread and (loaded := self._without_values(path)) is not None:
            return loaded
        return self._bounded(path, None)

    def _without_values(self, path: Path) -> runtime.Live | None:
        """Load a directory with its variables' values left on the disk, None where it has other state."""
        files = graph_variables.find_checkpoint(path)
        if files is None or any(each.object_graph_def is None for each in self._meta_graphs()):
            return None
        options = runtime.tensorflow().saved_model.LoadOptions(experimental_skip_checkpoint=True)
        loaded = self._bounded(path, options)
        # What of it cannot be read TensorFlow words as well.
        with contextlib.suppress(errors.ReadError):
            return loaded if stored_variables.describe(loaded, files.opened) else None
        return None

    def _bounded(self, path: Path, options: runtime.Live) -> runtime.Live:
        tags = None if self.tags is None else list(self.tags)

        def load() -> runtime.Live:
            return runtime.tensorflow().saved_model.load(os.fspath(path), tags=tags, options=options)

        def load_apart() -> runtime.Live:
            with runtime.eager():
                return load()

        return cancellation.bounded(load_apart) if self._stated.waits else load()

    def _meta_graphs(self) -> Iterator[MetaGraph]:
        """Yield the MetaGraphDefs that may be loaded, as they lie in the file."""
        message = message_files.read_message(_file(self.path), message_files.SAVED_MODEL)
        yield from (
            each for each in metagraphs.of_saved_model(message) if set(self.tags or each.tags) == set(each.tags)
        )

    def _reduced(self, reduce: Callable[[protos.Message], bool]) -> runtime.Live | None:
        """Load a copy with some of its messages left out, None if there is nothing to leave out."""
        saved_model = _parse(self.path)
        reduced = [reduce(meta_graph) for meta_graph in saved_model.meta_graphs]
        if not any(reduced):
            return None
        # Assets are read again when the object is saved, so the copy lives as long as the object.
        scratch = Scratch()
        with scratch as copy:
            (copy / "saved_model.pb").write_bytes(saved_model.SerializeToString())
            for name in ("variables", "assets"):
                if (self.path / name).is_dir():
                    _link(self.path / name, copy / name)
            loaded = self._by_tensorflow(copy)
            scratch.belongs_to(loaded)
        return loaded


def _file(path: Path) -> Path:
    """Return the SavedModel's file; TensorFlow reads the binary one where both are."""
    binary = path / "saved_model.pb"
    return binary if binary.is_file() else path / "saved_model.pbtxt"


def _parse(path: Path) -> protos.Message:
    buffer = message_files.read_message(_file(path), message_files.SAVED_MODEL)
    return protos.parse("SavedModel", buffer.data[: buffer.size])


def _without_optimizers(meta_graph: protos.Message) -> bool:
    """Leave out the optimizers, of which an object without a class remains.

    Where the class is missing, a loader can neither make one nor place its slots (``add_slot``).
    """
    nodes = [
        node
        for node in meta_graph.object_graph_def.nodes
        if node.slot_variables or node.user_object.identifier == _OPTIMIZER
    ]
    for node in nodes:
        node.ClearField("slot_variables")
        if node.user_object.identifier == _OPTIMIZER:
            node.user_object.identifier = _NO_CLASS
    return bool(nodes)


def _without_objects(meta_graph: protos.Message) -> bool:
    """Leave out the object graph: the SavedModel is then loaded as TensorFlow 1 would, by its signatures.

    The variables are entered into the collection where that loader looks for them.
    """
    if not meta_graph.HasField("object_graph_def"):
        return False
    trained = {node.variable.name: node.variable.trainable for node in meta_graph.object_graph_def.nodes}
    meta_graph.ClearField("object_graph_def")
    if "variables" in meta_graph.collection_def:
        return True
    readers = {node.input[0]: node.name for node in meta_graph.graph_def.node if node.op == "ReadVariableOp"}
    for node in meta_graph.graph_def.node:
        if node.op == "VarHandleOp" and node.name in readers:
            definition = _definition(node.name, readers[node.name], trained.get(node.name, False))
            meta_graph.collection_def["variables"].bytes_list.value.append(definition.SerializeToString())
    return True


def _definition(name: str, reader: str, trainable: bool) -> protos.Message:  # noqa: FBT001 - a field of the message
    """Return a VariableDef. Its initializer must be some op; it does not run, as the checkpoint is restored."""
    return protos.message("VariableDef")(
        variable_name=f"{name}:0", initializer_name=reader, snapshot_name=f"{reader}:0", is_resource=True,
        trainable=trainable,
    )  # fmt: skip


def _link(source: Path, target: Path) -> None:
    """Make a directory's files appear elsewhere, without copying them if possible."""
    target.mkdir()
    for file in _files(source):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.symlink_to(file.resolve())
        except OSError:  # Windows permits links to few.
            shutil.copy2(file, place)


def _files(directory: Path) -> Iterator[Path]:
    return (file for file in directory.rglob("*") if file.is_file())
