"""What every verb does at its end: leave the process and the disk as they were, also when it is interrupted.

An interrupt that comes as a ``with`` block, or a ``finally``, begins to clean up keeps it from doing so. What is here
cleans up twice, so that one of the two is not interrupted. Not for: what a verb does.
"""

from __future__ import annotations

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
