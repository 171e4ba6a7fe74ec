"""What every verb does at its end: leave the process and the disk as they were, also when it is interrupted.

An interrupt that comes as a ``with`` block, or a ``finally``, begins to clean up keeps it from doing so. What is here
cleans up twice, so that one of the two is not interrupted. Not for: what a verb does.
"""

from __future__ import annotations

import traceback
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from tfmagic.files import hidden_places
from tfmagic.runtime import native_log, thread_state

if TYPE_CHECKING:
    from collections.abc import Callable

_Options = ParamSpec("_Options")
_Result = TypeVar("_Result")


def undisturbed(verb: Callable[_Options, _Result]) -> Callable[_Options, _Result]:
    """Have a verb leave TensorFlow's state of the thread as it was, no hidden place of its own, no log in a cell."""

    @wraps(verb)
    def call(*args: _Options.args, **kwargs: _Options.kwargs) -> _Result:
        put_back, count = thread_state.remembered(), hidden_places.opened_here()
        end_log = native_log.held()
        try:
            try:
                return verb(*args, **kwargs)
            except BaseException as error:
                end_log(error)
                _end_blocks(error)
                raise
            finally:
                end_log(None)
                put_back()
                hidden_places.close_since(count)
        finally:
            end_log(None)
            put_back()
            hidden_places.close_since(count)

    return call


def _end_blocks(error: BaseException) -> None:
    """End the blocks that an interrupt kept from their ends, before anything is put back.

    The traceback keeps them; they would end when it is forgotten, which may be in another cell, and put TensorFlow back
    into the graph mode that they had found.
    """
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    if all(isinstance(each, Exception) for each in chain):
        return  # blocks were left as they should be, and what they held may be looked at
    for link in chain:
        traceback.clear_frames(link.__traceback__)
