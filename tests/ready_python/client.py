"""Stands for Python: passes on its command line, directory, environment and streams, and ends as the program ends.

``python client.py SOCKET -c PROGRAM ...``. It starts in a few milliseconds, so it imports little.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path


def main(place: str, words: list[str]) -> int:
    """Have a program run, signals passed on to it; return its status, or die of the signal that it died of."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(place)
        here = {"words": words, "directory": str(Path.cwd()), "environment": dict(os.environ)}
        request = json.dumps(here).encode()
        socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(request)
        answers = server.makefile("rb")
        program = int(answers.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _frame: os.kill(program, number))
        status = int(answers.readline() or 1)
    if status < 0:
        with contextlib.suppress(OSError):  # nobody handles SIGKILL
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
