"""WebKit as Debian has it, driven by WebDriver, which is HTTP and JSON; its window opens on a screen that nobody sees.

Debian's packages are ``webkit2gtk-driver`` and ``xvfb``. Not for: what is tested in it (``test_webkit.py``).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("WebKitWebDriver", "Xvfb")
#: Where an element stands in the window.
_PLACE = """(({ x, y, width, height }) => [x, y, width, height])(
  document.querySelector(arguments[0]).getBoundingClientRect())"""
_SECONDS = 60
#: There is no graphics card, and a container has no room for WebKit's own sandbox.
_ENVIRONMENT = {"WEBKIT_DISABLE_DMABUF_RENDERER": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "NO_AT_BRIDGE": "1"}


def missing() -> str:
    """Return what is not installed, nothing if all is there."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if not absent and _browser() is None:
        absent = ["MiniBrowser"]
    return ", ".join(absent)


def _browser() -> Path | None:
    """Return WebKit's own small browser, which lies beside its library."""
    return next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)


@dataclass(frozen=True)
class WebKit:
    """A window of WebKit's.

    Attributes
    ----------
    session : str
        The address of its session.
    """

    session: str

    def open(self, address: str) -> None:
        """Go to an address and wait until it is loaded."""
        self._do("url", {"url": address})

    def resize(self, width: int, height: int) -> None:
        """Make the page so large, as far as the window's edges let it."""
        self._do("window/rect", {"x": 0, "y": 0, "width": width, "height": height})

    def ask(self, expression: str, *arguments: object) -> Any:
        """Return the value of an expression, which may be a promise; ``arguments`` are at hand under that name."""
        script = (
            "const done = arguments[arguments.length - 1];"
            f"Promise.resolve(({expression}))"
            ".then((value) => done([value, '']), (error) => done([null, String(error)]));"
        )
        value, problem = self._do("execute/async", {"script": script, "args": list(arguments)})
        assert not problem, problem
        return value

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        late = time.monotonic() + _SECONDS
        while not self.ask(expression):
            assert time.monotonic() < late, f"never: {expression}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click the middle of an element by the pointer: WebDriver's own click knows no elements of SVG."""
        x, y, width, height = self.ask(_PLACE, selector)
        move = {"type": "pointerMove", "duration": 0, "x": round(x + width / 2), "y": round(y + height / 2)}
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [move, *press]}
        self._do("actions", {"actions": [pointer]})

    def _do(self, command: str, body: dict[str, Any]) -> Any:
        return _posted(f"{self.session}/{command}", body)


def _posted(address: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})  # noqa: S310 - our own driver
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(json.load(error)["value"]) from error


@contextmanager
def _running(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program as long as it is needed."""
    with subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, **options) as program:
        try:
            yield program
        finally:
            program.terminate()


@contextmanager
def _screen() -> Iterator[str]:
    """Have a screen that nobody sees; it says itself which number was free."""
    read, write = os.pipe()
    with _running(
        "Xvfb", "-displayfd", str(write), "-screen", "0", "1700x1200x24", "-nolisten", "tcp", pass_fds=[write]
    ):
        os.close(write)
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"


@contextmanager
def window() -> Iterator[WebKit]:
    """Open a window, and close it with what it needs."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    options = {"binary": str(_browser()), "args": ["--automation"]}
    with ExitStack() as stack:
        environment = {**os.environ, **_ENVIRONMENT, "DISPLAY": stack.enter_context(_screen())}
        driver = (PROGRAMS[0], f"--port={port}")
        stack.enter_context(_running(*driver, env=environment, stdout=subprocess.DEVNULL))
        _wait_for(address)
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        session = _posted(f"{address}/session", wanted)["sessionId"]
        webkit = WebKit(f"{address}/session/{session}")
        stack.callback(_end, webkit.session)
        yield webkit


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


def _end(session: str) -> None:
    request = urllib.request.Request(session, method="DELETE")  # noqa: S310 - our own driver
    urllib.request.urlopen(request, timeout=_SECONDS).close()  # noqa: S310 - as above


def _wait_for(address: str) -> None:
    late = time.monotonic() + _SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{address}/status", timeout=_SECONDS).close()  # noqa: S310 - our own driver
        except OSError:
            assert time.monotonic() < late, "the driver does not answer"
            time.sleep(0.05)
        else:
            return
