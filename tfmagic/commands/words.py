"""The line of a command as it is typed: words, quotes, pairs, numbers.

Not for: which words a command takes (:mod:`tfmagic.commands.arguments`), or what they mean
(:mod:`tfmagic.commands.declarations`).
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from typing import TYPE_CHECKING

from tfmagic.files.places import IN_QUOTES

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How a value for an input is given, an expression over the notebook's variables.
FEEDS = "NAME=EXPR"
_QUOTED = re.compile(r"""(['"])((?:(?!\1).)*)\1\Z""", re.DOTALL)
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""


class CommandError(ValueError):
    """A line that does not follow its command; the message is for the user."""


def split(line: str) -> list[str]:
    """Split a line at blanks that are outside quotes and brackets; quotes stay.

    Raises
    ------
    CommandError
        If a quote or a bracket does not close.
    """
    tokens, last, unclosed = cut(line.strip())
    if unclosed:
        what = "quote" if unclosed in _QUOTES else "bracket"
        problem = f"a {what} {unclosed} does not close in {line.strip()!r}; put the word that it is part of into quotes"
        raise CommandError(problem)
    return [token for token in [*tokens, last] if token]


def cut(line: str) -> tuple[list[str], str, str]:
    """Cut a line at blanks that are outside quotes and brackets.

    Returns
    -------
    (list of str, str, str)
        The words that a blank ends, the last word, and the quote or the bracket in it that does not close.
    """
    tokens: list[str] = []
    current, quote, brackets = "", "", ""
    for char in line:
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote = char
        elif char in _OPENING:
            brackets += char
        elif char in _CLOSING:
            brackets = brackets[:-1]
        if char.isspace() and not quote and not brackets:
            tokens += [current] if current else []
            current = ""
        else:
            current += char
    return tokens, current, quote or brackets[-1:]


def unquote(token: str) -> str:
    """Strip the quotes that enclose a token."""
    match = _QUOTED.match(token)
    return match[2] if match else token


def names_in(expression: str) -> list[str] | None:
    """Return the variables that a Python expression reads before it makes any itself, None if it is no expression."""
    try:
        with warnings.catch_warnings():
            # Nobody who types a path wants to hear of its backslashes.
            warnings.simplefilter("ignore")
            tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return [node.id for node in names if node.id not in bound]


def is_name_or_call(token: str) -> bool:
    """Say whether a token is written as no path is: a name, or an expression with a call or an index."""
    if token.isidentifier():
        return True
    if names_in(token) is None:
        return False
    return any(isinstance(node, ast.Call | ast.Subscript) for node in ast.walk(ast.parse(token, mode="eval")))


def many(values: Sequence[str] | None) -> list[str] | None:
    """Flatten an option that repeats or holds commas; None if it was not given."""
    if values is None:
        return None
    parts = (part for value in values for part in parted(unquote(value), ","))
    return [unquote(part) for part in parts if part]


def parted(text: str, mark: str, most: int = -1) -> list[str]:
    """Part a text at a mark outside of quotes, at most so many times; blanks around the parts go."""
    parts, quote = [""], ""
    for char in text:
        if char == mark and not quote and len(parts) - 1 != most:
            parts.append("")
            continue
        parts[-1] += char
        if char in _QUOTES and quote in ("", char):
            quote = "" if quote else char
    return [part.strip() for part in parts] if not quote else [part.strip() for part in text.split(mark, most)]


def halves(word: str) -> tuple[str, str]:
    """Part ``NAME=REST`` at its first equals sign outside of quotes; the rest is empty where there is none."""
    name, *rest = parted(unquote(word), "=", 1)
    return (unquote(name), rest[0]) if rest else (name, "")


def pairs(values: Sequence[str] | None, option: str, shape: str = "KEY=TENSOR") -> dict[str, str] | None:
    """Read pairs such as KEY=TENSOR."""
    if values is None:
        return None
    if not any(map(unquote, values)):
        return {}
    pairs = [halves(value) for value in values]
    for word, (key, value) in zip(values, pairs, strict=True):
        if not (key and value):
            problem = f"{option} wants {shape}, not {unquote(word)!r}"
            raise CommandError(problem)
        if [other for other, _ in pairs].count(key) > 1:
            problem = f"{option} names {key!r} twice; in {shape}, each {shape.partition('=')[0]} stands for one thing"
            raise CommandError(problem)
    return {key: unquote(value) for key, value in pairs}


def feeds(words: Sequence[str]) -> dict[str, str]:
    """Read NAME=EXPR words into expressions by name.

    Raises
    ------
    CommandError
        If one is no such word, or a name comes twice.
    """
    pairs: dict[str, str] = {}
    for word in words:
        name, expression = halves(word)
        if not (name and expression):
            quotes = "" if "=" in word else f"; {IN_QUOTES}"
            problem = f"an input's value is given as {FEEDS}, not {word!r}{quotes}"
            raise CommandError(problem)
        if name in pairs:
            problem = f"the input {name!r} is given twice"
            raise CommandError(problem)
        pairs[name] = expression
    return pairs


def connections(values: Sequence[str] | None) -> dict[str, list[str]] | None:
    """Read OUT=IN pairs; an output may feed several inputs."""
    by_name: dict[str, list[str]] = {}
    for value in values or ():
        output, target = halves(value)
        if not (output and target):
            problem = f"--connect wants OUT=IN, not {value!r}"
            raise CommandError(problem)
        by_name.setdefault(output, []).append(unquote(target))
    return by_name or None


def count(value: str | None, option: str) -> int:
    """Read a whole number, 1 if it was not given."""
    if value is None:
        return 1
    if not unquote(value).isdecimal():
        problem = f"{option} wants a whole number, 0 or more, not {value!r}"
        raise CommandError(problem)
    return int(unquote(value))


def seconds(value: str | None, option: str) -> float | None:
    """Read a number of seconds above 0, None if it was not given."""
    if value is None:
        return None
    try:
        number = float(unquote(value))
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        problem = f"{option} wants a number of seconds above 0, such as 30, not {value!r}"
        raise CommandError(problem)
    return number


def text(value: str | None) -> str | None:
    """Strip the quotes of a value that may be missing."""
    return None if value is None else unquote(value)
