"""Everything that tfmagic raises on purpose.

    TfMagicError
    ├── ReadError
    │   ├── UnrecognizedSourceError (ValueError)    nothing claims the source
    │   └── CorruptSourceError      (ValueError)    claimed, but it did not parse
    ├── MissingPartError            (LookupError)   the form has no such part
    │   └── UnknownNameError                        no signature, tensor, tag-set of that name
    ├── ConversionError
    │   ├── UnsupportedConversionError (ValueError) this form cannot become that format
    │   ├── TooLargeError           (ValueError)    past protobuf's 2 GiB
    │   └── VerificationError                       the result differs from the source
    ├── WriteError                  (OSError)       exists, no space, not permitted
    ├── UntrustedCodeError          (PermissionError) it would act outside the model
    └── MissingDependencyError      (ImportError)   a library is not installed

A message says what was given, what is wrong and what would work. A missing path stays the built-in
``FileNotFoundError``. Not for: exceptions of TensorFlow, which are chained as causes, never replaced.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

#: More names than this in one message help nobody.
LISTED_NAMES = 12
#: Names like one that does not exist.
_OFFERED = 5


def listed(names: Iterable[object]) -> str:
    """Join names by ``repr`` for a message, and say how many were left out."""
    shown = [repr(name) for name in names]
    if not shown:
        return "(none)"
    rest = len(shown) - LISTED_NAMES
    tail = f" and {rest} more" if rest > 0 else ""
    return ", ".join(shown[:LISTED_NAMES]) + tail


class TfMagicError(Exception):
    """The root of all errors that tfmagic raises on purpose."""


class ReadError(TfMagicError):
    """A source could not be read.

    Attributes
    ----------
    table : pandas.DataFrame or None
        Of a catalogue that broke off: the rows that were finished.
    """

    table: pd.DataFrame | None = None


class UnrecognizedSourceError(ReadError, ValueError):
    """No form claims the source."""


class CorruptSourceError(ReadError, ValueError):
    """A form claims the source, but its content does not parse."""


class MissingPartError(TfMagicError, LookupError):
    """The source's form has no such part.

    Attributes
    ----------
    part : str
        What was asked for.
    form : str
        The form of the source.
    available : tuple of str
        The parts that there are.
    """

    def __init__(self, part: str, form: str, available: Iterable[str], advice: str = "") -> None:
        self.part = part
        self.form = form
        self.available = tuple(available)
        message = f"a {form} source has no {part!r}; it has {listed(self.available)}"
        super().__init__(f"{message}. {advice}" if advice else message)


class UnknownNameError(MissingPartError):
    """The source has no signature, tensor, tag-set or op of the given name.

    Attributes
    ----------
    name : str
        What was given.
    kind : str
        What it should have named: ``"signature"``, ``"tensor"``, ``"tag-set"`` ...
    available : tuple of str
        The names that there are, in the model's order.
    """

    def __init__(self, name: str, kind: str, available: Iterable[str], form: str = "") -> None:
        self.name = name
        self.kind = kind
        self.part = kind
        self.form = form
        self.available = tuple(available)
        # LookupError keeps the message in args; MissingPartError's own wording does not fit here.
        LookupError.__init__(self, f"no {kind} {name!r}; {self._advice()}")

    @property
    def near(self) -> list[str]:
        """The names that there are and that look like the one given, the nearest first."""
        wanted = str(self.name)
        same = [name for name in self.available if name.casefold() == wanted.casefold()]
        near = difflib.get_close_matches(wanted, self.available, n=_OFFERED, cutoff=0.5)
        return list(dict.fromkeys([*same, *near]))[:_OFFERED]

    def _advice(self) -> str:
        """Say which names are near, else which there are."""
        if self.near:
            return f"did you mean {listed(self.near)}?"
        if self.form and not self.available:
            return f"a source of the form {self.form!r} has no {self.kind}s, so leave it out"
        return f"there is {listed(self.available)}"


class ConversionError(TfMagicError):
    """A conversion did not come to its end.

    Parameters
    ----------
    options : mapping, optional
        Options of the verb that would help, by their Python names; ``...`` where the user alone knows the value.

    Attributes
    ----------
    options : mapping
        Those options.
    table : pandas.DataFrame or None
        Of values that do not fit a model: both sides, as ``restore`` returns them.
    """

    table: pd.DataFrame | None = None

    def __init__(self, *args: object, options: Mapping[str, object] | None = None) -> None:
        self.options = options or {}
        super().__init__(*args)


class UnsupportedConversionError(ConversionError, ValueError):
    """A source of this form cannot be written in that format.

    Attributes
    ----------
    form, format : str
        From what to what.
    possible : tuple of str
        The formats that the source can be written in.
    reason : str
        Why it cannot be written in the one asked for.
    """

    def __init__(
        self,
        form: str,
        format: str,
        possible: Iterable[str],
        reason: str = "",
        options: Mapping[str, object] | None = None,
    ) -> None:
        self.form = form
        self.format = format
        self.possible = tuple(possible)
        self.reason = reason
        why = f": {reason}" if reason else ""
        others = f"; possible: {listed(self.possible)}" if self.possible else ""
        super().__init__(f"a {form} source cannot become {format!r}{why}{others}", options=options)


class TooLargeError(ConversionError, ValueError):
    """The result would pass protobuf's limit of 2 GiB for one message."""


class VerificationError(ConversionError):
    """The result does not give the source's numbers; it was not left as done.

    Attributes
    ----------
    verification : pandas.DataFrame
        The comparison, a row an output: output, max_abs, max_rel, equal.
    """

    def __init__(self, message: str, verification: pd.DataFrame) -> None:
        self.verification = verification
        super().__init__(message)


class WriteError(TfMagicError, OSError):
    """The destination exists, is not permitted or has no room."""

    def __str__(self) -> str:
        """Return the message: the number of the error is for programs, in ``errno``."""
        return str(self.strerror or super().__str__())


class UntrustedCodeError(TfMagicError, PermissionError):
    """The model would act outside itself, and nobody vouched for it; the message says how to allow it.

    Attributes
    ----------
    doing : str
        What it would do and where, as a sentence goes on after "it would".
    """

    def __init__(self, message: str, doing: str = "do what its code says") -> None:
        self.doing = doing
        super().__init__(message)


class MissingDependencyError(TfMagicError, ImportError):
    """A library is not installed, or what is installed is another version, or is set up otherwise.

    Parameters
    ----------
    purpose : str
        What needs it.
    package : str
        What to give to ``pip install``, ``""`` if nothing has to be installed.
    state : str, optional
        What it needs and what is there instead, ``"X, but Y is installed"``; else that nothing is.
    remedy : str, optional
        What else helps than to install.

    Attributes
    ----------
    package : str
        The exact pip line that installs it, ``""`` where another thing helps.
    """

    def __init__(
        self, purpose: str, package: str, *, state: str = "a library that is not installed", remedy: str = ""
    ) -> None:
        self.package = f"pip install {package}" if package else ""
        super().__init__(f"{purpose} needs {state}; {remedy or f'run: {self.package}'}")
