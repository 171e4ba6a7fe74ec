"""Folders that all workers of a run share: whoever first asks for it fills it, the others wait and find it filled.

Not for: what a test changes.
"""

from __future__ import annotations

import fcntl
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def filled(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Return a folder that is filled once in a run.

    Parameters
    ----------
    folder : Path
        The place, below the folder of the run.
    fill : callable
        Fills it. Where it raises, or its process ends, the next one begins anew.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{folder.name}.done")
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder
