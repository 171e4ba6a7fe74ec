"""The browser, the servers and a page that fails its test on requests to other hosts and on script errors."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, get_args
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.frontend import Frontend
from tests.browser.served import lay_out
from tests.browser.server import App, Server, jupyter
from tests.browser.server import notebook as notebook_of
from tests.conftest import BROWSER_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Playwright, ViewportSize

    OpenNotebook = Callable[[Sequence[str]], Frontend]

SIZE: ViewportSize = {"width": 1280, "height": 900}
#: The notebook that a desk shows.
NAME = "notebook.ipynb"
LOOPBACK = {"127.0.0.1", "localhost"}
#: Addresses with these schemes are looked up nowhere.
LOCAL_SCHEMES = {"data", "blob", "about"}
#: Notebook 7.6's settings registry raises this with an empty notebook too.
NOTEBOOKS_OWN_ERROR = "Cannot read properties of undefined (reading 'schema')"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.browser)


def missing(reason: str) -> NoReturn:
    """Skip, or fail where the browser tests are required."""
    if BROWSER_REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_program() -> str:
    """The Chromium to drive, sought before playwright runs: it may be its own."""
    program = chromium.find()
    if program is None:
        missing("there is no Chromium; `python -m tests.browser.chromium` installs one")
    return program


@pytest.fixture(scope="session")
def engines(browser_program: str) -> Iterator[Playwright]:
    """What drives browsers: it runs once in a process."""
    assert browser_program
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(engines: Playwright, browser_program: str) -> Iterator[Browser]:
    """A headless Chromium."""
    running = engines.chromium.launch(executable_path=browser_program, args=list(chromium.ARGUMENTS))
    yield running
    running.close()


def is_outside(address: str) -> bool:
    """Say whether an address leads off this machine."""
    parts = urlsplit(address)
    return parts.scheme not in LOCAL_SCHEMES and parts.hostname not in LOOPBACK


class Watch:
    """What a page must not do: ask another host, or let an error of its scripts escape."""

    def __init__(self, page: Page) -> None:
        self.outside: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.asked(request.url))
        page.on("websocket", lambda socket: self.asked(socket.url))
        page.on("pageerror", lambda error: self.failed(error.message, error.stack))

    def asked(self, address: str) -> None:
        """Note a request."""
        if is_outside(address):
            self.outside.append(address)

    def failed(self, message: str, stack: str | None = None) -> None:
        """Note an error of a script, and where it comes from."""
        if message != NOTEBOOKS_OWN_ERROR:
            self.errors.append(stack or message)

    def check(self) -> None:
        """Fail if there was any since the last check."""
        outside, self.outside = self.outside, []
        errors, self.errors = self.errors, []
        assert not outside, "the page asked other hosts"
        assert not errors, "scripts of the page failed"


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for all pages, and one window, which takes longer to open than a page and ends with its last one."""
    shared = browser.new_context(viewport=SIZE)
    shared.new_page()
    yield shared
    shared.close()


@contextlib.contextmanager
def watched(context: BrowserContext) -> Iterator[tuple[Page, Watch]]:
    """Open a page, and see what it does."""
    opened = context.new_page()
    yield opened, Watch(opened)
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A new page; the test fails on a request to another host and on an uncaught script error."""
    with watched(context) as (opened, watch):
        yield opened
    watch.check()


@pytest.fixture(scope="session", params=get_args(App))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, browser: Browser, kernels: Path
) -> Iterator[Server]:
    """A JupyterLab, then a Notebook, each started once; only where there is a browser to use it."""
    assert browser.is_connected()
    app: App = request.param
    with jupyter(app, tmp_path_factory.mktemp(app), tmp_path_factory.mktemp(f"{app}-home"), kernels) as running:
        yield running


@dataclass(frozen=True)
class Desk:
    """A page of a front end that stays open: the tests have its notebook one after another, each with a new kernel.

    Loading a front end takes seconds of a processor, and so does starting a kernel that has imported nothing.

    Attributes
    ----------
    server : Server
        What serves the page.
    frontend : Frontend
        The notebook.
    watch : Watch
        What the page must not do, to be checked by each test.
    """

    server: Server
    frontend: Frontend
    watch: Watch

    def open(self, cells: Sequence[str]) -> Frontend:
        """Show a notebook with the given code cells; none has run yet."""
        if self.frontend.is_open():
            self.frontend.replace(notebook_of(cells))
            # What was still to be answered by the kernel that is gone is no failure.
            self.watch.errors.clear()
        else:
            self.server.end_sessions()
            self.server.write_notebook(NAME, cells)
            self.frontend.open(self.server.page(NAME))
        self.frontend.page.set_viewport_size(SIZE)
        return self.frontend


@contextlib.contextmanager
def desk_in(context: BrowserContext, server: Server) -> Iterator[Desk]:
    """Open a page that stays; what it shows is up to the tests."""
    with watched(context) as (page, watch):
        yield Desk(server, Frontend(page), watch)


@pytest.fixture(scope="session")
def desk(context: BrowserContext, server: Server) -> Iterator[Desk]:
    """A page of the front end, for all tests."""
    with desk_in(context, server) as opened:
        yield opened


@pytest.fixture
def notebook(desk: Desk) -> Iterator[OpenNotebook]:
    """Open a notebook with the given code cells; none has run yet."""
    yield desk.open
    desk.watch.check()


@pytest.fixture(scope="module")
def lasting(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """Open a notebook with the cells that the module names ``CELLS``, of what lies beside it; the first one has run.

    All tests of the module share it and its kernel: those that neither change what the kernel holds nor end it. None of
    the module may open another.
    """
    lay_out(desk.server.root)
    assert desk.open(request.module.CELLS).run(0) == []
    return desk
