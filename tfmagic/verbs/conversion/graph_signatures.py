"""The signatures of what is a graph: SignatureDefs of its own tensors, those that it has, or those that are asked for.

What is a graph is edited, so that nothing of it is loaded here. Not for: what can only be traced
(:mod:`tfmagic.verbs.conversion.options`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.findings import unrolled_calls
from tfmagic.findings.walked_graphs import Graph
from tfmagic.functions import composites, unsigned_graphs
from tfmagic.graphs import signatures as signature_defs
from tfmagic.graphs.tensor_names import node_of
from tfmagic.graphs.tensors import GraphTensors
from tfmagic.graphs.walks import ancestors
from tfmagic.models.model import Part
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.log_filters import held_back
from tfmagic.runtime.ops_and_devices import Definitions
from tfmagic.transforms import batch, cut_graph
from tfmagic.transforms.bind import bind_graph
from tfmagic.transforms.cut_function import by_key
from tfmagic.verbs.conversion import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.functions.state.saved_models import Store
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.verbs.conversion.options import Ends, Wish

#: What of a constant's content is enough to infer shapes.
_SMALL = 16 << 10
_HANDLE, _READ = "VarHandleOp", "ReadVariableOp"


class GraphSignature(NamedTuple):
    """A SignatureDef, and the order that the user gave its inputs and outputs, which its maps do not keep."""

    definition: protos.Message
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]


class GraphSource(NamedTuple):
    """What is a graph: where its nodes and values are, and the signatures to convert, by their keys."""

    store: Store
    signatures: Mapping[str, GraphSignature]

    @property
    def definitions(self) -> dict[str, protos.Message]:
        """The SignatureDefs by their keys."""
        return {key: each.definition for key, each in self.signatures.items()}


def graph_source(model: Model, wish: Wish, *, every: bool) -> GraphSource | None:
    """Return what is to be converted of a graph, None for what can only be called.

    Parameters
    ----------
    model : Model
        The source.
    wish : Wish
        What the user said.
    every : bool
        Whether all signatures are meant where none is named, else the default or only one.

    Raises
    ------
    UnknownNameError
        If there is no such signature or tensor.
    MissingPartError
        If nothing says where the graph ends.
    """
    store = None if model.state is None else model.state()
    if store is None:
        return None
    known = {key: info.name for each in store.meta_graph.signature_def.values() for key, info in each.inputs.items()}
    constants = {known.get(name, name): value for name, value in (wish.bind or {}).items()}
    source = _Signatures(model, bind_graph(store, constants), frozenset(map(node_of, constants)))
    if wish.signatures is not None:
        definitions = {
            key: source.of(key, fields.get("inputs"), fields.get("outputs"), fields.get("method", wish.method))
            for key, fields in options.checked(wish).items()
        }
    else:
        if wish.signature is not None:
            signature_defs.require_own_key(wish.signature)
        keys = options.keys_of(model, wish.signature, every=every) if source.signed else [None]
        definitions = {
            wish.signature or key or source.default_key: source.of(key, wish.inputs, wish.outputs, wish.method)
            for key in keys
        }
    source.infer_shapes([each for each, _ in definitions.values()])
    if wish.batch is not None:
        own = {key: each for key, (each, _) in definitions.items()}
        source = replace(source, store=batch.fix_graph(source.store, own, wish.batch))
        source.infer_shapes(list(own.values()))
    return GraphSource(source.store, {key: _ordered(*each) for key, each in definitions.items()})


def plain_signature(store: Store, signature: GraphSignature) -> GraphSignature:
    """Return a signature whose composite ends are taken apart: no single node of a graph stands for one."""
    infos = (*signature.definition.inputs.values(), *signature.definition.outputs.values())
    if all(info.WhichOneof("encoding") == "name" for info in infos):
        return signature
    tensors = GraphTensors(store.meta_graph, Definitions(store.graph_def, store.meta_graph.header).of)
    result = protos.message("SignatureDef")(method_name=signature.definition.method_name)
    orders: list[list[str]] = []
    for side in ("inputs", "outputs"):
        order: list[str] = []
        for end in getattr(signature, side):
            own = getattr(signature.definition, side)[end.key]
            for key, tensor in composites.tensors_by_key(end.key, own, is_input=side == "inputs").items():
                info = own if own.WhichOneof("encoding") == "name" else tensors.info(tensor)
                getattr(result, side)[key].CopyFrom(info)
                order.append(key)
        orders.append(order)
    return _ordered(result, (orders[0], orders[1]))


def _ordered(definition: protos.Message, orders: tuple[list[str], list[str]]) -> GraphSignature:
    sides = []
    for side, order in zip((definition.inputs, definition.outputs), orders, strict=True):
        ends = {end.key: end for end in signature_defs.endpoints(side)}
        sides.append(tuple(ends[key]._replace(dtype=ends[key].dtype.removesuffix("_ref")) for key in order))
    return GraphSignature(definition, *sides)


def _require_distinct(infos: Mapping[str, protos.Message]) -> None:
    """Refuse a tensor under several keys: a loader feeds it once."""
    keys: dict[tuple[str, ...], list[str]] = {}
    for key, info in infos.items():
        keys.setdefault(signature_defs.tensors_of(info), []).append(key)
    twice = next((each for each in keys.values() if len(each) > 1), None)
    if twice:
        raise errors.ConversionError(f"one tensor is given as several inputs: {errors.listed(twice)}; name each once")


@dataclass(frozen=True)
class _Signatures:
    """The signatures of a graph."""

    model: Model
    store: Store
    #: The nodes that the user made constants.
    bound: frozenset[str] = frozenset()

    @cached_property
    def signed(self) -> Mapping[str, protos.Message]:
        """Those that it has, less TensorFlow's own."""
        if Part.SIGNATURES not in self.model.loaders:
            return {}
        tagged = dict(self.model.part(Part.SIGNATURES))
        known = next(iter(tagged.values()), {}) if len(tagged) == 1 else self.model.meta_graph.signature_def
        return {key: each for key, each in known.items() if not signature_defs.is_hidden(key)}

    @property
    def default_key(self) -> str:
        """The key of a signature that nobody named."""
        return next(iter(self.signed)) if len(self.signed) == 1 else signature_defs.DEFAULT_KEY

    @cached_property
    def _definitions(self) -> Definitions:
        return Definitions(self.store.graph_def, self.store.meta_graph.header)

    @cached_property
    def _tensors(self) -> GraphTensors:
        return GraphTensors(self.store.meta_graph, self._definitions.of)

    def of(
        self, key: str | None, inputs: Ends, outputs: Ends, method: str | None
    ) -> tuple[protos.Message, tuple[list[str], list[str]]]:
        """Return the signature of a key with other ends or another method, and the order of its inputs and outputs.

        Where the graph has no signature, it lies between proposed ends.
        """
        own = self._own(key)
        result = protos.message("SignatureDef")(method_name=signature_defs.PREDICT)
        if own is not None:
            result.CopyFrom(own)
        orders: list[list[str]] = []
        handles: dict[str, str] = {}
        for side, wanted in (("inputs", inputs), ("outputs", outputs)):
            if wanted is None and own is not None:
                orders.append(self._without_bound(result, side))
                continue
            known = {} if own is None else getattr(own, side)
            named = by_key(wanted, known) if wanted is not None else self._proposed(side, outputs)
            infos = {each: self._info(tensor, known) for each, tensor in named.items()}
            if side == "inputs":
                self._require_unbound(infos)
                _require_distinct(infos)
                handles = {each: node for each, tensor in named.items() if (node := self._handle(tensor, known))}
            getattr(result, side).clear()
            for name, info in infos.items():
                getattr(result, side)[name].CopyFrom(info)
            orders.append(list(infos))
        for name, node in handles.items():
            result.inputs[name].CopyFrom(self._tensors.info(self._read_between(node, result)))
        for name in [name for name in result.defaults if name not in result.inputs]:
            del result.defaults[name]
        if method is not None:
            result.method_name = signature_defs.method_uri(method)
        result.method_name = result.method_name or signature_defs.PREDICT
        return result, (orders[0], orders[1])

    def _without_bound(self, signature: protos.Message, side: str) -> list[str]:
        """Take the inputs out of a signature that are constants now; return the keys of those that stay."""
        infos = getattr(signature, side)
        if side == "inputs":
            bound = [key for key, info in infos.items() if self._is_bound(info)]
            for key in bound:
                del infos[key]
        return sorted(infos)

    def _require_unbound(self, infos: Mapping[str, protos.Message]) -> None:
        """Refuse an input that the user made a constant as well."""
        both = [key for key, info in infos.items() if self._is_bound(info)]
        if both:
            raise options.bound_input(both)

    def _is_bound(self, info: protos.Message) -> bool:
        return bool(self.bound.intersection(map(node_of, signature_defs.tensors_of(info))))

    def _own(self, key: str | None) -> protos.Message | None:
        if not self.signed:
            return None
        return self.signed.get(signature_defs.choose(self.signed, key if key in self.signed else None))

    def _proposed(self, side: str, outputs: Ends) -> dict[str, object]:
        """Return the ends proposed for a graph that nobody signed."""
        if not self.model.reader.is_open:
            raise options.unsigned(self.model)
        ends = unsigned_graphs.propose(self.store.meta_graph, options.named(outputs))
        names: tuple[str, ...] = getattr(ends, side)
        if side == "outputs" and not names:
            advice = "No output is to be seen in the graph: name one, outputs=['node:0'] (--outputs node:0)"
            raise errors.MissingPartError("function", "graph", ("graph",), advice)
        return {signature_defs.own_key(name): name for name in names}

    def _info(self, tensor: object, known: Mapping[str, protos.Message]) -> protos.Message:
        """Describe a tensor that was given as itself, by a key of the signature, or by its name."""
        if not self.store.may_have(tensor):
            raise errors.ConversionError(
                f"{str(getattr(tensor, 'name', tensor))!r} is a tensor of another graph than the session's; give one "
                "of session.graph, or its name"
            )
        if composites.is_composite(tensor):
            return self._composite(tensor)
        end = signature_defs.find(signature_defs.endpoints(known), tensor)
        if end is not None:
            return known[end.key]
        return self._tensors.info(self._value_of(str(getattr(tensor, "name", tensor))), *known)

    def _composite(self, tensor: runtime.Live) -> protos.Message:
        """Describe a sparse or ragged tensor of the user's graph as TensorFlow does."""
        tf = runtime.tensorflow()
        graph = tf.nest.flatten(tensor, expand_composites=True)[0].graph
        with graph.as_default(), held_back(tf.get_logger(), "is deprecated"):
            return protos.adopt(tf.compat.v1.saved_model.build_tensor_info(tensor))

    def _handle(self, tensor: object, known: Mapping[str, protos.Message]) -> str:
        """Return the node of a resource variable that is named itself, empty for anything else."""
        if composites.is_composite(tensor) or signature_defs.find(signature_defs.endpoints(known), tensor) is not None:
            return ""
        node = self._nodes.get(node_of(str(getattr(tensor, "name", tensor))))
        return str(node.name) if node is not None and node.op == _HANDLE else ""

    def _read_between(self, handle: str, signature: protos.Message) -> str:
        """Return the one tensor by which some outputs read a variable: what is fed in its place has to reach them all.

        Raises
        ------
        ConversionError
            If they read it in several places, or hand it on.
        """
        needed, _ = ancestors(self._nodes, cut_graph.fetched(signature))
        takers = [self._nodes[each] for each in needed if handle in map(node_of, self._nodes[each].input)]
        reads = sorted(str(each.name) for each in takers if each.op == _READ)
        if len(reads) == len(takers) <= 1:
            return reads[0] if reads else self._value_of(handle)
        others = sorted(str(each.name) for each in takers if each.op != _READ)
        raise errors.ConversionError(
            f"the variable {handle!r} cannot be an input: the outputs read it in several places, or hand it on "
            f"({errors.listed([*reads, *others])}), and a value in place of one of these reaches no other; "
            + (f"name each, inputs={reads!r}" if reads and not others else "name tensors behind them")
        )

    def _value_of(self, name: str) -> str:
        """Return the read of a variable that is named itself: what it is in a graph is a handle."""
        node = self._nodes.get(node_of(name))
        if node is None or node.op != _HANDLE:
            return name
        reads = (each.name for each in self._nodes.values() if each.op == _READ and list(each.input) == [node.name])
        return next(reads, name)

    @cached_property
    def _nodes(self) -> dict[str, protos.Message]:
        return {node.name: node for node in self.store.graph_def.node}

    def infer_shapes(self, definitions: Sequence[protos.Message]) -> None:
        """Fill in the shapes that the graph does not write down, as far as TensorFlow infers them."""
        infos = [
            info
            for signature in definitions
            for info in (*signature.inputs.values(), *signature.outputs.values())
            if info.WhichOneof("encoding") == "name" and info.tensor_shape.unknown_rank
        ]
        graph = self._imported(definitions) if infos and runtime.is_installed() else None
        if graph is None:
            return
        for info in infos:
            shape = graph.get_tensor_by_name(info.name).shape
            info.tensor_shape.CopyFrom(protos.adopt(shape.as_proto()))

    def _imported(self, definitions: Sequence[protos.Message]) -> runtime.Live | None:
        """Import what the signatures need, without the content of large constants; None where TensorFlow refuses it."""
        tf = runtime.tensorflow()
        graph_def = protos.message("GraphDef")(versions=self.store.graph_def.versions)
        wanted = [
            tensor
            for each in definitions
            for tensor in (*(name for name, _ in cut_graph.fed(each)), *cut_graph.fetched(each))
        ]
        needed, _ = ancestors(self._nodes, wanted)
        for name, node in self._nodes.items():
            if name in needed:
                copy = graph_def.node.add()
                copy.CopyFrom(node)
                if "value" in copy.attr and len(copy.attr["value"].tensor.tensor_content) > _SMALL:
                    copy.attr["value"].tensor.ClearField("tensor_content")
                if "_class" in copy.attr:
                    del copy.attr["_class"]
        graph_def.library.CopyFrom(self.store.graph_def.library)
        if any(unrolled_calls.above(Graph(graph_def))):
            # TensorFlow goes into calls as it imports them, and loses the process where they do not end.
            return None
        with tf.Graph().as_default() as graph:
            try:
                tf.graph_util.import_graph_def(protos.native(graph_def), name="")
            except (ValueError, TypeError, tf.errors.OpError):
                return None
        return graph
