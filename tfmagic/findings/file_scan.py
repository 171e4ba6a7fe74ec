"""What lies around a model's messages, for a scan: links that lead out, files that are two things at once, state files.

Not for: what the messages say (:mod:`tfmagic.findings.graph_scan`), or Keras files (:mod:`tfmagic.findings.keras_scan`).
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from tfmagic.files import places
from tfmagic.files.checkpoints import state_file
from tfmagic.findings import scan
from tfmagic.findings.scan import LOAD, Finding, finding
from tfmagic.graphs.ops import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: Files of a directory that are looked at.
_MOST_FILES = 10_000


def links(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield each link below a directory that leads out of it, and where to; links are followed, and told."""
    for name, target in places.links_out(directory, _MOST_FILES):
        yield name, target


def of_directory(directory: Path) -> Iterator[Finding]:
    """Yield the rows of the links in a model's directory."""
    why = "what it reads, and what is copied with it, lies elsewhere; caches of model hubs consist of such links"
    for name, target in links(directory):
        yield Finding(scan.LOW, f"the link {name!r} leads to {target!r}", str(directory.name), LOAD, why)


def of_file(path: Path) -> Iterator[Finding]:
    """Yield a row if a file that is no archive is one as well."""
    if not places.is_file(path):
        return
    try:
        is_archive = zipfile.is_zipfile(path)
    except OSError:
        return
    if is_archive:
        why = "two readers take different contents for the file's: what was looked at need not be what is loaded"
        yield Finding(scan.MEDIUM, "a zip archive as well", path.name, LOAD, why)


def of_state_file(directory: Path) -> Iterator[Finding]:
    """Yield the rows of a checkpoint's state file that names files outside of its directory."""
    for name in dict.fromkeys(_named(directory)):
        parts = name.replace("\\", "/").split("/")
        leads_out = ".." in parts
        # A training that was told its directory absolutely writes such names; where it was moved, they lead nowhere.
        is_elsewhere = name.startswith("/") and places.exists_prefix(name) and not places.is_within(name, directory)
        if leads_out or is_elsewhere:
            why = "whoever restores the latest checkpoint of the directory reads that one"
            yield finding(Effect.READS_FILES, f"reads files: names {name!r}", "checkpoint (state file)", LOAD, why)


def _named(directory: Path) -> Iterable[str]:
    return state_file.names(directory)
