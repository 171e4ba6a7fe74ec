"""What an attribute of an op is where a node does not state it: a SavedModel may leave out what repeats a default.

``op_defaults.txt`` has the defaults of TensorFlow's ops that ask for something; all others are zero, false or empty.
Not for: which attributes tell of what a node computes (:mod:`tfmagic.graphs.node_descriptions`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def default(op: str, attribute: str) -> str:
    """Return the text of an attribute's default, as a description words it; empty where it asks for nothing."""
    return _stated().get((op, attribute), "")


@cache
def _stated() -> Mapping[tuple[str, str], str]:
    attribute = value = ""
    known: dict[tuple[str, str], str] = {}
    for line in resources.files("tfmagic.graphs").joinpath("op_defaults.txt").read_text("utf-8").splitlines():
        if line.startswith(" "):
            known.update(((op, attribute), value) for op in line.split())
        elif line and not line.startswith("#"):
            attribute, _, escaped = line.partition("=")
            value = escaped.encode().decode("unicode_escape")
    return known
