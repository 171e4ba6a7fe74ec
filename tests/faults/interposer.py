"""The interposer, compiled and driven. It works on Linux, where there is a C compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("interposer.c")
LIBRARY = "interposer.so"


def why_not() -> str:
    """Say why it cannot be had here; empty where it can."""
    if sys.platform != "linux":
        return "calls of the C library are stood between on Linux only"
    return "" if _compiler() else "there is no C compiler"


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CC", "cc"))


def compiled(directory: Path) -> Path:
    """Compile it into a directory; return the library."""
    library = directory / LIBRARY
    command = [_compiler() or "cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"]
    subprocess.run(command, check=True)
    return library


class Interposer:
    """The library, in a process into which it was preloaded."""

    def __init__(self, below: Path) -> None:
        self._library = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._library.faults_struck.restype = ctypes.c_char_p
        self._below = os.fsencode(below)

    def begin(self, *, fail_at: int = 0, error: int = 0, stays: bool = False, copies: Path | None = None) -> None:
        """Count from here on; fail that call, with that error, and all later ones that need room if it ``stays``."""
        self._library.faults_begin(self._below, fail_at, error, int(stays), os.fsencode(copies) if copies else b"")

    def end(self) -> int:
        """Count no more; return how many calls there were."""
        return int(self._library.faults_end())

    @property
    def struck(self) -> str:
        """The call that failed, and its path below the directory; empty if none did."""
        return str(self._library.faults_struck().decode())
