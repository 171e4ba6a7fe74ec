"""Show the stages of a long call on a terminal or in a notebook, and nothing where nobody looks.

Not for: deciding what the stages are.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A call that is over before this many seconds shows nothing.
_DELAY = 0.2


@contextmanager
def stages(title: str, count: int) -> Iterator[Callable[[str], None]]:
    """Show a bar over the stages of a call; the function that is given begins the next one, by its name."""
    bar = tqdm(total=count, desc=title, delay=_DELAY, leave=False, disable=not _is_watched(), unit="stage")
    begun: list[str] = []

    def begin(name: str) -> None:
        if begun:
            bar.update()
        begun.append(name)
        bar.set_postfix_str(name)

    with bar:
        yield begin


def _is_watched() -> bool:
    """Say whether a person sees what goes to stderr: at a terminal, or as the output of a cell."""
    return "ipykernel" in sys.modules or sys.stderr.isatty()
