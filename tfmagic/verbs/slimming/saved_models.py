"""Slim a SavedModel: its message, its checkpoint and its files, each without what no signature needs.

Not for: the edit of a MetaGraphDef (``transforms/slim_*``) or of the checkpoint
(:mod:`tfmagic.verbs.slimming.stored_values`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from tfmagic import errors, functions
from tfmagic.files import copies, early_writing, places, protos, saved_model_files, wire, writing
from tfmagic.files.checkpoints import tensor_bundle
from tfmagic.findings import hazards
from tfmagic.graphs import metagraphs, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import slim_objects
from tfmagic.transforms.slim_graph import GraphUse
from tfmagic.transforms.slim_lists import OrdinaryError
from tfmagic.transforms.slim_message import Reduction
from tfmagic.verbs import signed_files
from tfmagic.verbs.conversion.checks import Source
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.slimming import copy_checks, message_shares
from tfmagic.verbs.slimming.shares import RETAINED, Share
from tfmagic.verbs.slimming.stored_values import StoredValues, read_objects
from tfmagic.writers.saved_model.directory import require_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tfmagic.files.checkpoints.tensor_bundle import Checkpoint
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.models.model import Model
    from tfmagic.transforms.slim_message import Piece
    from tfmagic.verbs.verification.outcome import Verification

_META_GRAPHS = 2
_ASSETS, _DEBUG = "assets", "debug"


@dataclass(frozen=True)
class SavedModelSlim:
    """A SavedModel, and what a copy of it is without.

    Attributes
    ----------
    model : Model
        The source.
    file : Path
        The file with its message.
    retained : frozenset of str
        Kinds that stay.
    """

    model: Model
    file: Path
    retained: frozenset[str]

    @property
    def directory(self) -> Path:
        """Where it is."""
        return self.file.parent

    @cached_property
    def _message(self) -> tuple[wire.Buffer, bool]:
        return signed_files.read_message(self.file)

    @cached_property
    def meta_graphs(self) -> tuple[MetaGraph, ...]:
        """All of its MetaGraphDefs."""
        return metagraphs.of_saved_model(self._message[0])

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """The values of its variables."""
        files = graph_variables.find_checkpoint(self.directory)
        return None if files is None else tensor_bundle.open_checkpoint(files.prefix, files.tables)

    @cached_property
    def uses(self) -> list[GraphUse]:
        """What is needed of each MetaGraphDef."""
        stored = None if self.checkpoint is None else read_objects(self.checkpoint)
        keeps_functions = "functions" in self.retained
        return [GraphUse(each, stored, keeps_functions=keeps_functions) for each in self.meta_graphs]

    @cached_property
    def _decided(self) -> tuple[StoredValues | None, list[Reduction], tuple[str, ...]]:
        """The values, the MetaGraphDefs, and what is to be noted."""
        if self.checkpoint is None:
            return None, self._reductions(frozenset()), ()
        keys = list(self.checkpoint.entries)
        needed = frozenset(key for use in self.uses for key in use.needed_keys(keys))
        slots = frozenset(key for use in self.uses for key in use.slots)
        values = StoredValues(self.checkpoint, self._names(), self.retained, needed, slots)
        if self.checkpoint.version == "V1":
            values = replace(values, needed=frozenset(keys))
        try:
            reductions = self._reductions(values.gone)
            for reduction in reductions:
                reduction.require_sound()
        except OrdinaryError as error:
            values = replace(values, needed=frozenset(keys))
            note = f"all variables stay, as what saves and restores them is out of the ordinary: {error}"
            return values, self._reductions(frozenset()), (note,)
        return values, reductions, ()

    def _reductions(self, gone: frozenset[str]) -> list[Reduction]:
        return [Reduction(use, gone, self.retained) for use in self.uses]

    def _names(self) -> dict[str, str]:
        """Return what each variable is called, by key."""
        files = graph_variables.find_checkpoint(self.directory)
        if files is None or self.checkpoint is None:
            return {}
        rows = graph_variables.rows(files, self.meta_graphs)
        return dict(zip(self.checkpoint.names, (row.name for row in rows), strict=True))

    @property
    def values(self) -> StoredValues | None:
        """The values of its variables, and what becomes of them."""
        return self._decided[0]

    @property
    def reductions(self) -> list[Reduction]:
        """The MetaGraphDefs, and what becomes of them."""
        return self._decided[1]

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the copy."""
        offered: dict[str, None] = {}
        for reduction in self.reductions:
            objects = reduction.use.objects
            if objects is not None:
                offered.update(dict.fromkeys(slim_objects.lost(objects, reduction.functions)))
        calls = (
            f"functions that are no signatures cannot be called any more: {errors.listed(sorted(offered))}; "
            "retain='functions' (--retain functions) keeps them"
        )
        return (*self._decided[2], *([calls] if offered else ()))

    # Files

    def _parts(self) -> Iterator[tuple[Path, str]]:
        """Yield the files beside the message and the values that are part of it, and the folder that each is in."""
        for name in signed_files.PARTS:
            place = self.directory / name
            if place.is_file():
                yield place, ""
            elif place.is_dir() and (self.checkpoint is None or name != self.checkpoint.prefix.parent.name):
                yield from ((file, name) for file in sorted(place.rglob("*")) if file.is_file())

    @cached_property
    def _assets(self) -> set[str]:
        """The names of the assets that stay."""
        headers = [reduction.header() for reduction in self.reductions]
        return {each.filename for header in headers for each in hazards.asset_files(header)}

    def _stays(self, file: Path, folder: str) -> bool:
        if folder == _ASSETS and "assets" not in self.retained:
            return file.relative_to(self.directory / _ASSETS).as_posix() in self._assets
        return folder != _DEBUG or "debug" in self.retained

    def shares(self) -> Iterator[Share]:
        """Yield what takes its bytes."""
        if self.values is not None:
            yield from self.values.shares()
        several = len(self.meta_graphs) > 1
        frame = self.file.stat().st_size - sum(each.bytes for each in self.meta_graphs)
        if frame > 0:
            yield Share.kept("graph", self.file.name, frame, "the message around its graphs")
        for reduction in self.reductions:
            named = f"{','.join(reduction.use.meta_graph.tags)}: " if several else ""
            yield from message_shares.of(reduction, named)
        for file, folder in self._parts():
            yield self._share(file, folder)
        fingerprint = self.directory / saved_model_files.FINGERPRINT
        if fingerprint.is_file():
            yield Share.kept("files", fingerprint.name, fingerprint.stat().st_size, "tells one SavedModel from another")

    def _share(self, file: Path, folder: str) -> Share:
        where, size = file.relative_to(self.directory).as_posix(), file.stat().st_size
        stays = self._stays(file, folder)
        if folder == _ASSETS:
            is_needed = file.relative_to(self.directory / _ASSETS).as_posix() in self._assets
            why = "a signature needs it" if is_needed else "no signature needs it"
            return Share("assets", where, size, stays, why if stays == is_needed else f"{why}; {RETAINED}")
        if folder == _DEBUG:
            why = "tells from which lines of Python nodes come"
            return Share("debug", where, size, stays, f"{why}; {RETAINED}" if stays else why)
        return Share.kept("files", where, size, "lies beside the model, for whoever reads it")

    @property
    def bytes_before(self) -> int:
        """What it takes."""
        fingerprint = self.directory / saved_model_files.FINGERPRINT
        sizes = [file.stat().st_size for file, _ in self._parts()]
        sizes += [self.file.stat().st_size] + ([fingerprint.stat().st_size] if fingerprint.is_file() else [])
        return sum(sizes) + (self.values.bytes if self.values is not None else 0)

    @cached_property
    def _pieces(self) -> list[Piece]:
        """The message in pieces."""
        buffer = self._message[0]
        if not any(each.is_due for each in self.reductions):
            return [buffer.data[: buffer.size]]
        reductions = iter(self.reductions)
        pieces: list[Piece] = []
        place = 0
        for number, kind, _, stop in wire.fields(buffer, 0, buffer.size):
            if number == _META_GRAPHS and kind == wire.BYTES:
                pieces += next(reductions).pieces(wire.written(number << 3 | kind))
            else:
                pieces.append(buffer.data[place:stop])
            place = stop
        return pieces

    @cached_property
    def _text(self) -> bytes | None:
        """The message as text, where it is text."""
        if not self._message[1]:
            return None
        if not any(each.is_due for each in self.reductions):
            return self.file.read_bytes()
        return protos.to_text(protos.parse("SavedModel", b"".join(self._pieces))).encode()

    @property
    def size(self) -> int:
        """What a copy takes, but for its fingerprint where that changes."""
        message = sum(map(len, self._pieces)) if self._text is None else len(self._text)
        parts = sum(file.stat().st_size for file, folder in self._parts() if self._stays(file, folder))
        fingerprint = self.directory / saved_model_files.FINGERPRINT
        parts += fingerprint.stat().st_size if fingerprint.is_file() else 0
        if self.values is None:
            return message + parts
        is_old = self.values.checkpoint.version == "V1" or self.values.checkpoint.notes
        return message + parts + (self.values.bytes if is_old else self.values.copy().size)

    # The copy

    def write(self, place: Path, *, overwrite: bool, check: bool | None) -> tuple[dict[str, Verification], list[str]]:
        """Write the copy, and hold it against the source."""
        if place.suffix in (".pb", ".pbtxt"):
            raise errors.ConversionError(
                f"{str(place)!r} is a name for a graph, and slim copies a SavedModel as one, a directory; name one, or "
                "make a graph with tfmagic.freeze (%tf_freeze)"
            )
        home = self.directory.resolve()
        if place != home and places.is_within(place, home):
            raise errors.WriteError(
                f"{str(place)!r} lies inside of what is read, {str(home)!r}; name a place outside of it"
            )
        extra = (self.directory / saved_model_files.EXTRA).is_dir()
        staging = writing.Staging(place, overwrite=overwrite, directory=True, size=self.size, extra=extra)
        with staging as staged:
            staged.mkdir()
            self._write_values(staged, check=check)
            target = staged / self.file.name
            with early_writing.opened(target) as file:
                file.writelines(self._pieces if self._text is None else [self._text])
            for part, folder in self._parts():
                if self._stays(part, folder):
                    copy = staged / part.relative_to(self.directory)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copies.copy(part, copy)
            verifications = self._verified(staged, check=check)
            copy_checks.require_good(verifications, place, check=check)
            notes = self._fingerprint(staged)
            self.model.require_unchanged()
        return verifications, [*self.notes, *notes, *signed_files.left_out(self.directory), *staging.notes]

    def _write_values(self, staged: Path, *, check: bool | None) -> None:
        if self.values is None:
            return
        folder = self.values.checkpoint.prefix.parent
        if self.values.checkpoint.version == "V1":
            for path in {table.path for table in self.values.checkpoint.tables}:
                copy = staged / path.relative_to(self.directory)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copies.copy(path, copy)
            return
        prefix = staged / folder.relative_to(self.directory) / self.values.checkpoint.prefix.name
        prefix.parent.mkdir(parents=True, exist_ok=True)
        copy_of_values = self.values.copy()
        copy_of_values.write(prefix)
        wrong = [key for key, differs in copy_of_values.differing(prefix) if differs] if check is not False else []
        if wrong:
            raise errors.CorruptSourceError(
                f"the copy does not hold {errors.listed(wrong)} as {str(self.directory)!r} does: it changes meanwhile, "
                "or the disk is damaged; try again once its writer is done"
            )

    def _fingerprint(self, staged: Path) -> tuple[str, ...]:
        """Let TensorFlow make the fingerprint anew, where there was one."""
        if not (self.directory / saved_model_files.FINGERPRINT).is_file():
            return ()
        fresh = runtime.fingerprint(staged) if runtime.is_loaded() else None
        if fresh is None:
            name = saved_model_files.FINGERPRINT
            why = "TensorFlow, which makes a new one, is not loaded"
            return (f"{name!r} told of the old files and is left out: {why}; nothing needs it to load",)
        (staged / saved_model_files.FINGERPRINT).write_bytes(fresh)
        return ()

    def _verified(self, staged: Path, *, check: bool | None) -> dict[str, Verification]:
        """Run each signature of source and copy on the same inputs."""
        verifications: dict[str, Verification] = {}
        for meta_graph in self.meta_graphs:
            tags = meta_graph.tags
            signed = {
                key: copy_checks.Ends(*(signatures.endpoints(side) for side in (each.inputs, each.outputs)))
                for key, each in meta_graph.signature_def.items()
                if not signatures.is_hidden(key)
            }
            if not signed:
                continue
            model = self.model if self.model.narrowed is None else self.model.narrowed(tags)
            named = f"{','.join(tags)}/" if len(self.meta_graphs) > 1 else ""
            # Loaded once for all signatures.
            copy = functions.SavedModelFunctions(staged, tags)
            for key, ends in signed.items():
                source = Source(model, Wish(signature=key), {key: ends}, {})
                loaders = partial(self._require_session, staged, tags)
                verifications[named + key] = copy_checks.compared(source, copy.function, loaders, check=check)[key]
        return verifications

    def _require_session(self, staged: Path, tags: Sequence[str]) -> None:
        """Load the copy as TensorFlow 1 does, where it loads the source."""
        try:
            require_session(staged, tags)
        except errors.ConversionError:
            try:
                require_session(self.directory, tags)
            except errors.ConversionError:
                return
            raise
