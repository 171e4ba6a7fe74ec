"""Show the stages of a long call on a terminal or in a notebook, and nothing where nobody looks.

Not for: deciding what the stages are.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A call that is over before this many seconds shows nothing.
_DELAY = 0.2


@contextmanager
def stages(title: str, count: int) -> Iterator[Callable[[str], None]]:
    """Show a bar over the stages of a call; the function that is given begins the next one, by its name."""
    bar = tqdm(total=count, desc=title, delay=_DELAY, leave=False, disable=not _is_watched(), unit="stage")
    due = time.monotonic() + _DELAY
    # A stage may be long, and the next one only then begins.
    timer = threading.Timer(_DELAY, _show, [bar])
    timer.daemon = True
    begun: list[str] = []

    def begin(name: str) -> None:
        if begun:
            bar.update()
        begun.append(name)
        bar.set_postfix_str(name, refresh=False)
        if time.monotonic() >= due:
            _show(bar)

    if not bar.disable:
        timer.start()
    try:
        with bar:
            yield begin
    finally:
        timer.cancel()


def _show(bar: tqdm[NoReturn]) -> None:
    """Draw a bar, and have it cleared in the end."""
    if not bar.disable:
        bar.last_print_t = time.time()
        bar.refresh()


def _is_watched() -> bool:
    """Say whether a person sees what goes to stderr: at a terminal, or as the output of a cell."""
    return "ipykernel" in sys.modules or sys.stderr.isatty()
