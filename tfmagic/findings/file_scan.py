"""What lies around a model's messages, for a scan: links that lead out, files that are two things at once, checkpoints.

Not for: what the messages say (:mod:`tfmagic.findings.graph_scan`) or Keras files (:mod:`tfmagic.findings.keras_scan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import hdf5, places
from tfmagic.files.checkpoints import state_file
from tfmagic.findings import scan
from tfmagic.findings.scan import LOAD, Finding, finding
from tfmagic.graphs.ops import Effect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tfmagic.files.checkpoints.location import CheckpointFiles

_WAITING = "whoever opens it waits for ever, or reads without end"
#: Bytes that are looked at in one go.
_PIECE = 1 << 20


def of_directory(directory: Path) -> Iterator[Finding]:
    """Yield a row for each link in a model's directory that leads out of it, and for what is no file at all."""
    for name, what in places.specials(directory):
        yield Finding(scan.MEDIUM, f"{what} in the place of a file", f"file {name!r}", LOAD, _WAITING)
    why = "what is read, and copied with it, lies elsewhere; caches of model hubs consist of such links"
    for name, target in places.links_out(directory):
        yield Finding(scan.LOW, f"a link to {target!r}", f"file {name!r}", LOAD, why)


def of_file(path: Path) -> Iterator[Finding]:
    """Yield a row if a file that is no archive, and no HDF5, is one as well."""
    try:
        is_file = places.is_file(path)
        kinds = {
            "a zip archive as well": is_file and places.is_archive(path),
            "an HDF5 file behind other bytes": is_file and is_hdf5_behind(path),
        }
    except OSError:
        return
    for what in (what for what, is_so in kinds.items() if is_so):
        yield Finding(scan.MEDIUM, what, f"file {path.name!r}", LOAD, scan.TWO_READERS)


def of_user_block(path: Path) -> Iterator[Finding]:
    """Yield a row if other bytes than zeros stand before the HDF5 of a file: they may be another file."""
    with path.open("rb") as file:
        before = max(0, hdf5.place_in(file))
        file.seek(0)
        pieces = (file.read(min(_PIECE, before - begin)) for begin in range(0, before, _PIECE))
        if any(piece.strip(b"\0") for piece in pieces):
            yield Finding(scan.MEDIUM, "an HDF5 file behind other bytes", f"file {path.name!r}", LOAD, scan.TWO_READERS)


def is_hdf5_behind(path: Path, known: Collection[int] = ()) -> bool:
    """Say whether libhdf5 would open a file that begins otherwise: at an address, that is too many requests to ask.

    Parameters
    ----------
    path : Path
        The file.
    known : collection of int
        Places where HDF5 is what a reader of the file's own kind expects.
    """
    place = hdf5.place(path) if places.is_here(path) else -1
    return place > 0 and place not in known


def of_state_file(directory: Path) -> Iterator[Finding]:
    """Yield a row for each checkpoint outside of a directory that its state file names."""
    why = "whoever restores the latest checkpoint of the directory reads that one"
    for name in state_file.named(directory):
        if places.leads_elsewhere(name, directory):
            what = f"reads files: the checkpoint {name!r}"
            yield finding(Effect.READS_FILES, what, "file 'checkpoint'", LOAD, why)


def of_checkpoint(files: CheckpointFiles) -> Iterator[Finding]:
    """Yield a row for each place where a checkpoint claims what its files cannot hold; damage is a reader's to tell."""
    why = "it may take all of the memory, or what is read is not what was written"
    try:
        problems = list(files.opened.impossible())
    except (errors.ReadError, OSError, ValueError):
        return
    for where, problem in problems:
        yield Finding(scan.MEDIUM, f"a bomb: {problem}", where, LOAD, why)
