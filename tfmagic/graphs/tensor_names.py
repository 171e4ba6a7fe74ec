"""How a GraphDef writes tensors: ``a:1`` is an output of the node ``a``, ``^a`` the node itself, waited for.

Not for: the keys of a signature (:mod:`tfmagic.graphs.signatures`).
"""

from __future__ import annotations


def node_of(text: str) -> str:
    """Return the node that an input names: ``^a``, ``a:1`` and ``a:out:0`` all name ``a``."""
    return text.removeprefix("^").partition(":")[0]


def full(text: str) -> str:
    """Write a tensor's name in full: a node's first output may go without its number."""
    return text if ":" in text else f"{text}:0"
