"""Input pipelines in a graph: what queues, iterators and readers hand out, and the tensors at which to cut them off.

They hand out something else at each run, and wait for what only a training starts. Not for: placeholders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.tensor_names import full, node_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KINDS = of_kind("iterator use", "queue use", "reader", "stage")
_BEGINNINGS = ("IteratorGetNext", "MultiDeviceIteratorGetNext", "QueueDequeue", "ReaderRead", "Unstage", "MapUnstage")
#: The ops that hand out the next element.
HANDING_OUT = frozenset(op for op in _KINDS if op.startswith(_BEGINNINGS))


def handed_out(ops: Mapping[str, str], inputs: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Return the tensors that pipelines hand out to the rest of a graph: inputs to choose instead.

    Parameters
    ----------
    ops : mapping of str to str
        The op of each node.
    inputs : iterable of (str, iterable of str)
        The nodes that count, and what each takes.
    """
    tensors = (
        full(text)
        for name, taken in inputs
        for text in taken
        if ops[name] not in _KINDS and not text.startswith("^") and ops.get(node_of(text)) in HANDING_OUT
    )
    return list(dict.fromkeys(tensors))
