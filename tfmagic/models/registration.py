"""What registering a form or a format takes: an entry that is whole, with a name of its own.

Not for: the tables of contents themselves (``readers/__init__.py``, ``writers/__init__.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_Entry = TypeVar("_Entry")


def check(entry: object, kind: str, own: Collection[str], members: Iterable[str]) -> None:
    """Refuse what is no reader or writer of a user's own.

    Parameters
    ----------
    entry : object
        The reader or the writer.
    kind : str
        What it has a name of: ``"form"`` or ``"format"``.
    own : collection of str
        The names that are tfmagic's own.
    members : iterable of str
        What its protocol asks for.

    Raises
    ------
    TfMagicError
        If something of the protocol is missing, or the name is tfmagic's own.
    """
    if isinstance(entry, type):
        raise errors.TfMagicError(f"{entry!r} is a class; register an instance of it: {entry.__name__}()")
    missing = [member for member in members if not hasattr(entry, member)]
    if missing:
        raise errors.TfMagicError(f"{entry!r} has no {errors.listed(missing)}, which every {kind} has; add it")
    name = getattr(entry, kind)
    if name in own:
        raise errors.TfMagicError(f"the {kind} {name!r} is one of tfmagic's own; give yours another name")


def without(contents: Iterable[_Entry], kind: str, name: str) -> list[_Entry]:
    """Return a table of contents without what has this name."""
    return [entry for entry in contents if getattr(entry, kind) != name]


def completed(entry: object, base: type[Any]) -> Any:  # noqa: ANN401 - of the base class
    """Return an entry that has the defaults of its base class for all that it does not say itself."""
    if isinstance(entry, base):
        return entry
    own = {name: getattr(entry, name) for name in dir(entry) if not name.startswith("__")}
    return type(type(entry).__name__, (base,), own)()
