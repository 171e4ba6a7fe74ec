"""Records of a library's log that would mislead here, kept back while we use it.

Not for: switching a log off, or its level: all else is logged as the user has it, from every thread.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator


@contextmanager
def held_back(logger: logging.Logger, *texts: str) -> Iterator[None]:
    """Keep back the records whose message has one of these texts in it."""

    def is_other(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        return not any(text in message for text in texts)

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)
