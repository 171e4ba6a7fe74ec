"""Processes of Python that begin with what takes long to import: forked from one that has done no more than import it.

A process of its own is what a test needs that ends, is interrupted, or switches TensorFlow for good; importing
TensorFlow and Keras takes seconds of each. One process for all workers of a run imports them, once a test first asks,
and forks: what runs there has a fresh TensorFlow, of which nothing has run. Not for: tests of what is imported.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What TensorFlow's users import, what a notebook does before its first cell and to show its first widget, and all of
#: tfmagic, which does nothing when it is imported.
TENSORFLOW = ("tensorflow", "keras", "pandas", "IPython", "ipykernel.kernelapp", "anywidget", "tfmagic.*")
_FOLDER = Path(__file__).resolve().parent
#: How many may wait for the imports.
_BACKLOG = 64


def command(folder: Path, imported: tuple[str, ...], environment: Mapping[str, str] | None = None) -> list[str]:
    """Return what stands for ``python`` at the beginning of a command: ``-c``, ``-m`` or a file follow, and arguments.

    Parameters
    ----------
    folder : Path
        A directory that the workers of a run share.
    imported : tuple of str
        What is imported when the program begins.
    environment : mapping of str, optional
        Variables that must be set before Python begins.
    """
    if not hasattr(os, "pidfd_open"):
        return [sys.executable]
    place = folder / "-".join(("ready", str(len(imported)), imported[0], *sorted(environment or ())))
    with (folder / "ready.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            # All of it ends with the process that began the run.
            run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
            _begin(place, imported, run, {**os.environ, **(environment or {})})
    return [sys.executable, "-I", "-S", str(_FOLDER / "client.py"), str(place)]


def _begin(place: Path, imported: tuple[str, ...], run: int, environment: Mapping[str, str]) -> None:
    """Begin a server; who connects before it is done with its imports waits."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen(_BACKLOG)
        subprocess.Popen(
            [sys.executable, str(_FOLDER / "server.py"), str(listening.fileno()), str(run), *imported],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
