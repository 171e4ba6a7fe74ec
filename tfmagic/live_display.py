"""The link between a model's display and the panel: what is shown where a kernel and a front end with widgets live.

A model knows nothing of widgets; this is put in its way when the extension loads or the package's verbs are first used.
Not for: the panel (:mod:`tfmagic.widgets.panel`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tfmagic import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.model import Model


def install() -> None:
    """Let models be shown by the panel."""
    render.display.live = forms


def forms(model: Model) -> Mapping[str, object]:
    """Return the live form of a model by MIME type, nothing where none can be: text and HTML then stand for it."""
    if not is_in_kernel():
        return {}
    # The panel's modules are imported when one is shown.
    from tfmagic.widgets.panel import Panel  # noqa: PLC0415

    return Panel(model).view()


def is_in_kernel() -> bool:
    """Say whether this process is a Jupyter kernel, which alone has a front end that widgets can talk to."""
    app = getattr(sys.modules.get("ipykernel.kernelapp"), "IPKernelApp", None)
    return app is not None and bool(app.initialized())
