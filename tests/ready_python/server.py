"""Imports what it is told to, then forks for each request; ``python server.py DESCRIPTOR RUN MODULE ...``.

``package.*`` is a package with all its modules but those that are programs.

Each request has a process that waits for the program and tells of its end, and one that is the program. Not for: who
asks (``client.py``).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
import tempfile
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def serve(listening: socket.socket, run: int) -> Callable[[], None]:
    """Answer requests until the run ends; return in a process that is to be a program, with what it does."""
    run_ends = os.pidfd_open(run)
    while True:
        ready, _, _ = select.select([listening.fileno(), run_ends], [], [])
        if run_ends in ready:
            sys.exit()
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            os.close(run_ends)
            return _answer(connection)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def _answer(connection: socket.socket) -> Callable[[], None]:
    """Fork once more; wait for the program and tell its end, or be it."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = json.loads(connection.makefile("rb").read(int.from_bytes(size, "big")))
    program = os.fork()
    if program:
        for stream in streams:
            os.close(stream)
        _wait(connection, program)
    connection.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    # Another's TMPDIR may be known already.
    tempfile.tempdir = None
    added = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [entry for entry in added if entry and entry not in sys.path]
    return _program(request["words"])


def _wait(connection: socket.socket, program: int) -> None:
    """Tell who asked of the program and of its end; end it where nobody waits for it any more."""
    connection.sendall(b"%d\n" % program)
    ended = os.pidfd_open(program)
    ready, _, _ = select.select([ended, connection.fileno()], [], [])
    if ended not in ready:
        os.kill(program, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % status)
    os._exit(0)


def _program(words: list[str]) -> Callable[[], None]:
    """Return what Python does for a command line."""
    kind, *rest = words
    if kind == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv[:] = rest
        return lambda: _run(runpy.run_module, rest[0], alter_sys=True)
    if kind == "-c":
        sys.path.insert(0, "")
        sys.argv[:] = ["-c", *rest[1:]]
        return lambda: _execute(rest[0])
    sys.path.insert(0, str(Path(kind).resolve().parent))
    sys.argv[:] = words
    return lambda: _run(runpy.run_path, kind)


def _run(run: Callable[..., Any], name: str, **options: Any) -> None:
    run(name, run_name="__main__", **options)


def _execute(text: str) -> None:
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    exec(compile(text, "<string>", "exec"), vars(module))  # noqa: S102 - what `python -c` does


def _import(name: str) -> None:
    package = importlib.import_module(name.removesuffix(".*"))
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.") if name.endswith(".*") else ():
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def main(descriptor: int, run: int, imported: list[str]) -> None:
    """Serve; a process that is to be a program comes back from there, and is it."""
    sys.path.pop(0)
    listening = socket.socket(fileno=descriptor)
    for name in imported:
        _import(name)
    # What all processes share is not looked through, which would copy it, where one of them ends.
    gc.collect()
    gc.freeze()
    serve(listening, run)()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
