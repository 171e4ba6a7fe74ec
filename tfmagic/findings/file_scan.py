"""What lies around a model's messages, for a scan: links that lead out, files that are two things at once, checkpoints.

Not for: what the messages say (:mod:`tfmagic.findings.graph_scan`) or Keras files (:mod:`tfmagic.findings.keras_scan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import places
from tfmagic.files.checkpoints import state_file
from tfmagic.findings import scan
from tfmagic.findings.scan import LOAD, Finding, finding
from tfmagic.graphs.ops import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.files.checkpoints.location import CheckpointFiles


def of_directory(directory: Path) -> Iterator[Finding]:
    """Yield a row for each link in a model's directory that leads out of it; links are followed, and told."""
    why = "what is read, and copied with it, lies elsewhere; caches of model hubs consist of such links"
    for name, target in places.links_out(directory):
        yield Finding(scan.LOW, f"a link to {target!r}", f"file {name!r}", LOAD, why)


def of_file(path: Path) -> Iterator[Finding]:
    """Yield a row if a file that is no archive is one as well."""
    try:
        is_archive = places.is_file(path) and places.is_archive(path)
    except OSError:
        return
    if is_archive:
        yield Finding(scan.MEDIUM, "a zip archive as well", f"file {path.name!r}", LOAD, scan.TWO_READERS)


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
