"""How a GraphDef writes tensors: ``a:1`` is an output of the node ``a``, ``^a`` the node itself, waited for.

Not for: the keys of a signature (:mod:`tfmagic.graphs.signatures`).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Names that tracing gives to the identities at the end of each function; nobody chose them.
_NAMELESS = re.compile(r"(?:.*/)?(?:Identity|ReadVariableOp|PartitionedCall|StatefulPartitionedCall)(?:_\d+)?\Z")
_NOT_IN_NODES = re.compile(r"[^A-Za-z0-9_./>-]|>(?![A-Za-z0-9.])")


def node_of(text: str) -> str:
    """Return the node that an input names: ``^a``, ``a:1`` and ``a:out:0`` all name ``a``."""
    return text.removeprefix("^").partition(":")[0]


def full(text: str) -> str:
    """Write a tensor's name in full: a node's first output may go without its number."""
    return text if ":" in text else f"{text}:0"


def is_nameless(node: str) -> bool:
    """Say whether a node's name is one that TensorFlow gave to what only passes a value on."""
    return _NAMELESS.match(node) is not None


def spelled(text: str) -> str:
    """Put underscores for what the name of a node cannot hold; how it begins is left to the caller.

    From tensorflow/core/graph/tensor_id.cc and framework/node_def_util.cc; ``>`` stands between names.
    """
    return _NOT_IN_NODES.sub("_", text)


def plain(text: str) -> str:
    """Write a tensor as inputs do: a node's first output goes without its number."""
    return text.removesuffix(":0")


class FreeNames:
    """Names that no node and no scope of a graph has, given out as ``tf.Graph.unique_name`` does.

    Parameters
    ----------
    names : iterable of str
        The nodes' names. A scope is taken when anything lies in it.
    key : callable
        What makes two names one: of files, that they differ in the case of letters alone.
    """

    def __init__(self, names: Iterable[str], key: Callable[[str], str] = str) -> None:
        self._key = key
        names = list(names)
        self._nodes = {key(name) for name in names}
        self._taken = {key(prefix) for name in names for prefix in _prefixes(name)}
        self._numbers: Counter[str] = Counter()

    def __call__(self, wanted: str) -> str:
        """Return the name itself if it is free, else the first with a number that is; it is taken from then on."""
        name = wanted
        while self._key(name) in self._taken:
            # Names are never given back, so that no number is tried twice.
            self._numbers[wanted] += 1
            name = f"{wanted}_{self._numbers[wanted]}"
        self._take(name)
        return name

    def of_node(self, wanted: str) -> str:
        """Return the name itself if no node has it, whatever lies in a scope of that name; else as a call does.

        A graph may hold ``logits`` beside ``logits/MatMul``, as it does ``w`` beside ``w/read``.
        """
        if self._key(wanted) in self._nodes:
            return self(wanted)
        self._take(wanted)
        return wanted

    def _take(self, name: str) -> None:
        self._nodes.add(self._key(name))
        self._taken.update(map(self._key, _prefixes(name)))


def _prefixes(name: str) -> Iterator[str]:
    yield name
    yield from (name[:place] for place, character in enumerate(name) if character == "/")
