"""The code that brings files from an address, and to it: TensorFlow's own takes paths of this machine.

Addresses stand in it without credentials, which fsspec takes from its configuration and the environment.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic.files import places
from tfmagic.files.addresses import urls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.models.model import Model

IMPORT = "import fsspec"
#: Verbs whose first argument behind the source is a destination; others name theirs by an option.
_WITH_DESTINATION = frozenset({"export", "sign"})
_OUTPUT = "output"


def fetching(model: Model) -> list[str]:
    """Return the code that copies a model's files to the working directory; none where they lie here."""
    if places.is_here(model.path):
        return []
    address = places.as_address(model.path)
    # A checkpoint is all files that begin so.
    is_group = model.file is None and not places.is_file(address)
    if is_group:
        what, target, options = "f'{path}*'", "'./'", ""
    else:
        is_directory = model.file is not None
        what, target, options = "path", repr(address.name), ", recursive=True" if is_directory else ""
    return ["", *_place(str(address)), f"files.get({what}, {target}{options})"]


def _place(address: str) -> list[str]:
    return [f"files, path = fsspec.core.url_to_fs({address!r})"]


def _is_address(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and places.is_address(value)


class Sent(NamedTuple):
    """What a verb is called on, with names in the working directory for addresses, and the code that sends those."""

    arguments: tuple[object, ...]
    options: Mapping[str, Any]
    lines: list[str]
    fetched: Sequence[str] = ()

    @classmethod
    def of(cls, verb: str, arguments: Sequence[object], options: Mapping[str, Any]) -> Sent:
        """Take the destination of a call apart."""
        if verb == "restore" and arguments and _is_address(arguments[0]):
            shown = urls.without_credentials(str(arguments[0])).rstrip("/")
            name = shown.rpartition("/")[2]
            return cls((name, *arguments[1:]), options, [], ["", *_place(shown), "files.get(f'{path}*', './')"])
        destination = arguments[0] if arguments and verb in _WITH_DESTINATION else options.get(_OUTPUT)
        if not _is_address(destination):
            return cls(tuple(arguments), options, [])
        shown = urls.without_credentials(str(destination)).rstrip("/")
        name = shown.rpartition("/")[2]
        lines = ["", *_place(shown), f"files.put({name!r}, path, recursive=True)"]
        if verb in _WITH_DESTINATION:
            return cls((name, *arguments[1:]), options, lines)
        return cls(tuple(arguments), {**options, _OUTPUT: name}, lines)
