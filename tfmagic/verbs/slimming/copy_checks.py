"""A copy held against its source: run on the same inputs, and what follows.

Not for: the values of a checkpoint, which are compared byte by byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion.job import NOT_ASKED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.verbs.conversion.checks import Source
    from tfmagic.verbs.verification.outcome import Verification
    from tfmagic.verbs.verification.trial_functions import Runner


class Ends(NamedTuple):
    """Inputs and outputs of what is compared."""

    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]


def compared(
    source: Source,
    load: Callable[[str], Runner],
    require_loaders: Callable[[], None] | None = None,
    *,
    check: bool | None,
) -> Mapping[str, Verification]:
    """Run source and copy on the same inputs, if that is wanted and can be."""
    if check is False:
        return source.unchecked(NOT_ASKED)
    try:
        return source.compared(load, require_loaders)
    except errors.MissingDependencyError as error:
        if check:
            raise
        return source.unchecked(str(error))
    except errors.VerificationError:
        raise
    except errors.ConversionError:
        reason = _unloadable(source)
        if not reason:
            raise
        return source.unchecked(f"the source cannot be loaded to be run, nor can the copy: {reason}")


def _unloadable(source: Source) -> str:
    """Say why a source cannot be loaded either, nothing if it can."""
    try:
        conversion_options.functions(source.model, source.wish, every=False)
    except errors.TfMagicError as error:
        return str(error).partition("\n")[0]
    return ""


def require_good(verifications: Mapping[str, Verification], place: Path, *, check: bool | None) -> None:
    """Refuse a copy that differs from its source, or that could not be checked though it must be.

    Raises
    ------
    VerificationError
        If outputs or values differ.
    UntrustedCodeError
        If nobody vouched for what a run would do.
    """
    conversion_checks.require_equal(verifications, f"{str(place)!r} was not written")
    if check:
        conversion_checks.require_checked(each.unchecked for each in verifications.values())
