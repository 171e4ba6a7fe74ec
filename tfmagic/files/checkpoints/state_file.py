"""The state file of a directory of checkpoints, by which ``tf.train.latest_checkpoint`` finds the newest.

It is kept as ``tf.train.CheckpointManager`` and ``tf.compat.v1.train.Saver`` keep it. Not for: finding a checkpoint
that a path means (:mod:`tfmagic.files.checkpoints.location`).
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import places, protos, reading, writing
from tfmagic.files.checkpoints import location as checkpoint_location
from tfmagic.files.checkpoints import writing as checkpoint_writing

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.files.protos import Message

_NUMBERED = re.compile(r"(?P<stem>.*?)-(?P<number>\d{1,18})")


def numbered(prefix: Path) -> Path:
    """Return the prefix with the number after the highest that its directory has, 1 at first.

    ``model.ckpt`` becomes ``model.ckpt-3`` where ``model.ckpt-2`` is the newest.
    """
    names = (each.name for each in prefix.parent.iterdir()) if prefix.parent.is_dir() else ()
    states = (
        _NUMBERED.fullmatch(name.removesuffix(checkpoint_writing.INDEX)) for name in names if name.endswith(".index")
    )
    like = places.folded(prefix.name)
    # A file system that minds no case has it by the other name, too.
    numbers = [
        int(each["number"])
        for each in states
        if each
        and places.folded(each["stem"]) == like
        and prefix.with_name(f"{prefix.name}-{each['number']}{checkpoint_writing.INDEX}").exists()
    ]
    return prefix.with_name(f"{prefix.name}-{max(numbers, default=0) + 1}")


def add(prefix: Path, keep: int | None) -> tuple[str, ...]:
    """Enter a checkpoint as the newest of its directory.

    Parameters
    ----------
    prefix : Path
        The checkpoint, which is there.
    keep : int or None
        How many of those listed stay; older ones are removed. None keeps all.

    Returns
    -------
    tuple of str
        The names of the checkpoints that were removed.
    """
    place = prefix.with_name(checkpoint_location.STATE_FILE)
    state = _read(place)
    listed = [
        name for name in _listed(state) if name != prefix.name and checkpoint_writing.files(prefix.with_name(name))
    ]
    listed.append(prefix.name)
    gone = listed[: max(0, len(listed) - keep)] if keep is not None else []
    times = dict(zip(_listed(state), state.all_model_checkpoint_timestamps, strict=False))
    times[prefix.name] = time.time()
    stay = listed[len(gone) :]
    result = protos.message("CheckpointState")(model_checkpoint_path=prefix.name, all_model_checkpoint_paths=stay)
    result.all_model_checkpoint_timestamps.extend(times.get(name, 0.0) for name in stay)
    if state.last_preserved_timestamp:
        result.last_preserved_timestamp = state.last_preserved_timestamp
    # The list first: what it names is there at every moment.
    with writing.Staging(place, overwrite=True) as staged:
        staged.write_text(protos.to_text(result), "utf-8")
    for name in gone:
        checkpoint_writing.remove(prefix.with_name(name))
    return tuple(gone)


def named(directory: Path) -> list[str]:
    """Return the checkpoints that a directory's state file names, as it names them."""
    state = _read(directory / checkpoint_location.STATE_FILE)
    latest = [state.model_checkpoint_path] if state.model_checkpoint_path else []
    return list(dict.fromkeys([*latest, *state.all_model_checkpoint_paths]))


def _read(place: Path) -> Message:
    """Read a state file; one that is not there or does not parse lists nothing."""
    # A pipe of that name would keep whoever opens it waiting.
    with suppress(OSError, errors.ReadError, UnicodeDecodeError, protos.TextParseError, RecursionError):
        return protos.parse_text("CheckpointState", reading.read_bytes(place).decode())
    return protos.message("CheckpointState")()


def _listed(state: Message) -> list[str]:
    """Return the names that a state file lists, without their directories: they may have been moved."""
    return [re.split(r"[/\\]", name)[-1] for name in state.all_model_checkpoint_paths]
