"""Tell whether the bytecode in a Keras file is this Python's, before anything unmarshals it.

Keras stores a lambda as ``marshal.dumps(function.__code__)`` in base64 (Keras 1 and 2 at first as plain text) and
records no version of Python beside it (``keras.src.utils.python_utils.func_dump``). Running another version's bytecode
ends the process, so its layout and its instructions are checked. Not for: whether code is to be trusted.
"""

from __future__ import annotations

import binascii
import codecs
import marshal
import opcode
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

#: A code object begins with its type, perhaps marked as referred to; five integers follow since Python 3.11, and then
#: the instructions, a bytes object (CPython's Python/marshal.c, ``w_complex_object``).
_CODE, _BYTES, _REFERRED = b"c"[0], b"s"[0], 0x80
_INTEGERS, _INTEGER_BYTES = 5, 4
#: What may come before RESUME, which every code object has near its beginning since Python 3.11.
_PROLOGUE = frozenset({"CACHE", "COPY_FREE_VARS", "MAKE_CELL", "NOP", "POP_TOP", "RETURN_GENERATOR"})


def unmarshalled(text: str) -> CodeType:
    """Return the code object that a Keras config holds.

    Raises
    ------
    ValueError
        If it is not the bytecode of the running Python, or no bytecode at all.
    """
    data = _decoded(text)
    problem = "it is no bytecode" if not data or data[0] & ~_REFERRED != _CODE else ""
    if not problem and not _has_layout(data):
        problem = "its layout is that of another version"
    if problem:
        raise ValueError(problem)
    try:
        code: CodeType = marshal.loads(data)  # noqa: S302 - the caller has the user's word for it
    except (ValueError, EOFError, TypeError, SystemError) as error:
        raise ValueError(f"its layout is that of another version ({error})") from error
    if not all(_is_ours(each.co_code) for each in _nested(code)):
        raise ValueError("it has instructions of another version")
    return code


def running() -> str:
    """Name the running Python."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor}"


def _decoded(text: str) -> bytes:
    """Undo the encoding as Keras does (``python_utils.func_load``)."""
    try:
        return codecs.decode(text.encode("ascii"), "base64")
    except (UnicodeEncodeError, binascii.Error):
        return text.encode("raw_unicode_escape")


def _has_layout(data: bytes) -> bool:
    """Whether the instructions lie where Python 3.11 and its successors put them, and begin as theirs do."""
    place = 1 + _INTEGERS * _INTEGER_BYTES
    if len(data) <= place + _INTEGER_BYTES or data[place] & ~_REFERRED != _BYTES:
        return False
    size = int.from_bytes(data[place + 1 : place + 1 + _INTEGER_BYTES], "little")
    begin = place + 1 + _INTEGER_BYTES
    return begin + size <= len(data) and _is_ours(data[begin : begin + size])


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield from _nested(constant)


def _is_ours(instructions: bytes) -> bool:
    """Whether all instructions are known here, and have the room for their caches that they have here."""
    caches = _cache_sizes()
    place, resumed = 0, False
    while place + 1 < len(instructions):
        number = instructions[place]
        name = opcode.opname[number]
        if number not in opcode.opmap.values() or name == "CACHE":
            return False
        resumed = resumed or name == "RESUME"
        if not resumed and name not in _PROLOGUE:
            return False
        end = place + 2 + 2 * caches.get(name, 0)
        if any(instructions[place + 2 : end : 2]):
            return False
        place = end
    return resumed and place == len(instructions)


def _cache_sizes() -> Mapping[str, int]:
    """Return how many units of cache follow an instruction: a list by number until Python 3.12, then a dict by name."""
    sizes = getattr(opcode, "_inline_cache_entries", {})
    return (
        dict(sizes) if isinstance(sizes, dict) else {opcode.opname[number]: size for number, size in enumerate(sizes)}
    )
