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
from tests.conftest import BROWSER_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

    OpenNotebook = Callable[[Sequence[str]], Frontend]

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
        """Fail if there was any."""
        assert not self.outside, "the page asked other hosts"
        assert not self.errors, "scripts of the page failed"


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One profile for all pages: its cache saves each of them megabytes of scripts."""
    shared = browser.new_context(viewport={"width": 1280, "height": 900})
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
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> Iterator[Server]:
    """A JupyterLab, then a Notebook, each started once; only where there is a browser to use it."""
    assert browser.is_connected()
    app: App = request.param
    with jupyter(app, tmp_path_factory.mktemp(app), tmp_path_factory.mktemp(f"{app}-home")) as running:
        yield running


def open_notebook(server: Server, page: Page, name: str, cells: Sequence[str]) -> Frontend:
    """Open a notebook with the given code cells, under a name of its own; none has run yet."""
    file = f"{name}-{len(list(server.root.glob('*.ipynb')))}.ipynb"
    server.write_notebook(file, cells)
    frontend = Frontend(page)
    frontend.open(server.page(file))
    return frontend


@pytest.fixture
def notebook(server: Server, page: Page, request: pytest.FixtureRequest) -> Iterator[OpenNotebook]:
    """Open a notebook with the given code cells; none has run yet."""
    yield lambda cells: open_notebook(server, page, request.node.originalname, cells)
    page.close()
    server.stop_kernels()


@dataclass(frozen=True)
class Lasting:
    """A notebook that stays open, with its kernel, for all tests of a module.

    Attributes
    ----------
    frontend : Frontend
        The notebook.
    watch : Watch
        What its page must not do, to be checked by each test.
    """

    frontend: Frontend
    watch: Watch


@pytest.fixture(scope="module")
def lasting(server: Server, context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Lasting]:
    """Open a notebook with the cells that the module names ``CELLS``, of what lies beside it; the first one has run.

    A page and a kernel cost seconds: tests share them which neither change what the kernel holds nor end it.
    """
    lay_out(server.root)
    with watched(context) as (page, watch):
        frontend = open_notebook(server, page, request.module.__name__.rpartition(".")[2], request.module.CELLS)
        assert frontend.run(0) == []
        yield Lasting(frontend, watch)
    server.stop_kernels()
