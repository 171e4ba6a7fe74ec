"""Libraries that may not be installed, imported when they are needed.

Not for: those that are always there.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tfmagic import errors

if TYPE_CHECKING:
    from types import ModuleType


def library(name: str, purpose: str, package: str) -> ModuleType:
    """Import a library.

    Parameters
    ----------
    name : str
        The module.
    purpose : str
        What it is needed for.
    package : str
        What to give to ``pip install``.

    Raises
    ------
    MissingDependencyError
        If it is not installed; one that is broken raises its own error.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module missing *inside* the library is a broken installation, and another story.
        if error.name not in (name, name.partition(".")[0]):
            raise
        raise errors.MissingDependencyError(purpose, package) from error
