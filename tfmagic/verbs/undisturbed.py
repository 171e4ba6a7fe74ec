"""What every verb does at its end: leave the process and the disk as they were, also when it is interrupted.

An interrupt that comes as a ``with`` block, or a ``finally``, begins to clean up keeps it from doing so. What is here
cleans up twice, so that one of the two is not interrupted. Not for: what a verb does.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tfmagic import errors
from tfmagic.files import hidden_places
from tfmagic.runtime import native_log, thread_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Options = ParamSpec("_Options")
_Result = TypeVar("_Result")


def undisturbed(verb: Callable[_Options, _Result]) -> Callable[_Options, _Result]:
    """Have a verb leave TensorFlow's state of the thread as it was, no hidden place of its own, no log in a cell."""

    @wraps(verb)
    def call(*args: _Options.args, **kwargs: _Options.kwargs) -> _Result:
        put_back, count = thread_state.remembered(), hidden_places.opened_here()
        handled, filters = sys.exception(), warnings.filters
        end_log = native_log.held()
        try:
            try:
                return verb(*args, **kwargs)
            except BaseException as error:
                end_log(error)
                chain = _chain(error, handled)
                interrupt = next((link for link in chain if isinstance(link, KeyboardInterrupt)), None)
                if interrupt is None:
                    raise  # blocks were left as they should be, and what they held may be looked at
                _end_blocks(chain)
                _put_back_filters(filters)
                if error is interrupt or isinstance(error, errors.TfMagicError):
                    raise
                # What a library makes of it that stumbles over a block that was not left is no answer to who stops it.
                raise interrupt from None
            finally:
                end_log(None)
                put_back()
                hidden_places.close_since(count)
        finally:
            end_log(None)
            put_back()
            hidden_places.close_since(count)

    return call


def _chain(error: BaseException, handled: BaseException | None) -> list[BaseException]:
    """Return an error and what it came after, up to what was being handled when the verb was called."""
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
        if before is handled or any(before is link for link in chain):
            break
        chain.append(before)
    return chain


def _end_blocks(chain: list[BaseException]) -> None:
    """End the blocks that an interrupt kept from their ends, before anything is put back.

    The traceback keeps them; they would end when it is forgotten, which may be in another cell, and put TensorFlow back
    into the graph mode that they had found.
    """
    for link in chain:
        traceback.clear_frames(link.__traceback__)


def _put_back_filters(filters: Sequence[Any]) -> None:
    """Give warnings the filters that they had, where ``catch_warnings`` was kept from doing so."""
    if warnings.filters is not filters:
        warnings.filters = filters
        with warnings.catch_warnings():
            pass  # what was found by the others is forgotten
