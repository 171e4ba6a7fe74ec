"""A thread for what a handler must not wait for. Not for: work with stages that can be cancelled."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def begin(work: Callable[[], object], name: str) -> threading.Thread:
    """Run something in a thread that writes where the handler that began it would have written."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), daemon=True, name=f"tfmagic {name}")
    thread.start()
    return thread
