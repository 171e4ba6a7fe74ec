"""Inspect and convert TensorFlow models from a notebook.

``%load_ext tfmagic`` gives the magics, ``import tfmagic`` the same verbs as functions. Importing this imports
neither TensorFlow nor Keras nor pandas: each is loaded by the first thing that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from tfmagic.errors import (
        ConversionError,
        CorruptSourceError,
        MissingDependencyError,
        MissingPartError,
        ReadError,
        TfMagicError,
        TooLargeError,
        UnknownNameError,
        UnrecognizedSourceError,
        UnsupportedConversionError,
        UntrustedCodeError,
        VerificationError,
        WriteError,
    )
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.verb import graph_view, panel
    from tfmagic.verbs.catalog import catalog
    from tfmagic.verbs.conversion.job import Export
    from tfmagic.verbs.diff import Diff, diff
    from tfmagic.verbs.export import export
    from tfmagic.verbs.forms import forms
    from tfmagic.verbs.freeze import freeze
    from tfmagic.verbs.inspect import inspect
    from tfmagic.verbs.merge import merge
    from tfmagic.verbs.restore import restore
    from tfmagic.verbs.run import run
    from tfmagic.verbs.run_results import Run
    from tfmagic.verbs.scan import Scan, scan
    from tfmagic.verbs.sign import sign
    from tfmagic.verbs.slim import Slimmed, slim
    from tfmagic.verbs.snippets.code import Code, code
    from tfmagic.verbs.verify import verify

__version__ = "0.1.0"

#: Where each public name is defined; it is imported when it is first used.
_HOMES = {
    "catalog": "verbs.catalog",
    "Diff": "verbs.diff",
    "diff": "verbs.diff",
    "Export": "verbs.conversion.job",
    "Model": "models.model",
    "Run": "verbs.run_results",
    "export": "verbs.export",
    "forms": "verbs.forms",
    "freeze": "verbs.freeze",
    "graph_view": "notebook.panel.widgets.verb",
    "inspect": "verbs.inspect",
    "Code": "verbs.snippets.code",
    "code": "verbs.snippets.code",
    "merge": "verbs.merge",
    "panel": "notebook.panel.widgets.verb",
    "restore": "verbs.restore",
    "run": "verbs.run",
    "Scan": "verbs.scan",
    "Slimmed": "verbs.slim",
    "scan": "verbs.scan",
    "sign": "verbs.sign",
    "slim": "verbs.slim",
    "verify": "verbs.verify",
    **dict.fromkeys(
        (
            "ConversionError", "CorruptSourceError", "MissingDependencyError", "MissingPartError", "ReadError",
            "TfMagicError", "TooLargeError", "UnknownNameError", "UnrecognizedSourceError",
            "UnsupportedConversionError", "UntrustedCodeError", "VerificationError", "WriteError",
        ),
        "errors",
    ),
}  # fmt: skip

__all__ = [
    "Code",
    "ConversionError",
    "CorruptSourceError",
    "Diff",
    "Export",
    "MissingDependencyError",
    "MissingPartError",
    "Model",
    "ReadError",
    "Run",
    "Scan",
    "Slimmed",
    "TfMagicError",
    "TooLargeError",
    "UnknownNameError",
    "UnrecognizedSourceError",
    "UnsupportedConversionError",
    "UntrustedCodeError",
    "VerificationError",
    "WriteError",
    "catalog",
    "code",
    "diff",
    "export",
    "forms",
    "freeze",
    "graph_view",
    "inspect",
    "load_ipython_extension",
    "merge",
    "panel",
    "restore",
    "run",
    "scan",
    "sign",
    "slim",
    "unload_ipython_extension",
    "verify",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        message = f"module 'tfmagic' has no attribute {name!r}"
        raise AttributeError(message)
    importlib.import_module("tfmagic.notebook.live_display").install()
    value = getattr(importlib.import_module(f"tfmagic.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return [*__all__, "__version__"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics: what ``%load_ext tfmagic`` calls."""
    from tfmagic.notebook import magics  # noqa: PLC0415 - importing tfmagic must not need IPython

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away: what ``%unload_ext tfmagic`` calls."""
    from tfmagic.notebook import magics  # noqa: PLC0415 - as above

    magics.unload(shell)
