"""Which text is an address, and how it is shown: without user, password, query or token.

Not for: what is at it (:mod:`tfmagic.files.addresses.address`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: A scheme has two letters at least, as a letter and a colon are a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+(?:://|::)")
_HERE = re.compile(r"(?:file|local)://", re.IGNORECASE)
_OF_HTTP = re.compile(r"(?P<root>https?://[^/?#]*)(?P<path>[^?#]*)(?P<tail>\?[^#]*)?.*", re.IGNORECASE | re.DOTALL)
_TAIL = re.compile(r"(?P<path>[^?]*)(?P<tail>\?[^?]*=.*)?", re.DOTALL)
#: What stands before an ``@`` there says where something is, not who asks.
_AT_IS_PLACE = frozenset({"abfs", "abfss", "adl", "github", "gitlab", "hf"})
#: File systems of ``fsspec`` that keep what another one gives: the path behind them is that one's.
CACHES = frozenset({"blockcache", "cached", "filecache", "simplecache"})


class Url(NamedTuple):
    """An address taken apart: what the library is asked for, and what is shown.

    ``root`` + path + ``tail`` is what the library takes, ``head`` + path + ``end`` what a person sees.
    """

    root: str
    path: str
    tail: str
    head: str
    end: str

    def asked(self, path: str) -> str:
        """Return what the library takes for a path."""
        return f"{self.root}{path}{self.tail}"

    def shown(self, path: str) -> str:
        """Return what a person sees of a path."""
        return f"{self.head}{path.lstrip('/')}{self.end}"


def is_address(text: str) -> bool:
    """Whether a text is an address, and not a path on this machine."""
    return _SCHEME.match(text) is not None and "://" in text and _HERE.match(text) is None


def here(text: str) -> str:
    """Return the path on this machine that a text means: what ``file://`` names, else the text."""
    return _HERE.sub("", text, count=1)


def scheme(text: str) -> str:
    """Return the protocol that an address begins with, that behind a cache for a chain of them."""
    parts = [part.partition("://")[0].lower() for part in text.split("::")]
    return next((part for part in parts if part not in CACHES), parts[0])


def without_credentials(text: str) -> str:
    """Return an address as it may be shown: user, password, query and fragment are cut out of each part."""
    return "::".join(_shown_part(part) for part in text.split("::"))


def chained(text: str) -> str:
    """Return an address whose first part has a path, as ``zip::`` stands for the root of the archive."""
    first, mark, rest = text.partition("::")
    return f"{first}://::{rest}" if mark and "://" not in first and first.lower() not in CACHES else text


def nothing_at(shown: str) -> str:
    """Word that there is nothing at an address."""
    return f"there is no file, directory or checkpoint at {shown!r}; check the address"


def taken_apart(text: str, path: str) -> Url:
    """Take an address apart.

    Parameters
    ----------
    text : str
        As the user wrote it, :func:`chained`.
    path : str
        What the library's file system calls it.
    """
    http = _OF_HTTP.fullmatch(path)
    parts = http or _TAIL.fullmatch(path)
    assert parts is not None  # noqa: S101 - the second pattern takes all
    # A server has a root, whether or not an address ends in its slash.
    inside = parts["path"].rstrip("/") or ("/" if http or parts["path"] else "")
    prefix, shown, end = _first_part(without_credentials(text))
    own = inside.strip("/")
    shown = shown.rstrip("/") if own else shown
    head = shown.removesuffix(own) if own else shown
    if own and head == shown:
        head = f"{shown.partition('://')[0]}://"
    if http and not head.endswith("/"):
        head += "/"
    return Url(http["root"] if http else "", inside, parts["tail"] or "", prefix + head, end)


def _first_part(text: str) -> tuple[str, str, str]:
    """Return the caches before the part that has the path, that part, and what it is chained to."""
    prefix = ""
    first, mark, rest = text.partition("::")
    while mark and first.lower() in CACHES:
        prefix += first + mark
        first, mark, rest = rest.partition("::")
    return prefix, first, mark + rest


def _shown_part(part: str) -> str:
    name, mark, rest = part.partition("://")
    if not mark:
        return part
    host, slash, path = rest.partition("/")
    if name.lower() not in _AT_IS_PLACE:
        host = host.rpartition("@")[2]
    host, path = (re.split(r"[?#]", piece)[0] for piece in (host, path))
    return f"{name}{mark}{host}{slash or ''}{path}"
