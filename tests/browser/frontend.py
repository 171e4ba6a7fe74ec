"""Drive a notebook in a real front end: run its cells, read their outputs, complete in them.

Cells are run through the front end's own commands, not by keyboard: keystrokes that arrive while a kernel starts
are lost. Not for: starting servers (``server.py``) or browsers (``conftest.py``).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from playwright.sync_api import TimeoutError  # noqa: A004 - playwright's name for it

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

#: Milliseconds. A kernel starts in two seconds; importing TensorFlow on a busy machine takes twenty.
KERNEL_TIMEOUT = 60_000
CELL_TIMEOUT = 180_000
POPUP_TIMEOUT = 4_000
COMPLETION_ATTEMPTS = 3

#: A notebook is shown, and nothing lies over it that a test left there.
IS_OPEN = """() => {
  const panel = (window.jupyterapp ?? window.jupyterlab)?.shell?.currentWidget;
  return !!panel?.content?.widgets && !!panel.sessionContext?.isReady && !document.querySelector(".jp-Dialog");
}"""

#: Other cells take the place of those that are there, and a new kernel the place of theirs.
REPLACE = """async (notebook) => {
  const panel = (window.jupyterapp ?? window.jupyterlab).shell.currentWidget;
  panel.context.model.fromJSON(notebook);
  await panel.sessionContext.changeKernel({ name: "python3" });
}"""

#: The kernel is idle: then it knows of no cell that it was asked to run before this one.
READY = """() => {
  const app = window.jupyterapp ?? window.jupyterlab;
  const panel = app?.shell?.currentWidget;
  return panel?.sessionContext?.isReady && panel.sessionContext.session?.kernel?.status === "idle"
    && panel.content?.widgets?.length > 0;
}"""

#: Counts the answers to what a widget's script asks the kernel once, by itself, to be answered while a cell runs too.
COUNT_PINGS = """() => {
  const { kernel } = (window.jupyterapp ?? window.jupyterlab).shell.currentWidget.sessionContext.session;
  const pings = new Set();
  window.answeredPings = 0;
  kernel.anyMessage.connect((_, { msg, direction }) => {
    const asked = msg.content.data?.content;
    if (direction === "send" && (asked?.ping || asked?.do === "ping")) pings.add(msg.header.msg_id);
    const isIdle = msg.header.msg_type === "status" && msg.content.execution_state === "idle";
    if (isIdle && pings.delete(msg.parent_header.msg_id)) window.answeredPings += 1;
  });
}"""

#: Resolves when the kernel has answered, to the outputs as the notebook file would hold them.
RUN = """async ([index, timeout]) => {
  const app = window.jupyterapp ?? window.jupyterlab;
  const panel = app.shell.currentWidget;
  panel.content.activeCellIndex = index;
  panel.content.deselectAll();
  const late = new Promise((_, reject) =>
    setTimeout(() => reject(new Error(`cell ${index} is still running`)), timeout));
  await Promise.race([app.commands.execute("notebook:run-cell"), late]);
  return panel.content.widgets[index].model.sharedModel.toJSON().outputs;
}"""

#: A kernel's first completion imports its completer, which is not what a test is about.
WARM_UP = """() => (window.jupyterapp ?? window.jupyterlab).shell.currentWidget.sessionContext.session.kernel
  .requestComplete({ code: "pri", cursor_pos: 3 })"""

OFFERED = ".jp-Completer:not(.lm-mod-hidden) .jp-Completer-match"


@dataclass(frozen=True)
class Frontend:
    """A notebook that is open in a browser."""

    page: Page

    def open(self, address: str) -> None:
        """Open a notebook and wait until its kernel is idle."""
        self.page.goto(address)
        self._wait()

    def is_open(self) -> bool:
        """Say whether a notebook is shown."""
        return bool(self.page.evaluate(IS_OPEN))

    def replace(self, notebook: dict[str, Any]) -> None:
        """Let the notebook that is shown hold what another file does, and wait until its new kernel is idle."""
        self.page.evaluate(REPLACE, notebook)
        self._wait()

    def _wait(self) -> None:
        self.page.wait_for_function(READY, timeout=KERNEL_TIMEOUT)
        self.page.evaluate(COUNT_PINGS)

    def run(self, index: int) -> list[dict[str, Any]]:
        """Run a cell and return its outputs in the notebook format."""
        outputs: list[dict[str, Any]] = self.page.evaluate(RUN, [index, CELL_TIMEOUT])
        return outputs

    def cell(self, index: int) -> Locator:
        """Return a cell as the page shows it."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def shown(self, index: int) -> str:
        """Return the text that a person reads below a cell."""
        return self.cell(index).locator(".jp-OutputArea").inner_text()

    def complete(self, index: int, text: str) -> list[str]:
        """Type a text into a cell, press Tab and return what is offered; a single offer is inserted at once.

        The front end drops an answer that takes more than a second (its setting ``providerTimeout``). On a busy
        machine that happens to any kernel, so Tab is pressed again, as a person would.
        """
        self.page.evaluate(WARM_UP)
        for _ in range(COMPLETION_ATTEMPTS - 1):
            with contextlib.suppress(TimeoutError):
                return self._complete_once(index, text)
        return self._complete_once(index, text)

    def _complete_once(self, index: int, text: str) -> list[str]:
        editor = self.cell(index).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.type(text)
        # Until the front end has wired its completer to the editor, Tab would indent.
        self.cell(index).locator(".jp-mod-completer-enabled").wait_for(timeout=POPUP_TIMEOUT)
        self.page.keyboard.press("Tab")
        self.page.wait_for_function(
            "([cell, text, popup]) => cell.innerText.trimEnd() !== text.trimEnd() || document.querySelector(popup)",
            arg=[editor.element_handle(), text, OFFERED],
            timeout=POPUP_TIMEOUT,
        )
        offered = self.page.locator(OFFERED).all_inner_texts()
        self.page.keyboard.press("Escape")
        return offered or [editor.inner_text().strip().rpartition(" ")[2]]
