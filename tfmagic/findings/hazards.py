"""What a model could do beyond computing, of all that would execute: the verdict that every verb asks for.

Free are computing, random numbers, state of the model's own, printing, and the model's own assets; everything else
needs the user's word. Not for: whether somebody gave that word, which the caller knows.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.files import places, protos
from tfmagic.files.keras import claimed_sizes as layer_sizes
from tfmagic.findings import claimed_sizes, unrolled_calls
from tfmagic.findings.execution import Executed, Walk
from tfmagic.findings.known_values import OWN_FILE, Value
from tfmagic.findings.walked_graphs import Graph
from tfmagic.graphs import signatures
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.tensor_names import full

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

#: What a hazard would do, as a sentence says it.
_DOINGS = {
    Effect.READS_FILES: "read files",
    Effect.WRITES_FILES: "write files",
    Effect.NETWORK: "use the network",
    Effect.HOST_CODE: "call code of this process",
    Effect.STOPS_THE_PROCESS: "stop the process",
    Effect.UNKNOWN: "do what nobody can tell from outside",
}
#: Hazards that a message names; the rest is counted.
_NAMED = 3
_INIT_OP = "__saved_model_init_op"
#: Collections whose ops TensorFlow's loaders run (tensorflow/python/saved_model/constants.py).
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
#: Functions of the object graph that TensorFlow's loader calls, or that are called when the model goes.
_CALLED_BY_LOADER = frozenset({"_create_resource", "_initialize", "_destroy_resource"})
_SIGNATURES = "signatures"
ASSET_COLLECTION = "saved_model_assets"
#: Weights take as many times the bytes of their file at most: packed, they are a few times smaller.
_MOST_EXPANSION = 100


class Hazard(NamedTuple):
    """Something that would act outside the model.

    Attributes
    ----------
    effect : Effect
        What it does.
    where : str
        ``node 'a' in function 'f'``, ``layer 'b'``.
    what : str
        The op or the class that does it.
    subject : str
        The file, if it is known.
    loading : bool
        Whether it happens when the model is loaded, not only when it is run.
    """

    effect: Effect
    where: str
    what: str
    subject: str = ""
    loading: bool = False

    def __str__(self) -> str:
        """Say it in a few words."""
        subject = f" {self.subject!r}" if self.subject else ""
        return f"{self.where}: {self.what}{subject}{', at load time' if self.loading else ''}"


class Loaded:
    """A MetaGraphDef as its loader knows it, when it calls a function or runs a node.

    Parameters
    ----------
    message : MetaGraphDef
        With its signatures, objects and assets.
    """

    def __init__(self, message: protos.Message) -> None:
        self.message = message

    @cached_property
    def asset_files(self) -> list[protos.Message]:
        """The AssetFileDefs."""
        return asset_files(self.message)

    @cached_property
    def own_assets(self) -> tuple[str, ...]:
        """The tensors that name assets which lie in the model's own directory."""
        return tuple(
            full(asset.tensor_info.name)
            for asset in self.asset_files
            if places.stays_inside(asset.filename) and asset.tensor_info.name
        )

    @cached_property
    def signature_functions(self) -> Mapping[str, list[str]]:
        """The functions that TensorFlow 2's loader calls a signature, by its key."""
        objects = self.message.object_graph_def
        known: dict[str, list[str]] = {}
        for child in objects.nodes[0].children if objects.nodes else ():
            if child.local_name == _SIGNATURES and 0 <= child.node_id < len(objects.nodes):
                for signature in objects.nodes[child.node_id].children:
                    known.setdefault(signature.local_name, []).extend(_functions_of(objects, signature.node_id))
        return known

    def arguments(self, name: str, library: Mapping[str, protos.Message]) -> list[Value]:
        """Return what is known of the arguments of a function of the object graph: the last ones are what it captured.

        Parameters
        ----------
        name : str
            The function.
        library : mapping of str to FunctionDef
            The functions of the graph.
        """
        objects = self.message.object_graph_def
        if name not in library or name not in objects.concrete_functions:
            return []
        bound = objects.concrete_functions[name].bound_inputs
        arguments: list[Value] = [None] * (len(library[name].signature.input_arg) - len(bound))
        return arguments + [self._captured(number) for number in bound]

    def _captured(self, number: int) -> Value:
        """Return what is known of a captured object: that it is an asset of the model's own."""
        nodes = self.message.object_graph_def.nodes
        if not 0 <= number < len(nodes) or nodes[number].WhichOneof("kind") != "asset":
            return None
        files, index = self.asset_files, nodes[number].asset.asset_file_def_index
        return OWN_FILE if 0 <= index < len(files) and places.stays_inside(files[index].filename) else None


def of_graph(
    graph_def: protos.Message, ends: Iterable[str] | None = None, *, fed: Iterable[str] = (), own: Collection[str] = ()
) -> tuple[Hazard, ...]:
    """Return what a graph could do beyond computing when some of its tensors are asked for.

    Parameters
    ----------
    graph_def : GraphDef
        With its library; of any descriptor pool.
    ends : iterable of str, optional
        The tensors or nodes that are asked for; all nodes if left out.
    fed : iterable of str
        Tensors that are given, so that nothing behind them runs.
    own : collection of str
        Tensors that name files of the model's own.
    """
    graph = Graph(graph_def)
    walk = Walk(graph, own)
    fed = tuple(fed)
    if ends is None:
        walk.whole_graph()
    else:
        ends = tuple(ends)
        walk.ends(ends, fed)
    return (*_hazards(walk.seen), *_bombs(graph, ends, fed=fed))


def of_saved_model(meta_graph_def: protos.Message, keys: Iterable[str]) -> tuple[Hazard, ...]:
    """Return what TensorFlow's loaders and some signatures of a SavedModel could do.

    A loader runs the initialiser, restores through the nodes of the saver that the file names, and makes tables by
    functions of the object graph; a signature is the function that the object graph names, whatever the SignatureDef
    says.
    """
    graph = Graph(meta_graph_def.graph_def)
    loading, running, loaded = Walk(graph), Walk(graph), Loaded(meta_graph_def)
    keys = tuple(keys)
    load(loading, loaded)
    call(running, loaded, keys)
    bombs = _bombs(graph, _tensors_run(meta_graph_def, keys), _functions_run(loaded, keys))
    return tuple(dict.fromkeys((*_hazards(loading.seen, loading=True), *_hazards(running.seen), *bombs)))


def load(walk: Walk, loaded: Loaded) -> None:
    """Walk through what TensorFlow's loaders run: they feed the saver its files, and the initialisers the assets."""
    message = loaded.message
    if message.saver_def.restore_op_name:
        walk.entry = "its saver"
        walk.know([saver_file(message)])
        walk.ends([message.saver_def.restore_op_name])
    walk.know(loaded.own_assets)
    for entry, nodes in _initialisers(message):
        walk.entry = entry
        walk.ends(nodes)
    for entry, name in _functions_run_by_loader(message.object_graph_def):
        walk.entry = entry
        walk.function(name, loaded.arguments(name, walk.graph.library))


def has_initialisers(header: protos.Message, objects: protos.Message | None) -> bool:
    """Say whether a loader runs anything of a model beside the saver that restores it.

    Parameters
    ----------
    header : MetaGraphDef
        With its collections and signatures.
    objects : SavedObjectGraph, optional
        Its objects.
    """
    return any(_initialisers(header)) or (objects is not None and any(_functions_run_by_loader(objects)))


def call(walk: Walk, loaded: Loaded, keys: Iterable[str]) -> None:
    """Walk through what signatures run: their tensors, and what TensorFlow 2's loader calls by their keys."""
    walk.know((), at_start=loaded.own_assets)
    signed = loaded.message.signature_def
    for key in keys:
        walk.entry = f"signature {key!r}"
        for name in loaded.signature_functions.get(key, ()):
            walk.function(name, loaded.arguments(name, walk.graph.library))
        if key in signed:
            fed, ends = (
                [tensor for info in side.values() for tensor in signatures.tensors_of(info)]
                for side in (signed[key].inputs, signed[key].outputs)
            )
            walk.ends(ends, fed)


def saver_file(meta_graph_def: protos.Message) -> str:
    """Return the tensor by which the saver is told which files, a name that no tensor has where there is no saver."""
    return str(meta_graph_def.saver_def.filename_tensor_name) or ":"


def of_node_in_json(text: str) -> str:
    """Say what a NodeDef, as Keras 2 puts it into a config, would do beyond computing; nothing if that is all."""
    try:
        node = protos.parse_json("NodeDef", text)
    except ValueError:
        return "a NodeDef that does not parse"
    walk = Walk(Graph(protos.message("GraphDef")(node=[node])))
    walk.whole_graph()
    return describe(tuple(_hazards(walk.seen))) if walk.seen else ""


def of_outer_file(place: str) -> Hazard:
    """Return what it means that a place in an HDF5 file leads into another file."""
    return Hazard(Effect.READS_FILES, f"HDF5 object {place!r}", "its values lie in another file", loading=True)


def of_layers(config: dict[str, Any], file_bytes: int) -> Iterator[Hazard]:
    """Yield a hazard for each layer of a config, of a file with so many bytes, that no memory holds, nor the file."""
    for layer in layer_sizes.above(config, max(claimed_sizes.LARGEST_RESULT, _MOST_EXPANSION * file_bytes)):
        what = f"{layer.kind} of {layer.elements:,} elements"
        yield Hazard(Effect.STOPS_THE_PROCESS, f"layer {layer.layer!r}", what, loading=True)


def asset_files(meta_graph_def: protos.Message) -> list[protos.Message]:
    """Return the AssetFileDefs, which TensorFlow 1 enters in a collection only."""
    assets = list(meta_graph_def.asset_file_def)
    if ASSET_COLLECTION in meta_graph_def.collection_def:
        for packed in meta_graph_def.collection_def[ASSET_COLLECTION].any_list.value:
            with contextlib.suppress(protos.ParseError):
                assets.append(protos.parse("AssetFileDef", packed.value))
    return assets


def describe(hazards: Sequence[Hazard]) -> str:
    """Say what hazards would do and where: ``write files (node 'a' in function 'f': WriteFile '/tmp/x')``."""
    doings = [_DOINGS[effect] for effect in Effect if any(hazard.effect is effect for hazard in hazards)]
    *first, last = doings
    named = "; ".join(str(hazard) for hazard in hazards[:_NAMED])
    rest = len(hazards) - _NAMED
    return f"{', '.join(first)}{' and ' if first else ''}{last} ({named}{f' and {rest} more' if rest > 0 else ''})"


def refusal(hazards: Sequence[Hazard], origin: str) -> errors.UntrustedCodeError:
    """Return the error for a model that would act outside itself and that nobody vouched for."""
    doing = "loading" if any(hazard.loading for hazard in hazards) else "running"
    return errors.UntrustedCodeError(
        f"{doing} {origin!r} would {describe(hazards)}; if you trust who made it, allow it with trust=True (--trust in "
        "a magic or shell). Nothing of it was run",
        describe(hazards),
    )


def require_none(hazards: Sequence[Hazard], origin: str) -> None:
    """Refuse a model that would act outside itself; raises UntrustedCodeError."""
    if hazards:
        raise refusal(hazards, origin)


def _hazards(seen: Iterable[Executed], *, loading: bool = False) -> Iterator[Hazard]:
    for node in seen:
        inside = f" in function {node.function!r}" if node.function else ""
        yield Hazard(node.effect, f"node {node.node!r}{inside}", node.op, node.subject, loading)


def _bombs(
    graph: Graph, ends: Iterable[str] | None, functions: Iterable[str] = (), fed: Iterable[str] = ()
) -> Iterator[Hazard]:
    """Yield a hazard for each result that no memory holds, of what some tensors of the main graph and functions need.

    Whoever allocates memory gets it from most systems, and loses the process as it is filled; so does whoever
    unrolls calls without end.
    """
    claimed = list(claimed_sizes.above(graph, claimed_sizes.LARGEST_RESULT))
    unrolled = list(unrolled_calls.above(graph))
    if not claimed and not unrolled:
        return
    main, called = graph.needed(ends, functions, fed)
    for unlimited in unrolled:
        if unlimited.function in called:
            yield Hazard(Effect.STOPS_THE_PROCESS, f"function {unlimited.function!r}", unlimited.what)
    for result in claimed:
        if (result.function in called) if result.function else (result.node in main):
            inside = f" in function {result.function!r}" if result.function else ""
            what = f"{result.op} of {result.elements:,} elements"
            yield Hazard(Effect.STOPS_THE_PROCESS, f"node {result.node!r}{inside}", what)


def _tensors_run(message: protos.Message, keys: Iterable[str]) -> Iterator[str]:
    """Yield the tensors and nodes of the main graph that a loader and some signatures ask for."""
    for _, nodes in _initialisers(message):
        yield from nodes
    for key in keys:
        if key in message.signature_def:
            for info in message.signature_def[key].outputs.values():
                yield from signatures.tensors_of(info)


def _functions_run(loaded: Loaded, keys: Iterable[str]) -> Iterator[str]:
    """Yield the functions that TensorFlow 2's loader calls, and those that it calls some signatures."""
    yield from (name for _, name in _functions_run_by_loader(loaded.message.object_graph_def))
    for key in keys:
        yield from loaded.signature_functions.get(key, ())


def _initialisers(meta_graph_def: protos.Message) -> Iterator[tuple[str, list[str]]]:
    """Yield the nodes of the main graph that a loader runs when all is restored, and what they are to it."""
    for name in _INIT_COLLECTIONS:
        if name in meta_graph_def.collection_def:
            yield f"init op ({name})", list(meta_graph_def.collection_def[name].node_list.value)
    if _INIT_OP in meta_graph_def.signature_def:
        outputs = meta_graph_def.signature_def[_INIT_OP].outputs
        yield f"init op ({_INIT_OP})", [tensor for info in outputs.values() for tensor in signatures.tensors_of(info)]


def _functions_run_by_loader(objects: protos.Message) -> Iterator[tuple[str, str]]:
    """Yield the functions that TensorFlow 2's loader calls: they make and fill tables, and restore in their own way."""
    for node in objects.nodes:
        for child in node.children:
            if child.local_name in _CALLED_BY_LOADER:
                for name in _functions_of(objects, child.node_id):
                    yield f"{child.local_name} of a resource", name
        for key, saveable in node.saveable_objects.items():
            for name in _functions_of(objects, saveable.restore_function):
                yield f"restoring {key!r}", name


def _functions_of(objects: protos.Message, number: int) -> Iterator[str]:
    if 0 <= number < len(objects.nodes):
        node = objects.nodes[number]
        yield from node.function.concrete_functions
        if node.bare_concrete_function.concrete_function_name:
            yield node.bare_concrete_function.concrete_function_name
