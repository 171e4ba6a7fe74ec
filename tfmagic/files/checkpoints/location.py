"""Find the checkpoint that a path means: a prefix, an index, a shard, a V1 file, a directory, a state file.

Looks at names, and at the first and last bytes of a file whose name alone does not tell. Not for: what is inside a
checkpoint (:mod:`tfmagic.files.checkpoints.tensor_bundle`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import file_marks, places, protos
from tfmagic.files.checkpoints import sorted_tables, tensor_bundle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

#: The name of the text file in which ``tf.train`` keeps track of a directory's checkpoints.
STATE_FILE = "checkpoint"

_STATE_MARK = re.compile(rb"^\s*(?:#[^\n]*\n\s*)*(?:all_)?model_checkpoint_path", re.ASCII)
_STATE_BYTES = 1 << 20
_SHARD = re.compile(r"(?P<prefix>.+)\.data-(?P<number>\d{5,})-of-(?P<count>\d{5,})", re.DOTALL)
#: Saver returns a V1 checkpoint of several files with question marks for the number.
_V1_SHARD = re.compile(r"(?P<prefix>.+)-(?P<number>\d{5}|\?{5})-of-(?P<count>\d{5})", re.DOTALL)
_V1_NAME = re.compile(r".*(?:-\d{5}-of-\d{5}|\.ckpt(?:-\d+)?)", re.DOTALL)
_STEP = re.compile(r"(\d+)$")
#: Directories with one of these are of another form: a SavedModel, or a SessionBundle of the releases before 1.0.
_OTHER_FORMS = frozenset({"saved_model.pb", "saved_model.pbtxt", "saved_model.cpb", "export.meta"})
#: A message's tags that can follow the length of a table's first value: a V1 list, or a V2 header.
_FIRST_TAGS = frozenset(b"\x08\x0a\x1a")


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of one checkpoint.

    Attributes
    ----------
    prefix : Path
        The checkpoint's name, as TensorFlow takes it.
    tables : tuple of Path
        Its index, or its V1 files; none if only data shards are there.
    notes : tuple of str
        How it was chosen, and what is missing beside it.
    """

    prefix: Path
    tables: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    _read: list[tuple[list[file_marks.Mark | None], tensor_bundle.Checkpoint]] = field(
        default_factory=list, init=False, compare=False, repr=False
    )

    @property
    def opened(self) -> tensor_bundle.Checkpoint:
        """What it stores; its tables are read once, and again when they are others.

        Raises
        ------
        CorruptSourceError
            If a table is missing, truncated or does not parse.
        """
        marks = [file_marks.of(table) for table in self.tables]
        if not self._read or self._read[0][0] != marks:
            self._read[:] = [(marks, tensor_bundle.open_checkpoint(self.prefix, self.tables))]
        return self._read[0][1]

    @property
    def meta_graph(self) -> Path | None:
        """The MetaGraphDef that ``tf.train.Saver`` wrote beside it, None if it is not there."""
        pattern = _V1_SHARD.fullmatch(self.prefix.name)
        path = self.prefix.with_name(f"{pattern['prefix'] if pattern else self.prefix.name}.meta")
        return path if _is_file(path) else None

    def checked(self) -> CheckpointFiles:
        """Return this; raises CorruptSourceError if there is no index to read."""
        if self.tables:
            return self
        # What writes is loaded where a write left something.
        from tfmagic.files.checkpoints import writing  # noqa: PLC0415

        if (aside := writing.set_aside(self.prefix)) is not None:
            raise errors.CorruptSourceError(
                f"checkpoint {str(self.prefix)!r} was being replaced by a write that was killed: the old one lies "
                f"whole as {str(aside)!r}; give that, or write once more into the directory, which puts it back"
            )
        if writing.is_left_over(self.prefix):
            raise errors.CorruptSourceError(
                f"checkpoint {str(self.prefix)!r} was being written when that was killed, and is not whole: write it "
                "once more; the next write into the directory takes away what is there of it"
            )
        message = (
            f"checkpoint {str(self.prefix)!r} has data shards but no index {self.prefix.name + '.index'!r}, which "
            "holds the names and shapes: copy that file too from where the checkpoint was written"
        )
        raise errors.CorruptSourceError(message)


class _Directory:
    """The names in a directory, sorted once by the checkpoint that they belong to: there may be 100,000 of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def names(self) -> frozenset[str]:
        try:
            return places.names(self.path)
        except (OSError, ValueError):
            # ValueError: a state file may name anything, a NUL included.
            return frozenset()

    @cached_property
    def with_data(self) -> frozenset[str]:
        """The prefixes of which there is a data shard."""
        return frozenset(found["prefix"] for found in map(_SHARD.fullmatch, self.names) if found)

    def has_data(self, prefix: str) -> bool:
        """Say whether there is a data shard of one prefix, which takes less than knowing all."""
        beginning = f"{prefix}.data-"
        return any(name.startswith(beginning) and _SHARD.fullmatch(name) for name in self.names)

    @cached_property
    def v1_shards(self) -> Mapping[str, list[str]]:
        """The files of V1 checkpoints of several, by prefix, in order."""
        result: dict[str, list[str]] = {}
        for shard in filter(None, map(_V1_SHARD.fullmatch, sorted(self.names))):
            if shard["number"].isdecimal():
                result.setdefault(shard["prefix"], []).append(shard[0])
        return result


def find(path: Path) -> CheckpointFiles | None:
    """Return the checkpoint that a path means, None if it means none.

    Raises
    ------
    CorruptSourceError
        If the path leads to a state file whose checkpoints are gone.
    """
    if _is_directory(path):
        return _in_directory(path)
    if _is_file(path):
        return _from_file(path)
    return _from_prefix(path)


def kept(known: CheckpointFiles | None, now: CheckpointFiles | None) -> CheckpointFiles | None:
    """Return the checkpoint that is known if its files are those that are there now: its tables were read already."""
    return known if known is not None and now is not None and known.tables == now.tables else now


def is_checkpoint(path: Path) -> bool:
    """Say whether a path means a checkpoint, be it a damaged one."""
    try:
        return find(path) is not None
    except errors.CorruptSourceError:
        return True


def _is_directory(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_dir()
    # A name that is too long.
    return False


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):
        return path.is_file()
    return False


def _from_prefix(prefix: Path, directory: _Directory | None = None) -> CheckpointFiles | None:
    """Find the index or the V1 files of a prefix, or of the name that Saver gives a V1 checkpoint of several."""
    index = prefix.with_name(f"{prefix.name}.index") if prefix.name else prefix / ".index"
    if _is_file(index):
        return CheckpointFiles(prefix, (index,))
    siblings = directory or _Directory(prefix.parent)
    pattern = _V1_SHARD.fullmatch(prefix.name)
    stem = prefix.with_name(pattern["prefix"]) if pattern and pattern["number"].startswith("?") else prefix
    shards = _v1_shards(stem, siblings)
    if shards:
        return shards
    return CheckpointFiles(prefix, ()) if prefix.name in siblings.with_data else None


def _from_file(path: Path) -> CheckpointFiles | None:
    """Find the checkpoint that a file belongs to."""
    if _is_table(path):
        return _from_table(path)
    if path.name == STATE_FILE and _STATE_MARK.match(_head(path)):
        return _from_state(path)
    shard = _SHARD.fullmatch(path.name)
    if shard:
        note = f"{path.name!r} is a data shard of {shard['prefix']!r}, which is shown as a whole"
        files = _from_prefix(path.with_name(shard["prefix"]))
        return _noted(files, note) if files else None
    # Not a table, but called an index and with data beside it: an empty or damaged index, or a Git LFS pointer.
    if path.suffix == ".index" and _Directory(path.parent).has_data(path.stem):
        return CheckpointFiles(path.with_suffix(""), (path,))
    return None


def _from_table(path: Path) -> CheckpointFiles:
    if path.suffix == ".index":
        return CheckpointFiles(path.with_suffix(""), (path,))
    shard = _V1_SHARD.fullmatch(path.name)
    if shard:
        whole = _v1_shards(path.with_name(shard["prefix"]), _Directory(path.parent))
        return whole or CheckpointFiles(path, (path,))
    return CheckpointFiles(path, (path,))


def _v1_shards(prefix: Path, directory: _Directory) -> CheckpointFiles | None:
    """Find the files of a V1 checkpoint of several, and say which are missing."""
    names = directory.v1_shards.get(prefix.name, [])
    tables = tuple(path for path in map(prefix.with_name, names) if _is_table(path))
    if not tables:
        return None
    count = int(names[0][-5:])
    notes: tuple[str, ...] = ()
    if len(tables) < count:
        notes = (f"{count - len(tables)} of the {count} files of {prefix.name!r} are missing: so are their variables",)
    # This is how TensorFlow names them together.
    return CheckpointFiles(prefix.with_name(f"{prefix.name}-?????-of-{count:05d}"), tables, notes)


def _is_table(path: Path) -> bool:
    """Say whether a file is a table by its end, or by its beginning if its end is lost."""
    if not _is_file(path):
        # A pipe, say, which would keep its reader waiting.
        return False
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(max(0, file.seek(0, os.SEEK_END) - len(sorted_tables.MAGIC)))
            tail = file.read(len(sorted_tables.MAGIC))
    except OSError:
        return False
    return tail == sorted_tables.MAGIC or _begins_like_table(head)


def _begins_like_table(head: bytes) -> bool:
    """Say whether bytes are an empty key and the beginning of a header or a V1 list."""
    if not head.startswith(sorted_tables.FIRST_ENTRY):
        return False
    try:
        length, position = sorted_tables.varint(head, len(sorted_tables.FIRST_ENTRY))
    except (IndexError, ValueError):
        return False
    return length > 0 and position < len(head) and head[position] in _FIRST_TAGS


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_STATE_BYTES)
    except OSError:
        return b""


def _in_directory(path: Path) -> CheckpointFiles | None:
    """Find the checkpoint of a directory: by its state file, else by what lies in it."""
    directory = _Directory(path)
    if directory.names & _OTHER_FORMS:
        return None
    if STATE_FILE in directory.names and _is_file(path / STATE_FILE):
        return _from_file(path / STATE_FILE) or _newest(directory, "its state file does not parse")
    if any(name.endswith(".meta") for name in directory.names):
        return None
    return _newest(directory, "it has no state file")


def _newest(directory: _Directory, why: str) -> CheckpointFiles | None:
    """Choose among the checkpoints in a directory by the number at their end, then by time."""
    candidates = (_from_prefix_or_file(prefix, directory) for prefix in _prefixes(directory))
    likely = [files for files in candidates if files and _is_likely(files, directory)]
    if not likely:
        return None
    chosen = max(likely, key=_age)
    if len(likely) == 1:
        return chosen
    listed = errors.listed(sorted(files.prefix.name for files in likely))
    where = f"{str(directory.path)!r} holds {listed} and {why}"
    return _noted(chosen, f"{where}: {chosen.prefix.name!r} is shown as the newest")


def _is_likely(files: CheckpointFiles, directory: _Directory) -> bool:
    """Say whether a name that ends in .index is more than that: a table, or beside data."""
    return not files.tables or files.prefix.name in directory.with_data or _is_table(files.tables[0])


def _prefixes(directory: _Directory) -> list[Path]:
    """Return the prefixes that the names in a directory speak of."""
    names = directory.names - {STATE_FILE}
    prefixes = {name.removesuffix(".index") for name in names if name.endswith(".index")} | directory.with_data
    prefixes |= {_V1_SHARD.sub(r"\g<prefix>-?????-of-\g<count>", name) for name in names if _is_v1_name(name)}
    return [directory.path / name for name in sorted(prefixes) if name]


def _is_v1_name(name: str) -> bool:
    return _V1_NAME.fullmatch(name) is not None and _SHARD.fullmatch(name) is None


def _from_prefix_or_file(path: Path, directory: _Directory | None = None) -> CheckpointFiles | None:
    return _from_table(path) if _is_file(path) and _is_table(path) else _from_prefix(path, directory)


def _age(files: CheckpointFiles) -> tuple[bool, int, float]:
    step = _STEP.search(files.prefix.name)
    time = max((path.stat().st_mtime for path in files.tables if path.exists()), default=0.0)
    # An index tells more than shards without one.
    return bool(files.tables), int(step[1][:18]) if step else -1, time


def _from_state(path: Path) -> CheckpointFiles | None:
    """Find the newest checkpoint that a state file lists and that is there; None if it does not parse."""
    try:
        state = protos.parse_text("CheckpointState", _head(path).decode())
    except (protos.TextParseError, UnicodeDecodeError, RecursionError):
        return None
    listed = list(dict.fromkeys(state.all_model_checkpoint_paths)) or [state.model_checkpoint_path]
    for name in [state.model_checkpoint_path, *reversed(listed)]:
        files = _listed_files(path.parent, name) if name else None
        if files:
            return _noted(files, *_state_notes(state.model_checkpoint_path, name, listed))
    return _instead(path, listed)


def _listed_files(directory: Path, name: str) -> CheckpointFiles | None:
    """Find what a state file lists: relative to it, absolute, or moved here from the place it was written at."""
    own_name = re.split(r"[/\\]", name)[-1]
    files = _from_prefix_or_file(directory / name)
    if files and files.prefix.parent != directory:
        return _noted(files, f"the state file leads to another directory: {str(files.prefix.parent)!r}")
    if files or not own_name:
        return files
    files = _from_prefix_or_file(directory / own_name)
    return files and _noted(files, f"the state file was written elsewhere: {own_name!r} is taken from beside it")


def _state_notes(latest: str, chosen: str, listed: Sequence[str]) -> Iterable[str]:
    if len(listed) > 1:
        yield f"the state file lists {errors.listed(listed)}; {chosen!r} is shown"
    if chosen != latest:
        yield f"the state file names {latest!r} as the latest, which is not there"


def _instead(path: Path, listed: Sequence[str]) -> CheckpointFiles:
    """Take another checkpoint of the directory where all that the state file lists are gone."""
    problem = f"its state file lists {errors.listed(listed)}, none of which is there"
    other = _newest(_Directory(path.parent), problem)
    if other and other.tables:
        note = f"the state file lists {errors.listed(listed)}, not there: {other.prefix.name!r} is shown instead"
        return _noted(other, note)
    message = (
        f"{str(path.parent)!r} holds no checkpoint: {problem}. "
        "Copy the .index and .data files too, or give the prefix of a checkpoint"
    )
    raise errors.CorruptSourceError(message)


def _noted(files: CheckpointFiles, *notes: str) -> CheckpointFiles:
    return CheckpointFiles(files.prefix, files.tables, (*files.notes, *notes))
