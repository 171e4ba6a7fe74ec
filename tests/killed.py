"""Writing that is killed at each of its moments in turn: before every call that moves, removes or flushes a file.

What takes long to import is imported once; each moment is that of a process forked from there, which has run nothing.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PROGRAM = """
import os, sys, traceback
{imports}

def counted(real, fatal, calls=[0]):
    def call(*args, **options):
        calls[0] += 1
        if calls[0] == fatal:
            os.kill(os.getpid(), 9)
        return real(*args, **options)
    return call

for fatal, place in enumerate(sys.argv[1:], start=1):
    child = os.fork()
    if not child:
        for owner, name in ({calls}):
            setattr(owner, name, counted(getattr(owner, name), fatal))
        try:
{write}
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(end, flush=True)
    if end != -9:
        break
"""


def killed_at_each_moment(imports: str, write: str, calls: str, places: Sequence[Path]) -> Sequence[Path]:
    """Write to one place after the other, killed there before one call more each time, until it comes to its end.

    Parameters
    ----------
    imports, write : str
        Code of the process, and what writes to ``place``, a text.
    calls : str
        Code of pairs, the owner and the name of what is counted.
    places : sequence of Path
        Prepared places, more than there are moments.

    Returns
    -------
    sequence of Path
        The places that were written to; the last one to the end.
    """
    indented = "".join(f"            {line}\n" for line in write.strip().splitlines())
    program = _PROGRAM.format(imports=imports, write=indented, calls=calls)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, places)], check=False, capture_output=True, text=True, cwd=ROOT
    )
    *killed, last = [int(line) for line in done.stdout.split()]
    assert last == 0, done.stderr
    assert set(killed) <= {-signal.SIGKILL}
    return places[: len(killed) + 1]
