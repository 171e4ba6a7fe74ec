"""The line of a magic, or the Python, that does what a form says.

Not for: plain TensorFlow code (:mod:`tfmagic.verbs.snippets`).
"""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Any

from tfmagic.models.writer import Freezing
from tfmagic.verbs.conversion import plan_names
from tfmagic.writers import writer_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.verbs.conversion.request import Request

#: What needs no quotes on a line: no blank, bracket, quote, nothing that IPython or Python take for their own.
_PLAIN = re.compile(r"[\w./:=,+@~%^-]+\Z")
#: IPython puts variables in the place of these.
_EXPANDED = str.maketrans({"{": "{{", "}": "}}"})
_DOLLAR = re.compile(r"\$(?=\$?[\w.])")


class _CannotBeSaidError(Exception):
    """A line has no way to say this."""


def line(request: Request, source: str) -> str:
    """Return a line of ``%tf_export`` or ``%tf_freeze``, or a call in Python where no line can say it.

    Parameters
    ----------
    request : Request
        What the form says.
    source : str
        What a line calls the model: a variable's name or a path.

    Raises
    ------
    ConversionError
        If inputs or outputs are not well written.
    """
    options = request.options()
    try:
        words = _frozen(request, options) if _is_frozen(request, options) else _exported(request, options)
        return " ".join([f"%tf_{words[0]}", _source(source), *words[1:]])
    except _CannotBeSaidError:
        return _python(request, source, options)


def _is_frozen(request: Request, options: Mapping[str, Any]) -> bool:
    """Say whether ``%tf_freeze`` can do it: it renames nothing and knows no batch."""
    sides = (options.get("inputs"), options.get("outputs"))
    more = set(options) - {"signature", "inputs", "outputs", "tags", "ema", "optimize", "overwrite", "verify", "trust"}
    freezes = isinstance(writer_named(request.format), Freezing)
    return freezes and not more and not any(map(plan_names.renames, sides))


def _frozen(request: Request, options: Mapping[str, Any]) -> list[str]:
    words = ["freeze", "-o", _word(request.destination)]
    for name in ("signature", "inputs", "outputs", "tags"):
        value = options.get(name)
        if value is not None:
            words += [f"--{name}", _word(value if isinstance(value, str) else ",".join(value.values()))]
    return [*words, *_switches(options)]


def _exported(request: Request, options: Mapping[str, Any]) -> list[str]:
    words = ["export", _word(request.destination)]
    for name in ("format", "tags", "signature", "method", "quantize", "samples", "batch", "keep"):
        if name in options:
            words += [f"--{name}", _word(str(options[name]))]
    for key, value in (options.get("bind") or {}).items():
        words += ["--bind", _word(f"{key}={value!r}")]
    for name in ("inputs", "outputs"):
        for key, tensor in (options.get(name) or {}).items():
            if "=" in key or (key, tensor) != (key.strip(), tensor.strip()):
                raise _CannotBeSaidError
            words += [f"--{name.removesuffix('s')}", _word(f"{key}={tensor}")]
    return [*words, *_switches(options)]


def _switches(options: Mapping[str, Any]) -> Iterator[str]:
    names = ("ema", "optimize", "select_tf_ops", "text", "overwrite", "trust")
    yield from (f"--{name.replace('_', '-')}" for name in names if options.get(name))
    if options.get("verify") is False:
        yield "--no-verify"


def _source(source: str) -> str:
    """Return a variable's name as it is; a path in quotes, so that no variable is taken for it."""
    return source if _is_name(source) else _quoted(source)


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _word(text: str) -> str:
    return text if _PLAIN.match(text) and not text.startswith("-") else _quoted(text)


def _quoted(text: str) -> str:
    """Put quotes around a word, and keep IPython from expanding what is in it."""
    quote = next((each for each in "\"'" if each not in text), None)
    # What is not printable may end the line for IPython (U+2028, \x0b, \x85), or not come through a clipboard.
    if quote is None or not text.isprintable() or "$$" in text:
        raise _CannotBeSaidError
    return quote + _DOLLAR.sub("$$", text.translate(_EXPANDED)) + quote


def _python(request: Request, source: str, options: Mapping[str, Any]) -> str:
    shown = source if _is_name(source) else repr(source)
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    return f"tfmagic.export({shown}, {request.destination!r}{said})"
