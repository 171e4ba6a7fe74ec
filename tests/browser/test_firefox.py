"""The widgets in Firefox: bare pages, by the tests of the other modules; skipped with a line where it is not installed.

Playwright drives Firefox as it is released by WebDriver BiDi, up to its version 1.64; media features cannot be emulated
there. Not for: front ends.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Error

from tests.browser.conftest import SIZE, Watch
from tests.browser.test_graph_view import (  # noqa: F401 - collected here once more
    show,
    test_a_click_unfolds_and_folds_and_the_box_stays_at_hand,
    test_a_drag_moves_the_picture_and_unfolds_nothing,
    test_a_search_unfolds_to_the_hit_and_brings_it_into_view,
    test_closing_the_pane_gives_the_focus_back_to_its_box,
    test_everything_by_keyboard,
    test_hostile_names_are_text,
    test_the_pane_stands_beside_the_picture_or_below_it,
    test_what_feeds_and_what_follows_is_marked_and_nothing_fades,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Playwright

pytestmark = pytest.mark.other_engine
PROGRAMS = ("firefox-esr", "firefox")


@pytest.fixture(scope="module")
def firefox(engines: Playwright) -> Iterator[Browser]:
    """Start a headless Firefox as it is released."""
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Firefox (Debian's package is firefox-esr)")
    running = engines.firefox.launch(channel="moz-firefox", executable_path=program)
    try:
        running.new_context(color_scheme="null").close()
    except Error as error:
        running.close()
        pytest.skip(f"this playwright does not drive this Firefox: {error.message.splitlines()[0]}")
    yield running
    running.close()


@pytest.fixture
def page(firefox: Browser) -> Iterator[Page]:
    """Open a page in Firefox; the test fails as in Chromium."""
    context = firefox.new_context(viewport=SIZE, color_scheme="null")
    opened = context.new_page()
    watch = Watch(opened)
    yield opened
    context.close()
    watch.check()
