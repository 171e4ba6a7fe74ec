"""Temporary files and directories, of which nothing is left where a process is killed.

Not for: what is kept (:mod:`tfmagic.files.writing`).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tfmagic.files import hidden_places, refusals
from tfmagic.files.hidden_places import HiddenPlace

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Scratch:
    """A directory for what nobody keeps, in the system's temporary directory; a context manager.

    Raises
    ------
    WriteError
        If there is no room, or no permission.
    """

    def __init__(self) -> None:
        self._place: HiddenPlace | None = None

    def __enter__(self) -> Path:
        """Make the directory."""
        try:
            parent = Path(tempfile.gettempdir())
            hidden_places.sweep(parent)
            self._place = HiddenPlace(parent)
            self._place.make()
        except OSError as error:
            self.close()
            raise refusals.refusal_of_temporary(error) from error
        except BaseException:
            self.close()
            raise
        return self._place.path

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self.close()
        code = refusals.refused(error, self._place.path) if error is not None and self._place is not None else None
        if code is not None:
            raise refusals.refusal_of_temporary(OSError(code, os.strerror(code))) from error

    def belongs_to(self, owner: object) -> Callable[[], object]:
        """Keep the directory for as long as an object lives, instead of a block; return what ends it earlier."""
        if self._place is None:
            return self.close
        place, self._place = self._place, None
        return place.belongs_to(owner)

    def close(self) -> None:
        """Remove the directory now."""
        if self._place is not None:
            self._place.close()


def nameless() -> IO[bytes]:
    """Open a temporary file without a name, so that nothing is left of it when the process is killed.

    Where the system cannot do without a name, it goes as it is closed.

    Raises
    ------
    WriteError
        If there is no room, or no permission.
    """
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise refusals.refusal_of_temporary(error) from error
