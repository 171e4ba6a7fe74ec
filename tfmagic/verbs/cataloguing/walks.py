"""The models below a place, one after the other, in an order that is the same whenever nothing changed.

Directories of servers and of experiments (TensorFlow Serving's versions, Triton's, MLflow's) are folders like others:
each model in them is met. Links to folders are not followed, so nothing goes in a circle or leads out. Not for: reading
models (:mod:`tfmagic.verbs.cataloguing.tasks`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import folder_models, folders, places
from tfmagic.files.addresses.address import path_of
from tfmagic.files.folder_models import Bundle
from tfmagic.verbs.cataloguing import patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.files.folders import Entry
    from tfmagic.verbs.cataloguing.patterns import Pattern

#: Folders of environments and tools, with thousands of files none of which is a model.
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "site-packages"})
#: A cache of model hubs keeps its files here under their digests, and the models beside it as links to them.
_BLOBS, _SNAPSHOTS = "blobs", "snapshots"
#: Notes of a walk; what is left out after them is counted.
_MOST_NOTES = 100


class Met(NamedTuple):
    """A model that a walk came by.

    Attributes
    ----------
    address : Path
        What a reader is given.
    files : tuple of (str, Entry)
        Its files by their paths in its folder, sorted.
    decisive : Entry or None
        The one that makes it a model.
    is_certain : bool
        Whether it is a model by its name.
    elsewhere : str
        A link of its own that leads out of the place, and where to; empty if there is none.
    """

    address: Path
    files: tuple[tuple[str, Entry], ...]
    decisive: Entry | None
    is_certain: bool
    elsewhere: str


@dataclass
class Walk:
    """A walk over places.

    Parameters
    ----------
    places : tuple of str or Path
        Folders, models, patterns, here or at addresses.

    Attributes
    ----------
    notes : list of str
        Which folders could not be looked into, which links were not followed.
    """

    places: tuple[str | Path, ...]
    notes: list[str] = field(default_factory=list)
    left_out: int = 0

    @property
    def waits(self) -> bool:
        """Whether what is read lies at an address, so that who reads it mostly waits."""
        return any(map(places.is_address, self.places))

    @property
    def said(self) -> tuple[str, ...]:
        """The notes, and how many were left out."""
        return (*self.notes, *([f"and {self.left_out:,} more"] if self.left_out else []))

    def models(self) -> Iterator[Met]:
        """Yield the models, none twice.

        Raises
        ------
        FileNotFoundError
            If a place leads nowhere.
        ReadError
            If a place may not be looked into.
        """
        seen: set[Path] = set()
        for place in self.places:
            for model in self._below(place):
                # Two places may be one, or one in the other; within one nothing is met twice.
                real = model.address.parent.resolve() / model.address.name if len(self.places) > 1 else None
                if real is None or real not in seen:
                    seen.update(() if real is None else (real,))
                    yield model

    def _below(self, place: str | Path) -> Iterator[Met]:
        pattern = patterns.Pattern()
        if isinstance(place, str) and patterns.is_pattern(place) and not _is_name(place):
            place, pattern = patterns.parted(place)
        path = folders.unkept(path_of(place))
        places.require_visible(path)
        if places.is_directory(path):
            yield from self._in_folder(path, pattern)
        else:
            yield from self._named(path)

    def _named(self, path: Path) -> Iterator[Met]:
        """Yield the model that is a file, or a checkpoint by its prefix."""
        folder = path.parent
        # What is named itself may be a link to anywhere.
        is_here = places.is_here(path)
        home = Path(folder.resolve().anchor) if is_here else folder
        entries = self._listed(folder, home, is_place=is_here) if not is_here or places.is_directory(folder) else ()
        for bundle in folder_models.bundles(entries or ()):
            if path.name == bundle.name or any(entry.name == path.name for entry in bundle.files):
                yield self._met(folder, bundle, home)
                return
        if is_here or not places.exists(path):
            places.require_existence(path)
        if not is_here:
            # Its server lists nothing: what it is shows as it is read.
            yield self._met(folder, Bundle(path.name, (folders.Entry(path.name),), is_certain=True), home)
            return
        raise errors.ReadError(
            f"{str(path)!r} is no folder, and no model by its name; give a folder, or a model's file"
        )

    def _in_folder(self, place: Path, pattern: Pattern) -> Iterator[Met]:
        home = place.resolve()
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            parts = waiting.pop()
            folder = place.joinpath(*parts)
            entries = self._listed(folder, home, is_place=not parts)
            if entries is None:
                continue
            taken: set[str] = set()
            for bundle in folder_models.bundles([entry for entry in entries if not entry.name.startswith(".")]):
                taken.update(bundle.folders)
                if pattern.matches((*parts, bundle.name) if bundle.name else parts):
                    yield self._met(folder, bundle, home)
            entered = [(*parts, name) for name in self._entered(entries, folder) if name not in taken]
            waiting += [each for each in reversed(entered) if pattern.may_lead(each)]

    def _listed(self, folder: Path, home: Path, *, is_place: bool = True) -> list[Entry] | None:
        try:
            return folders.entries(folder, home)
        except errors.ReadError as error:
            if is_place:
                raise
            self._note(f"{str(folder)!r} was not looked into: {error}")
            return None
        except OSError as error:
            if is_place:
                message = f"{str(folder)!r} cannot be looked into: {error.strerror or error}; check its permissions"
                raise errors.ReadError(message) from error
            self._note(f"{str(folder)!r} was not looked into: {error.strerror or error}")
            return None

    def _entered(self, entries: Iterable[Entry], folder: Path) -> Iterator[str]:
        """Yield the folders that are to be looked into."""
        listed = [entry for entry in entries if entry.is_folder]
        is_hub = {_BLOBS, _SNAPSHOTS} <= {entry.name for entry in listed}
        for entry in listed:
            if entry.name.startswith(".") or entry.name in _PASSED_OVER or (is_hub and entry.name == _BLOBS):
                continue
            if entry.elsewhere:
                self._note(f"the link {str(folder / entry.name)!r} leads out, to {entry.elsewhere!r}: not followed")
            else:
                yield entry.name

    def _met(self, folder: Path, bundle: Bundle, home: Path) -> Met:
        files = [(entry.name, entry) for entry in bundle.files]
        for name in bundle.folders:
            files += self._inside(folder, name, home)
        files = sorted((path, folders.looked_up(folder / path, entry)) for path, entry in files)
        leading = next(((path, entry) for path, entry in files if entry.elsewhere), None)
        elsewhere = f"{leading[0]!r} is a link to {leading[1].elsewhere!r}" if leading else ""
        address = folder / bundle.name if bundle.name else folder
        known = bundle._replace(files=tuple(entry for path, entry in files if path == entry.name))
        return Met(address, tuple(files), folder_models.decisive(known), bundle.is_certain, elsewhere)

    def _inside(self, folder: Path, name: str, home: Path) -> Iterator[tuple[str, Entry]]:
        """Yield the files of a folder that belongs to a model, with all below it."""
        for entry in self._listed(folder / name, home, is_place=False) or ():
            path = f"{name}/{entry.name}"
            if entry.is_folder and not entry.elsewhere:
                yield from self._inside(folder, path, home)
            else:
                yield path, entry

    def _note(self, note: str) -> None:
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(note)
        else:
            self.left_out += 1


def _is_name(place: str) -> bool:
    """Say whether there is something whose own name has the letters of a pattern; an address is not asked for it."""
    return not places.is_address(place) and os.path.lexists(path_of(place))
