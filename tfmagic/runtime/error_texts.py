"""The gist of TensorFlow's error messages. Not for: raising errors of ours (:mod:`tfmagic.errors`)."""

from __future__ import annotations

import re

#: Longer messages are cut where they are quoted in ours, and so is the line that tells most of them.
_GIST, _LINE = 600, 300
#: How the messages begin that TensorFlow wraps around the words of an op that fails in a graph.
_WRAPPED = re.compile(r"Graph execution error|\d+ root error\(s\) found|\{\{function_node ")
#: Lines of such a message that say where in the graph, not what: a Python stack, names of nodes, counts of errors.
_PLACE = re.compile(
    r"""Graph\ execution\ error | Detected\ at\ node | File\ " | \^+$ | ~*\^+~*$ | Node:\ ' | \[\[\{\{ | \[\[[\w/]+\]\]$
      | <stack\ traces | \d+\ root\ error\(s\)\ found | \d+\ (successful\ operations|derived\ errors\ ignored)""",
    re.VERBOSE,
)
#: The line behind which nothing but another stack comes.
_AGAIN = re.compile(r"Original stack trace for |The above exception|During handling of ")
#: How a message begins where AutoGraph puts a stack before the words, a place in it; how Keras ends and paints its own.
_TRACED, _TRACED_PLACE = "in user code:", re.compile(r'^ *File ".*\n.*$', re.MULTILINE)
_ARGUMENTS, _PAINT = (
    re.compile(r"\s*^ *Arguments received by .*", re.MULTILINE | re.DOTALL),
    re.compile(r"\x1b\[[\d;]*m"),
)
#: What stands before the words: which of several errors, and in which function.
_BEFORE = re.compile(r"(\(\d+\)\s+[A-Z_]+: )?(\{\{function_node \S+\}\} )?")


def _telling(text: str) -> list[str]:
    """Return the lines of a message that say what is wrong, all of them if none does."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not _WRAPPED.match(text):
        return [line.strip() for line in lines]
    telling: list[str] = []
    for line in lines:
        words = line.strip()
        if _AGAIN.match(words):
            break
        # A line of the source that a stack quotes is indented by more than TensorFlow's own words ever are.
        if not _PLACE.match(words) and not line.startswith("    "):
            telling.append(_BEFORE.sub("", words, count=1))
    return list(dict.fromkeys(telling)) or [line.strip() for line in lines]


def gist(error: BaseException | None) -> str:
    """Return the beginning of a message: TensorFlow's may quote whole functions, and are chained in full.

    An op that fails in a graph has the Python stack of whoever made the op before its own words, and what a function
    that is traced raises has the stack of the tracing.
    """
    text = _PAINT.sub("", str(error)).strip()
    if not text:
        return type(error).__name__
    if _WRAPPED.match(text):
        text = " ".join(_telling(text))
    if text.startswith(_TRACED):
        words = _ARGUMENTS.sub("", _TRACED_PLACE.sub("", text.removeprefix(_TRACED)))
        text = " ".join(words.split()) or text
    # What works goes on behind it.
    text = text.rstrip(".")
    return text if len(text) <= _GIST else f"{text[:_GIST]} ..."


def first_line(error: BaseException | None) -> str:
    """Return an error's type and what it says first: TensorFlow's go on with the whole traceback of the graph."""
    return f"{type(error).__name__}: {''.join(_telling(str(error).strip())[:1])[:_LINE]}"
