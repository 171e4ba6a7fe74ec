"""What the graphs of a model could do, for a scan: every node of every MetaGraphDef, by what runs it.

The walk and the effects are those of the gate (:mod:`tfmagic.findings.execution`), which looks at what somebody asks
for; a scan asks for everything, and tells what happens as the model is loaded from what needs a call. Not for: Keras
configs, or what lies in a directory beside the message.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic.files import places
from tfmagic.findings import claimed_sizes, hazards, scan, unrolled_calls
from tfmagic.findings.claimed_sizes import ALL_MEMORY, LARGEST_RESULT
from tfmagic.findings.execution import ASKING, Executed, Walk
from tfmagic.findings.known_values import OWN_FILE
from tfmagic.findings.scan import CALLED, LOAD, RUN, Finding, finding
from tfmagic.findings.walked_graphs import Graph
from tfmagic.graphs import ops, plumbing, signatures
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.tensor_names import full

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.files import protos
    from tfmagic.graphs.metagraphs import MetaGraph

#: Nodes of a main graph in which the way to an end is followed; in greater ones, what acts counts as run.
_MOST_FOLLOWED = 200_000
#: Functions of a path that are named, and that it is followed back.
_NAMED_FUNCTIONS, _MOST_FUNCTIONS = 6, 1000
#: Effects that have a row, each, and those of which rows are counted.
_TOLD = ASKING | {Effect.PRINTS}
_COUNTED = (Effect.STATE, Effect.RANDOM)
#: Ops of which it is the attributes, or a graph in a string, that say whether they do.
_DECIDED = frozenset({"DatasetFromGraph", "FixedUnigramCandidateSampler"})
#: The file that TensorFlow 1's Saver names where its user names none.
_DEFAULT_FILE = b"model"
#: Bytes that a constant may take in memory, however little of the file it is.
_LARGE, _EXPANSION = 1 << 30, 1000
_DTYPE_BYTES = 4


def findings(meta_graphs: Iterable[MetaGraph], file: str = "") -> Iterator[Finding]:
    """Yield the rows of the MetaGraphDefs of one message.

    Parameters
    ----------
    meta_graphs : iterable of MetaGraph
        The MetaGraphDefs, or a graph that was taken for one.
    file : str
        The name of the file, where the model has two.
    """
    for meta_graph in meta_graphs:
        tags = ",".join(meta_graph.tags)
        place = ", ".join(filter(None, (file, f"MetaGraph {tags!r}" if tags else "")))
        yield from _Scanned(meta_graph.lean_meta_graph_def(), f"{place}: " if place else "").findings()


@dataclass
class _Scanned:
    """One MetaGraphDef, and what was found in it."""

    message: protos.Message
    place: str
    #: Function and node of what acts, by when it was first seen to be run.
    _judged: set[tuple[str, ...]] = field(default_factory=set)

    @cached_property
    def _graph(self) -> Graph:
        return Graph(self.message.graph_def)

    @cached_property
    def _loaded(self) -> hazards.Loaded:
        return hazards.Loaded(self.message)

    def findings(self) -> Iterator[Finding]:
        # Variables and reads of them are the most of many graphs: where their op says it all, no node is looked at.
        is_plain = self._graph.present.isdisjoint(_DECIDED) and not self._graph.has_twins
        everywhere = Walk(self._graph, effects=_TOLD if is_plain else _TOLD | frozenset(_COUNTED))
        everywhere.entry = "the graph"
        signed = self.message.signature_def.values()
        everywhere.whole_graph(
            each for one in signed for info in one.inputs.values() for each in signatures.tensors_of(info)
        )
        for name in self._graph.library:
            everywhere.function(name)
        acting = [node for node in everywhere.seen if node.effect in _TOLD]
        yield from self._counted(
            self._by_op() if is_plain else Counter((node.effect, node.op) for node in everywhere.seen)
        )
        yield from _sizes(self._graph, self.place)
        yield from self._indices()
        yield from self._assets()
        if acting:
            for fires, walk in self._phases(acting):
                yield from self._rows(walk, fires)
                self._judged |= walk.judged

    def _is_known(self, node: Executed) -> bool:
        """Say whether something was seen to run a node before."""
        return (node.inside or (node.function, node.node)) in self._judged

    def _phases(self, acting: list[Executed]) -> Iterator[tuple[str, Walk]]:
        """Yield what is loaded, what is run and what can be called, each walked through."""
        header = self.message
        loading = Walk(self._graph, effects=_TOLD)
        hazards.load(loading, self._loaded)
        yield LOAD, loading
        running = Walk(self._graph, effects=_TOLD)
        self._run(running, acting)
        yield RUN, running
        # Whoever calls a saver says which files: they are his own.
        calling = Walk(
            self._graph, (*self._loaded.own_assets, *self._named_by_callers()), effects=_TOLD, writes_own=True
        )
        calling.entry = "its saver"
        calling.ends(_saver_ends(header))
        for name in sorted(header.object_graph_def.concrete_functions):
            calling.entry = f"the function {name!r} of the saved object"
            calling.function(name, self._loaded.arguments(name, self._graph.library))
        calling.entry = "a node that nothing asks for"
        calling.whole_graph()
        for name, function in self._graph.library.items():
            if name not in calling.callers and name not in running.callers and name not in loading.callers:
                calling.entry = "a function that nothing calls"
                calling.function(name, [OWN_FILE] * len(function.signature.input_arg))
        yield CALLED, calling

    def _run(self, walk: Walk, acting: list[Executed]) -> None:
        """Walk through what running the model runs."""
        signed = self.message.signature_def
        keys = [key for key in sorted(signed) if not signatures.is_hidden(key)]
        if len(self._graph.nodes) > _MOST_FOLLOWED and any(not node.function for node in acting):
            walk.entry = "the graph"
            walk.whole_graph()
            return
        hazards.call(walk, self._loaded, keys)
        if not keys and not self.message.object_graph_def.nodes:
            walk.entry = "the graph"
            walk.ends(self._proposed)

    @cached_property
    def _proposed(self) -> tuple[str, ...]:
        """Where a graph without signatures seems to end."""
        nodes = {node.name: plumbing.Node(node.op, tuple(node.input)) for node in self.message.graph_def.node}
        return plumbing.propose_ends(nodes).outputs

    def _named_by_callers(self) -> list[str]:
        """Return the tensors of the main graph that whoever calls a saver feeds: the names of his files."""
        fed = ops.of_kind("placeholder", "default placeholder")
        constants = filter(_is_default_file, self._graph.nodes.of_ops({"Const"}))
        named = [node.name for node in (*self._graph.nodes.of_ops(fed), *constants)]
        return [hazards.saver_file(self.message), *map(full, named)]

    def _rows(self, walk: Walk, fires: str) -> Iterator[Finding]:
        """Yield the rows of what a walk came across and an earlier one did not."""
        seen = walk.seen.items()
        yield from self._worded({node: entry for node, entry in seen if not self._is_known(node)}, walk, fires)

    def _worded(self, nodes: dict[Executed, str], walk: Walk, fires: str) -> Iterator[Finding]:
        for node, entry in nodes.items():
            subject = f" {node.subject!r}" if node.subject else ""
            where = f"{self.place}{entry}: {_path(walk.callers, node)}"
            op = ops.named(node.op)
            why = op.reason if op.effect is Effect.UNKNOWN and op.reason else ""
            yield finding(node.effect, f"{node.effect.value}: {node.op}{subject}", where, fires, why)

    def _by_op(self) -> Mapping[tuple[Effect, str], int]:
        """Count the nodes of each op by what is known of it."""
        return {(ops.named(op).effect, op): count for op, count in self._graph.counts.items()}

    def _counted(self, counts: Mapping[tuple[Effect, str], int]) -> Iterator[Finding]:
        """Yield a row for each op that keeps state or draws random numbers."""
        for (effect, op), count in counts.items():
            if effect in _COUNTED:
                where = f"{self.place}{count:,} node{'s' if count > 1 else ''}"
                yield finding(effect, f"{effect.value}: {op}", where, RUN)

    def _indices(self) -> Iterator[Finding]:
        """Yield a row for what the object graph refers to and has not: loaders take such numbers as they are."""
        objects = self.message.object_graph_def
        wrong = list(_dangling(objects, len(self.message.asset_file_def)))
        if wrong:
            why = "loaders take such numbers as they are: at best they fail"
            more = f" and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
            yield Finding(
                scan.MEDIUM, "refers to what is not there", f"{self.place}object graph: {wrong[0]}{more}", LOAD, why
            )

    def _assets(self) -> Iterator[Finding]:
        for asset in self._loaded.asset_files:
            if not places.stays_inside(asset.filename):
                why = "a loader reads, or copies, a file that is not the model's own"
                what = f"reads files: an asset is called {asset.filename!r}"
                yield Finding(scan.MEDIUM, what, f"{self.place}assets", LOAD, why)


def _is_default_file(node: protos.Message) -> bool:
    value = node.attr["value"].tensor if "value" in node.attr else None
    return value is not None and list(value.string_val) == [_DEFAULT_FILE]


def _path(callers: dict[str, str], node: Executed) -> str:
    """Say where a node is, from the outermost function to itself."""
    function, name = node.inside or (node.function, node.node)
    outer = f"{_functions(callers, function)}node {name!r}"
    if not node.inside:
        return outer
    inner = f"function {node.function!r}, " if node.function else ""
    return f"{outer}, in the graph that it holds: {inner}node {node.node!r}"


def _functions(callers: dict[str, str], function: str) -> str:
    """Name the functions down to one, as they call one another; of a long way only its ends."""
    names: list[str] = []
    while function and function not in names and len(names) < _MOST_FUNCTIONS:
        names.append(function)
        function = callers.get(function, "")
    shown = [repr(name) for name in reversed(names)]
    if len(shown) > _NAMED_FUNCTIONS:
        shown = [*shown[: _NAMED_FUNCTIONS - 1], "…", shown[-1]]
    return f"function {' → '.join(shown)}, " if shown else ""


def _saver_ends(header: protos.Message) -> list[str]:
    """Return the nodes by which a saver is called."""
    saver = header.saver_def
    return [name for name in (saver.save_tensor_name, saver.restore_op_name) if name]


def _dangling(objects: protos.Message, assets: int) -> Iterator[str]:
    count = len(objects.nodes)
    for number, node in enumerate(objects.nodes):
        for child in node.children:
            if not 0 <= child.node_id < count:
                yield f"node {number} has the child {child.node_id} of {count}"
        if node.WhichOneof("kind") == "asset" and not 0 <= node.asset.asset_file_def_index < assets:
            yield f"node {number} is the asset {node.asset.asset_file_def_index} of {assets}"
    for name, function in objects.concrete_functions.items():
        for bound in function.bound_inputs:
            if not 0 <= bound < count:
                yield f"the function {name!r} holds the object {bound} of {count}"


def _sizes(graph: Graph, place: str) -> Iterator[Finding]:
    """Yield a row for each constant, result and call that would take far more memory than it takes of the file."""
    for claimed in claimed_sizes.above(graph, LARGEST_RESULT):
        inside = f"function {claimed.function!r}, " if claimed.function else ""
        what = f"a bomb: {claimed.op} makes {claimed.elements:,} elements"
        yield Finding(scan.MEDIUM, what, f"{place}{inside}node {claimed.node!r}", RUN, ALL_MEMORY)
    for unlimited in unrolled_calls.above(graph):
        why = "TensorFlow puts what it calls in its place before it runs: that may take all of the memory, or the stack"
        yield Finding(
            scan.MEDIUM,
            f"a bomb: a function that {unlimited.what}",
            f"{place}function {unlimited.function!r}",
            RUN,
            why,
        )
    for function, node in graph.of_ops({"Const"}):
        size = _claimed(node) * _DTYPE_BYTES
        if size > _LARGE and size > _EXPANSION * node.ByteSize():
            inside = f"function {function!r}, " if function else ""
            what = f"a bomb: a constant of {size // _DTYPE_BYTES:,} elements in {node.ByteSize():,} bytes"
            where = f"{place}{inside}node {node.name!r}"
            yield Finding(scan.MEDIUM, what, where, RUN, ALL_MEMORY)


def _claimed(node: protos.Message) -> int:
    """Return how many elements a constant claims to have."""
    return math.prod(max(dim.size, 0) for dim in node.attr["value"].tensor.tensor_shape.dim) if node.attr else 0
