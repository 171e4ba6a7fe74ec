"""The link between a model's display and the panel: what is shown where a kernel and a front end with widgets live.

A model knows nothing of widgets; this is put in its way when the extension loads or the package's verbs are first used.
Not for: the panel (:mod:`tfmagic.notebook.panel.widgets.panel`).
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

from tfmagic.display import render
from tfmagic.models.model import Model

if TYPE_CHECKING:
    from tfmagic.notebook.panel.widgets.chooser import Chooser
    from tfmagic.notebook.panel.widgets.panel import Panel


#: By cell, the request that it ran for last and the panels that it shows.
_shown: dict[str, tuple[str, list[Panel]]] = {}


def install() -> None:
    """Let models be shown by the panel."""
    render.display.live = show


def show(shown: Model | Panel | Chooser) -> str | None:
    """Show a model's panel, or what was made of it; return the id that its static form is to have, None without one."""
    app = kernel_app()
    if app is None:
        return None
    # The panel's modules are imported when one is shown.
    from tfmagic.notebook.panel.widgets.panel import Panel, view  # noqa: PLC0415

    panel = _remembered(app, Panel(shown)) if isinstance(shown, Model) else shown
    panel.heading.stand_in = f"tfm-{uuid.uuid4().hex}"
    app.shell.display_pub.publish(view(panel))
    return str(panel.heading.stand_in)


def _remembered(app: Any, panel: Panel) -> Panel:  # noqa: ANN401 - ipykernel's own
    """Note which cell shows a panel, and let go of those that it showed when it ran before: their outputs are gone.

    ipywidgets keeps every widget that is not closed, and with a panel its model. A panel that the user asked for by
    name is the user's to keep.
    """
    parent = app.kernel.get_parent("shell") or {}
    cell, request = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")
    if cell and request:
        before, panels = _shown.get(cell, ("", []))
        if before != request:
            for old in panels:
                old.dispose()
            panels = []
        _shown[cell] = (request, [*panels, panel])
    return panel


def kernel_app() -> Any:  # noqa: ANN401 - ipykernel's own
    """Return the Jupyter kernel that this process is; only a kernel has a front end that widgets can talk to."""
    kind = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return kind.instance() if kind is not None and kind.initialized() else None
