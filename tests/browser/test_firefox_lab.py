"""The panel in JupyterLab in Firefox, by tests of another module and what was wrong there alone.

Not for: bare pages (``test_firefox.py``), or what needs media features, which cannot be emulated in Firefox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import SIZE, desk_in
from tests.browser.test_firefox import firefox  # noqa: F401 - a fixture
from tests.browser.test_panel_looks import (  # noqa: F401 - collected here once more
    CELLS,
    panel,
    test_an_op_is_shown_in_the_graph_and_a_box_in_the_table,
    test_in_the_dark_theme_the_panel_is_dark,
    test_names_of_a_model_are_text_in_every_tab,
    test_the_keyboard_alone_reaches_the_tabs_and_what_they_hold,
    test_the_panel_fits_narrow_and_wide_windows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.conftest import Desk
    from tests.browser.panel_page import PanelPage
    from tests.browser.server import Server

pytestmark = [pytest.mark.other_engine, pytest.mark.parametrize("server", ["lab"], indirect=True)]


@pytest.fixture(scope="module")
def desk(firefox: Browser, server: Server) -> Iterator[Desk]:  # noqa: F811 - the fixture
    """Hand Firefox to what opens notebooks."""
    context = firefox.new_context(viewport=SIZE, color_scheme="null")
    with desk_in(context, server) as opened:
        yield opened
    context.close()


def test_a_click_in_the_card_leaves_the_panel_where_it_is(panel: PanelPage) -> None:  # noqa: F811 - the fixture
    heading = panel.root.locator(".tfm-heading h3")
    for what in (panel.shown.locator(".tfm-verdict"), panel.shown.get_by_text("All that was read of it")):
        # What drives the browser scrolls, too.
        what.scroll_into_view_if_needed()
        before = heading.bounding_box()
        what.click()
        panel.frontend.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        assert heading.bounding_box() == before
