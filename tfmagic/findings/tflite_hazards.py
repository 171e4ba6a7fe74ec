"""What a TFLite file could do: its ops that are not TFLite's own, which compute, and other files that it names.

Not for: ops of TensorFlow's graphs (:mod:`tfmagic.findings.hazards`), nor refusing to run a file.
"""

from __future__ import annotations

import graphlib
import math
from typing import TYPE_CHECKING

from tfmagic.files import places, protos
from tfmagic.files.tflite import flexbuffers
from tfmagic.findings import scan
from tfmagic.findings.claimed_sizes import ALL_MEMORY, LARGEST_RESULT
from tfmagic.findings.execution import Walk
from tfmagic.findings.hazards import Hazard
from tfmagic.findings.scan import RUN, Finding
from tfmagic.findings.walked_graphs import Graph
from tfmagic.graphs import ops
from tfmagic.graphs.ops import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfmagic.files.tflite.structure import Description

#: How TFLite calls ops of TensorFlow's that it runs through its delegate.
FLEX = "Flex"
#: Custom ops that every TFLite interpreter has (tensorflow/lite/core/kernels/register.cc).
_CUSTOM = frozenset({"AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess"})
_PLACE = "a subgraph"


def of_file(description: Description) -> tuple[Hazard, ...]:
    """Return what the ops of a file could do, by their names, and by the nodes that TensorFlow's own hold; its files.

    The delegate runs the op that stands in the options, once as a name and once as a NodeDef, whatever the operator is
    called (``InitializeNodeDef`` in tensorflow/lite/delegates/flex/kernel.cc).
    """
    operators = [operator for subgraph in description.subgraphs for operator in subgraph.operators]
    flex = dict.fromkeys((each.op, each.custom_options) for each in operators if each.op.startswith(FLEX))
    carried = [hazard for op, options in flex for hazard in _of_options(op, options)]
    named = of_names(sorted(description.foreign))
    return tuple(dict.fromkeys((*named, *carried, *_outer_files(description), *_circles(description))))


def _circles(description: Description) -> Iterator[Hazard]:
    """Yield what it means that a subgraph runs itself, by whatever way: an interpreter goes in before it runs any."""
    runs: dict[object, list[object]] = {}
    for number, subgraph in enumerate(description.subgraphs):
        named = [value for step in subgraph.operators for name, value in step.options.items() if "subgraph" in name]
        several = [value if isinstance(value, (tuple, list)) else (value,) for value in named]
        runs[number] = [each for numbers in several for each in numbers]
    try:
        graphlib.TopologicalSorter(runs).prepare()
    except graphlib.CycleError as error:
        yield Hazard(Effect.STOPS_THE_PROCESS, f"subgraph {error.args[1][0]}", "runs itself")


def _outer_files(description: Description) -> Iterator[Hazard]:
    """Yield what it means that constants lie in a file that is none of the model's folder: any may be named."""
    for name in dict.fromkeys(description.files.values()):
        if name and not places.stays_inside(name):
            yield Hazard(Effect.READS_FILES, "a group of buffers", "constants in another folder", name, loading=True)


def bombs(description: Description) -> Iterator[Finding]:
    """Yield a row for each tensor of a shape that no memory holds: an interpreter makes room for it, or for its op."""
    for number, subgraph in enumerate(description.subgraphs):
        for tensor in subgraph.tensors:
            elements = math.prod(1 if size is None else size for size in tensor.shape or ())
            if elements * (protos.item_size(tensor.dtype) or 1) > LARGEST_RESULT:
                what = f"a bomb: a tensor of {elements:,} elements"
                yield Finding(scan.MEDIUM, what, f"subgraph {number}: {tensor.name!r}", RUN, ALL_MEMORY)


def of_names(foreign_ops: Iterable[str]) -> tuple[Hazard, ...]:
    """Return what ops could do by what they are called.

    One whose name begins with ``Flex`` is TensorFlow's op of the rest of the name. Any other may be anything, whatever
    it is called, but for the few that TFLite's interpreter brings along.
    """
    effects = {name: _effect(name) for name in foreign_ops}
    return tuple(Hazard(effect, _PLACE, name) for name, effect in effects.items() if effect not in ops.FREE_EFFECTS)


def _effect(name: str) -> Effect:
    if name in _CUSTOM:
        return Effect.PURE
    return ops.named(name.removeprefix(FLEX)).effect if name.startswith(FLEX) else Effect.UNKNOWN


def _of_options(op: str, options: bytes) -> Iterator[Hazard]:
    """Yield what the NodeDef in an op's options could do, where that is another op than the name says."""
    if not options:
        return
    try:
        content = flexbuffers.read(options)
        name, held = content[:2] if isinstance(content, list) else (None, None)
        data = held.encode() if isinstance(held, str) else held
        node = protos.parse("NodeDef", data if isinstance(data, bytes) else b"")
    except (ValueError, protos.ParseError):
        yield Hazard(Effect.UNKNOWN, _PLACE, f"{op}, whose options hold no node")
        return
    for ran in dict.fromkeys((str(name), str(node.op))):
        if ran != op.removeprefix(FLEX):
            node.op = ran
            walk = Walk(Graph(protos.message("GraphDef")(node=[node])))
            walk.whole_graph()
            for executed in walk.seen:
                yield Hazard(executed.effect, _PLACE, f"{op}, which is {executed.op}", executed.subject)
