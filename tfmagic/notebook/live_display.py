"""The link between a model's display and the panel: what is shown where a kernel and a front end with widgets live.

A model knows nothing of widgets; this is put in its way when the extension loads or the package's verbs are first used.
Not for: the panel (:mod:`tfmagic.notebook.panel.widgets.panel`).
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import progress
from tfmagic.display import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.chooser import Chooser
    from tfmagic.notebook.panel.widgets.panel import Panel


#: More panels than these are not kept alive: each holds its model, and some thirty widgets in the kernel and the page.
_ALIVE = 20


class Shown(NamedTuple):
    """A panel that is shown below a cell, which ran for a request; None where the front end has no cells."""

    cell: str | None
    request: str | None
    panel: Panel


#: Those that are alive, the oldest first.
_shown: list[Shown] = []


def install() -> None:
    """Let models be shown by the panel, and where a call is by a line below its cell."""
    render.display.live = show
    progress.place = progress_line


def progress_line() -> Callable[[str], None] | None:
    """Return what shows a text below the cell that is running, and nothing for ``""``; None where there are no cells.

    What is written to standard error would stay there, on red.
    """
    app = kernel_app()
    if app is None:
        return None
    mark = {"display_id": uuid.uuid4().hex}
    publish = app.shell.display_pub.publish
    is_there = False

    def put(text: str) -> None:
        nonlocal is_there
        publish({"text/plain": text}, transient=mark, update=is_there)
        is_there = True

    return put


def show(shown: Model | Panel | Chooser) -> str | None:
    """Show a model's panel, or what was made of it; return the id that its static form is to have, None without one."""
    app = kernel_app()
    if app is None:
        return None
    # The panel's modules and what models need are imported when one is shown: loading the extension must stay light.
    from tfmagic.models.model import Model  # noqa: PLC0415
    from tfmagic.notebook.panel.widgets.panel import Panel, view  # noqa: PLC0415

    panel = _remembered(app, Panel(shown)) if isinstance(shown, Model) else shown
    panel.heading.stand_in = f"tfm-{uuid.uuid4().hex}"
    app.shell.display_pub.publish(view(panel))
    return str(panel.heading.stand_in)


def _remembered(app: Any, panel: Panel) -> Panel:  # noqa: ANN401 - ipykernel's own
    """Note which cell shows a panel, and let go of those that it showed when it ran before: their outputs are gone.

    ipywidgets keeps every widget that is not closed, and with a panel its model: of many panels the oldest is closed,
    and its static form takes its place again. A panel that the user asked for by name is the user's to keep.
    """
    parent = app.kernel.get_parent("shell") or {}
    cell, request = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")
    gone = [old for old in _shown if cell and old.cell == cell and old.request != request]
    stay = [old for old in _shown if old not in gone]
    gone += stay[: max(0, len(stay) + 1 - _ALIVE)]
    _shown[:] = [*(old for old in stay if old not in gone), Shown(cell, request, panel)]
    for old in gone:
        old.panel.dispose()
    return panel


def kernel_app() -> Any:  # noqa: ANN401 - ipykernel's own
    """Return the Jupyter kernel that this process is; only a kernel has a front end that widgets can talk to."""
    return sys.modules["ipykernel.kernelapp"].IPKernelApp.instance() if progress.is_kernel() else None
