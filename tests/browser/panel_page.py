"""The panel as a person meets it in a notebook: its tabs, what they show, and what the kernel then holds.

Not for: any one tab's table or graph in a bare page (``table_page.py``, ``graph_page.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.frontend import Frontend

SAVE = "() => (window.jupyterapp ?? window.jupyterlab).commands.execute('docmanager:save')"
RESTART = """() => (window.jupyterapp ?? window.jupyterlab)
  .shell.currentWidget.sessionContext.session.kernel.restart()"""
SET_THEME = """(theme) => (window.jupyterapp ?? window.jupyterlab)
  .commands.execute("apputils:change-theme", { theme })"""
#: JupyterLab takes its splash away twice, and fails, when another theme is asked for before it is gone.
THEMED = """(theme) => document.body.dataset.jpThemeName === theme
  && !document.getElementById('jupyterlab-splash')"""
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
#: A tab that is built says so by this.
CONTENTS = ".widget-tab > .widget-tab-contents"
BUILT = 60_000


@dataclass(frozen=True)
class PanelPage:
    """The panel below one cell.

    Attributes
    ----------
    frontend : Frontend
        The notebook.
    index : int
        The cell.
    """

    frontend: Frontend
    index: int

    @property
    def cell(self) -> Locator:
        """The cell with its outputs."""
        return self.frontend.cell(self.index)

    @property
    def root(self) -> Locator:
        """The panel itself."""
        return self.cell.locator(".tfm-panel")

    @property
    def static(self) -> Locator:
        """The static form, if it is on the page."""
        return self.cell.locator(".tfm-static")

    @property
    def shown(self) -> Locator:
        """What the tab that is open shows."""
        return self.root.locator(f"{CONTENTS} > .widget-box:not(.lm-mod-hidden)")

    def wait(self) -> PanelPage:
        """Wait until the panel is there and has taken the place of the static form."""
        self.shown.locator(".tfm-card").wait_for(timeout=BUILT)
        self.static.wait_for(state="detached")
        return self

    def tab(self, title: str) -> Locator:
        """Return the handle of a tab."""
        return self.root.get_by_role("tab", name=title)

    def titles(self) -> list[str]:
        """Return the titles of the tabs."""
        return self.root.get_by_role("tab").all_inner_texts()

    def open(self, title: str) -> Locator:
        """Click a tab and return what it shows once it is built."""
        self.tab(title).click()
        return self.built()

    def built(self) -> Locator:
        """Return what the open tab shows once it is built."""
        self.shown.get_by_text("Reading what").wait_for(state="detached", timeout=BUILT)
        self.shown.locator("*").first.wait_for(state="attached", timeout=BUILT)
        return self.shown

    def set_theme(self, theme: str) -> None:
        """Let the front end look otherwise."""
        self.frontend.page.evaluate(SET_THEME, theme)
        self.frontend.page.wait_for_function(THEMED, arg=theme)

    def wait_for_ping(self) -> None:
        """Wait until the kernel has answered what the heading and the card ask once by themselves.

        From then on it answers the panel in a subshell, if it has any: also while a cell runs.
        """
        self.frontend.page.wait_for_function("() => window.answeredPings > 1", timeout=BUILT)

    def text(self) -> str:
        """Return what a person reads."""
        return self.root.inner_text()
