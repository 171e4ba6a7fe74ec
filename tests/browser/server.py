"""Start a real JupyterLab or Notebook server on loopback, and stop it with all its kernels.

Not for: what a browser does with it (``frontend.py``).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
#: Seconds until a server answers: it starts in two, this allows for a machine that is busy.
START_TIMEOUT = 120

App = Literal["lab", "notebook"]
MODULES: dict[App, str] = {"lab": "jupyterlab", "notebook": "notebook"}
#: The address of one document. ``reset`` makes Lab forget the tabs of the test before.
PAGES: dict[App, str] = {"lab": "doc/tree/{name}?reset&token={token}", "notebook": "notebooks/{name}?token={token}"}
#: JupyterLab asks for news and updates, which are requests to another host.
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes
    ----------
    app : str
        ``"lab"`` or ``"notebook"``.
    root : Path
        The directory that it shows; kernels start there.
    url : str
        Its address, with a slash at the end.
    token : str
        What lets a request in.
    """

    app: App
    root: Path
    url: str
    token: str

    def write_notebook(self, name: str, cells: Sequence[str]) -> None:
        """Put a notebook with these code cells where the server finds it."""
        (self.root / name).write_text(json.dumps(notebook(cells)), encoding="utf-8")

    def page(self, name: str) -> str:
        """Return the address of a document."""
        return self.url + PAGES[self.app].format(name=name, token=self.token)

    def end_sessions(self) -> None:
        """End the kernels of all notebooks."""
        for session in json.loads(self._request("GET", "api/sessions")):
            self._request("DELETE", f"api/sessions/{session['id']}")

    def end_voilas_kernels(self) -> None:
        """End the kernels that belong to no notebook."""
        notebooks = {session["kernel"]["id"] for session in json.loads(self._request("GET", "api/sessions"))}
        for kernel in json.loads(self._request("GET", "api/kernels")):
            if kernel["id"] not in notebooks:
                self._request("DELETE", f"api/kernels/{kernel['id']}")

    def _request(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - loopback
            answer: bytes = response.read()
        return answer


def notebook(cells: Sequence[str]) -> dict[str, Any]:
    """Return a notebook with these code cells, as a file would hold it."""
    unrun: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": [{**unrun, "id": f"cell-{place}", "source": cell} for place, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@contextlib.contextmanager
def jupyter(app: App, root: Path, home: Path, kernels: Path | None = None) -> Iterator[Server]:
    """Run a server over ``root``, all its own files in ``home``, with the kernels of a folder before others.

    Raises
    ------
    RuntimeError
        If it does not start; the message is its log.
    """
    token = secrets.token_hex(16)
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULES[app], *options(root)],
            env=environment(home, token, kernels),
            cwd=root,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the kernels are its children: the group ends with it
        )
    try:
        yield Server(app, root, wait_for_address(process, home / "runtime", log), token)
    finally:
        stop(process)


def options(root: Path) -> list[str]:
    """Return the command line: a port that the system chooses, and the front end's own API within reach."""
    return [
        "--no-browser",
        "--allow-root",
        "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        f"--ServerApp.root_dir={root}",
    ]


def environment(home: Path, token: str, kernels: Path | None) -> dict[str, str]:
    """Return an environment in which nothing of the person's own Jupyter is read or written."""
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(NO_NEWS), encoding="utf-8")
    return {
        **os.environ,
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        **({"JUPYTER_PATH": str(kernels)} if kernels else {}),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_TOKEN": token,  # not on the command line, where everybody on the machine reads it
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


def wait_for_address(process: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Return the server's address as soon as it answers."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(StopIteration, OSError, ValueError):
            written = next(runtime.glob("jpserver-*.json"))
            url: str = json.loads(written.read_text(encoding="utf-8"))["url"]
            urllib.request.urlopen(url + "api", timeout=5).close()  # noqa: S310 - loopback
            return url
        time.sleep(0.1)
    message = f"no Jupyter server after {START_TIMEOUT} s or it ended ({process.poll()}):\n{log.read_text()}"
    raise RuntimeError(message)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and its kernels."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, end)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
            return
