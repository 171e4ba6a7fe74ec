"""The gist of TensorFlow's error messages. Not for: raising errors of ours (:mod:`tfmagic.errors`)."""

from __future__ import annotations

import re

#: Longer messages are cut where they are quoted in ours.
_GIST = 600
#: How the message of an op that fails in a graph begins, and its lines that quote a stack.
_IN_A_GRAPH = "Graph execution error"
_STACK = re.compile(rf'{_IN_A_GRAPH}|Detected at node|  File "|    ')


def gist(error: BaseException | None) -> str:
    """Return the beginning of a message: TensorFlow's may quote whole functions, and are chained in full.

    An op that fails in a graph has the Python stack of whoever made the op before its own words.
    """
    text = str(error).strip() or type(error).__name__
    if text.startswith(_IN_A_GRAPH):
        lines = (line.strip() for line in text.splitlines() if not _STACK.match(line))
        text = " ".join(line for line in lines if line) or text
    return text if len(text) <= _GIST else f"{text[:_GIST]} ..."
