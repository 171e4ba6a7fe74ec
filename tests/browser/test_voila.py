"""The panel as a page: Voila runs the notebook and shows what it puts out, without code or a notebook around it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser import axe
from tests.browser.conftest import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page, Route

    from tests.browser.conftest import Watch
    from tests.browser.server import Server

#: Voila's page template asks these for its icons and for formulas; a page without an answer must do.
VOILAS_OWN = {"cdn.jsdelivr.net", "cdnjs.cloudflare.com"}
GRAPH = """from pathlib import Path

Path("small.pbtxt").write_text('''
node { name: "image" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
node { name: "<b>bold</b>" op: "Relu" input: "image" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "score" op: "Sigmoid" input: "<b>bold</b>" attr { key: "T" value { type: DT_FLOAT } } }
''')"""
#: What the kernel knows is shown beside the panel: there is no cell to ask it in.
PANEL = """import ipywidgets
import tfmagic

panel = tfmagic.panel("small.pbtxt")
seen = ipywidgets.Label("kernel: nothing yet")

def tell(change):
    seen.value = f"kernel: {panel.tabs.titles[change['new']]}"

def ask(button):
    seen.value = f"kernel: {list(ops['name'])}"

panel.tabs.observe(tell, "selected_index")
asking = ipywidgets.Button(description="Ask the kernel")
asking.on_click(ask)
panel"""
ASIDE = "ipywidgets.VBox([seen, asking])"
KERNEL_TIMEOUT = 60_000
#: What the panel puts into ipywidgets' tabs.
CONTENTS = ".widget-tab > .widget-tab-contents"

pytestmark = pytest.mark.parametrize("server", ["lab"], indirect=True)


def is_voilas_own(address: str) -> bool:
    """Say whether a request comes of Voila's page template."""
    return urlsplit(address).hostname in VOILAS_OWN


@pytest.fixture(scope="module")
def rendered(context: BrowserContext, server: Server) -> Iterator[tuple[Page, Watch]]:
    """A notebook with a panel, as a page of Voila, on a machine that reaches no other."""
    pytest.importorskip("voila")
    server.write_notebook("panel.ipynb", [GRAPH, PANEL, ASIDE])

    def answer(route: Route) -> None:
        route.abort() if is_voilas_own(route.request.url) else route.continue_()

    with watched(context) as (page, watch):
        page.route("**/*", answer)
        page.goto(f"{server.url}voila/render/panel.ipynb?token={server.token}")
        page.get_by_text("kernel: nothing yet").wait_for(timeout=KERNEL_TIMEOUT)
        yield page, watch
    server.end_voilas_kernels()


@pytest.fixture
def voila(rendered: tuple[Page, Watch]) -> Iterator[Page]:
    """The page, which the tests share: each looks at tabs of its own."""
    page, watch = rendered
    yield page
    watch.outside = [address for address in watch.outside if not is_voilas_own(address)]
    watch.check()


def test_the_panel_is_a_page_without_code(voila: Page) -> None:
    voila.locator(".tfm-card").wait_for()
    seen = voila.locator("body").inner_text()
    assert seen.count("small.pbtxt\n\nGraphDef") == 1  # and not the static form as well
    assert "import" not in seen
    assert axe.violations(voila, CONTENTS) == []


def test_its_tabs_are_built_in_the_kernel_when_they_are_seen(voila: Page) -> None:
    assert voila.locator(".tfm-box").count() == 0
    voila.get_by_role("tab", name="Graph").click()
    voila.locator(".tfm-box").first.wait_for(timeout=KERNEL_TIMEOUT)
    voila.get_by_text("kernel: Graph").wait_for()
    assert axe.violations(voila, CONTENTS) == []
    labels = voila.locator(".tfm-box > text:first-of-type").all_text_contents()
    assert labels == ["image", "<b>bold</b>", "score"]
    assert voila.locator(".tfm-box").first.get_attribute("aria-label")


def test_what_is_typed_goes_to_the_kernel_and_the_rows_come_back(voila: Page) -> None:
    voila.get_by_role("tab", name="Ops").click()
    rows = voila.get_by_role("grid", name="Ops").get_by_role("row")
    rows.filter(has_text="Sigmoid").wait_for(timeout=KERNEL_TIMEOUT)
    voila.get_by_role("searchbox", name="Filter by name or op").fill("relu")
    rows.filter(has_text="Sigmoid").wait_for(state="detached")
    assert rows.filter(has_text="Relu").filter(has_text="<b>bold</b>").count() == 1
    assert axe.violations(voila, CONTENTS) == []
    voila.get_by_role("button", name="to DataFrame").click()
    voila.get_by_role("button", name="Ask the kernel").click()
    voila.get_by_text("kernel: ['<b>bold</b>']").wait_for()
