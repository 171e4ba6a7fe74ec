"""Say in our words what a server or a library refuses: theirs may hold credentials, and are never repeated."""

from __future__ import annotations

import errno

from tfmagic import errors
from tfmagic.files import refusals
from tfmagic.files.addresses import urls
from tfmagic.files.addresses.http_store import StatusError

_UNAUTHORISED = frozenset({401, 403})
#: Names of errors that say that nobody asks: botocore's, Google's.
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")

#: What no server says to who reads: what is fetched has no room here.
_OF_THIS_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE})


class RefusedError(errors.ReadError):
    """Who asks may not read it; a store may also say so of what is not there."""


def translated(error: Exception, shown: str) -> Exception:
    """Word what a library raised, without its own text, which may hold credentials."""
    status = getattr(error, "status", None)
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno in _OF_THIS_MACHINE:
        return refusals.refusal_of_temporary(error)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(urls.nothing_at(shown))
    if isinstance(error, PermissionError) or status in _UNAUTHORISED:
        said = f" (status {status})" if status is not None else ""
        return RefusedError(
            f"{shown!r} may not be read{said}: it needs credentials, or others; they are taken from fsspec's "
            "configuration and the environment"
        )
    if name in _NO_CREDENTIALS:
        return errors.ReadError(
            f"no credentials were found for {shown!r}; put them into fsspec's configuration or the environment"
        )
    if isinstance(error, StatusError):
        return errors.ReadError(f"{shown!r} cannot be read: the server answers with status {status}; try it later")
    return errors.ReadError(f"{shown!r} cannot be read: {name}; check the address, the network and the server")
