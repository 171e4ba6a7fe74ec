"""What a graph computes between its ends, without what only says how it is written down.

Calls are descended into, identities skipped, variables and the constants that are weights taken for the same thing, and
attributes left out that repeat an op's default: a SavedModel, what was frozen of it and what was saved again are then
alike. Not for: finding what differs (:mod:`tfmagic.graphs.computation_matching`), or the values of weights.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import bodies, constants, ops, tensor_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.graphs.bodies import Body

#: Ops whose value is that of their input.
_SKIPPED = frozenset({
    "CheckNumerics", "GuaranteeConst", "Identity", "IdentityN", "PreventGradient", "ReadVariableOp", "RefIdentity",
    "Snapshot", "StopGradient",
})  # fmt: skip
_PLACEHOLDERS = ops.of_kind("placeholder", "default placeholder")
_VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
#: Attributes that say how a node is run, or what TensorFlow knows of it, not what it computes.
_SILENT = frozenset({
    "allowed_devices", "config", "config_proto", "container", "debug_name", "executor_type", "output_shapes",
    "parallel_iterations", "shared_name", "swap_memory", "use_cudnn_on_gpu", "use_inter_op_parallelism",
    "validate_indices", "validate_shape",
})  # fmt: skip
#: The defaults of attributes that are not zero, false or empty: a SavedModel leaves out what repeats them.
_DEFAULTS: Mapping[str, frozenset[str]] = {
    "alpha": frozenset({"0.2"}),
    "data_format": frozenset({"NHWC", "NDHWC"}),
    "epsilon": frozenset({"0.0001"}),
    "exponential_avg_factor": frozenset({"1"}),
    "is_training": frozenset({"True"}),
    **dict.fromkeys(
        ("Index", "Tidx", "Tshape", "Tpaddings", "Tperm", "Tdim", "Tmultiples", "out_type", "index_type", "Tlen",
         "Tblock_shape", "Tcrops", "Tsplits", "TI", "Tlabels", "output_type"),
        frozenset({"int32", "int64"}),
    ),
}  # fmt: skip
#: Those of them whose value decides what is computed, or that may be zero on purpose.
_KEPT_AS_ZERO = frozenset({"alpha", "epsilon", "exponential_avg_factor", "is_training"})
_DEEPEST_CALL = 200
#: More ops are not looked at.
MOST_OPS = 3_000_000
#: Constants of more elements are compared by a digest.
_LONGEST_VALUE = 100
INPUT, WEIGHT = "input", "weight"

#: An op of a computation by its place, and the number of its output.
Tensor: TypeAlias = tuple[int, int]
Attributes: TypeAlias = tuple[tuple[str, str], ...]


class Op(NamedTuple):
    """One op of a computation.

    Attributes
    ----------
    name : str
        The node's, below the scopes of the calls that lead to it.
    op : str
        TensorFlow's name, ``"input"`` or ``"weight"``.
    attributes : tuple of pairs of str
        By name, as text that is the same for the same value.
    inputs : tuple of tensors
        What it consumes.
    """

    name: str
    op: str
    attributes: Attributes
    inputs: tuple[Tensor, ...]


@dataclass
class Computation:
    """Ops in the order in which they can run, what comes out, digests of constants that are weights, kinds of weights.

    A kind is dtype and shape as a text, which tells nothing of whether a weight is a variable or a constant. ``is_cut``
    says that there are more ops than are looked at: functions that call one another, each twice, run exponentially
    many.
    """

    ops: list[Op] = field(default_factory=list)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    is_cut: bool = False


def of_graph(graph_def: protos.Message, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Computation:
    """Return what a graph computes.

    Parameters
    ----------
    graph_def : GraphDef
        With its function library.
    inputs, outputs : mapping of str to str
        Tensors of the main graph by key; nothing before an input belongs to the computation.
    """
    reading = _Reading({each.signature.name: each for each in graph_def.library.function})
    graph = bodies.Body({node.name: node for node in graph_def.node})
    known: dict[str, Tensor] = {}
    for key, text in inputs.items():
        known[tensor_names.full(text)] = reading.add(Op(key, INPUT, (), ()))
    ends = [tensor_names.full(text) for text in outputs.values()]
    tensors = reading.body(graph, ends, known, "", 0)
    reading.computation.outputs = dict(zip(outputs, tensors, strict=True))
    return reading.computation


@dataclass
class _Reading:
    """Goes through bodies, and writes down what their nodes compute."""

    functions: Mapping[str, protos.Message]
    computation: Computation = field(default_factory=Computation)
    #: The text of attributes that came before, as nodes share most of them.
    attributes: dict[bytes, str] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    unknown: Tensor | None = None

    def add(self, op: Op) -> Tensor:
        """Append an op; return its first output."""
        self.computation.ops.append(op)
        return len(self.computation.ops) - 1, 0

    def body(
        self, graph: Body, ends: Sequence[str], known: Mapping[str, Tensor], prefix: str, depth: int
    ) -> list[Tensor]:
        """Write down what tensors need; return them."""
        outputs: dict[str, Sequence[Tensor]] = {}

        def tensor(text: str) -> Tensor:
            name, place = graph.source(text)
            taken = known.get(f"{name}:{place}") or known.get(name)
            if taken is not None:
                return taken
            made_of = outputs.get(name, ())
            return made_of[place] if place < len(made_of) else self._more(made_of, place)

        cut = {text.removesuffix(":0") for text in known if text.endswith(":0")}
        for node in graph.in_order(ends, cut):
            if node.name in cut and node.op in _PLACEHOLDERS:
                continue
            if len(self.computation.ops) >= MOST_OPS:
                self.computation.is_cut = True
                break
            outputs[node.name] = self._node(node, [tensor(text) for text in bodies.data_inputs(node)], prefix, depth)
        return [tensor(text) for text in ends]

    def _more(self, outputs: Sequence[Tensor], place: int) -> Tensor:
        """Return a further output of an op, or what stands for something that is not known."""
        if outputs:
            return outputs[0][0], place
        if self.unknown is None:
            self.unknown = self.add(Op("", "unknown", (), ()))
        return self.unknown

    def _node(self, node: protos.Message, inputs: list[Tensor], prefix: str, depth: int) -> Sequence[Tensor]:
        name = prefix + node.name
        if node.op in _SKIPPED and inputs:
            return inputs
        if node.op in _VARIABLES or _is_captured(node):
            return [self._weight(self._text(node, "shared_name") or node.name, node)]
        if node.op == "Const":
            return [self._constant(name, node)]
        functions = bodies.called(node, self.functions)
        if len(functions) == 1 and ops.named(node.op).kind in ("call", "unknown") and depth < _DEEPEST_CALL:
            return self._call(functions[0], inputs, "".join(name.rpartition("/")[:2]), depth)
        attributes = self._attributes(node)
        if functions:
            attributes += tuple(("body", self._digest(each, depth)) for each in functions)
        return [self.add(_gathering(Op(name, node.op, attributes, tuple(inputs)), self.computation.ops))]

    def _call(self, function: protos.Message, inputs: Sequence[Tensor], prefix: str, depth: int) -> list[Tensor]:
        arguments = [argument.name for argument in function.signature.input_arg]
        graph = bodies.Body({node.name: node for node in function.node_def})
        return self.body(graph, bodies.results(function), dict(zip(arguments, inputs, strict=False)), prefix, depth + 1)

    def _digest(self, function: protos.Message, depth: int) -> str:
        """Return a text that is the same for branches and loop bodies that compute the same."""
        name = function.signature.name
        if name not in self.digests:
            self.digests[name] = ""  # A function that calls itself is nothing that TensorFlow runs.
            inner = _Reading(self.functions, attributes=self.attributes, digests=self.digests)
            inputs = [inner.add(Op(str(place), INPUT, (), ())) for place in range(len(function.signature.input_arg))]
            results = inner._call(function, inputs, "", depth)
            # Only a constant of the body itself: what is handed in is compared where it comes from.
            values = inner.computation.constants
            steps = [
                (op.op, op.attributes, op.inputs, values.get(place)) for place, op in enumerate(inner.computation.ops)
            ]
            # Python's own hash is another one in each process.
            self.digests[name] = _short_digest(repr((steps, results)).encode())
            self.computation.is_cut |= inner.computation.is_cut
        return self.digests[name]

    def _weight(self, name: str, node: protos.Message) -> Tensor:
        """Return a variable, which several nodes may name; which one it is, its values tell."""
        if name not in self.weights:
            self.weights[name] = self.add(Op(name, WEIGHT, (), ()))
            if "shape" in node.attr:
                dtype, shape = protos.dtype_name(node.attr["dtype"].type), protos.shape_of(node.attr["shape"].shape)
                self.computation.kinds[self.weights[name][0]] = f"{dtype} {shape}"
        return self.weights[name]

    def _constant(self, name: str, node: protos.Message) -> Tensor:
        if "value" not in node.attr or "quantization" in node.attr:
            # A weight of a TFLite file, whose values lie elsewhere.
            return self.add(Op(name, WEIGHT, (), ()))
        tensor = node.attr["value"].tensor
        dtype, shape = protos.dtype_name(tensor.dtype), protos.shape_of(tensor.tensor_shape)
        size = math.prod(dimension or 0 for dimension in shape or ())
        described = (("dtype", dtype), ("shape", str(shape)))
        if constants.is_of_weights(dtype) and size > 1:
            weight = self.add(Op(name, WEIGHT, (), ()))
            self.computation.kinds[weight[0]] = f"{dtype} {shape}"
            self.computation.constants[weight[0]] = f"{dtype} {shape} {_digest(tensor)}"
            return weight
        return self.add(Op(name, "Const", (*described, ("value", _value_text(tensor, size))), ()))

    def _attributes(self, node: protos.Message) -> Attributes:
        pairs = []
        for key in sorted(node.attr):
            if key in _SILENT or key.startswith("_"):
                continue
            value = node.attr[key]
            # A function's name has a number of the process that made it; what it computes is compared.
            if value.HasField("func") or len(value.list.func):
                continue
            data = value.SerializeToString(deterministic=True)
            if data not in self.attributes:
                self.attributes[data] = _text(value)
            text = self.attributes[data]
            if not _is_default(key, text):
                pairs.append((key, text))
        return tuple(pairs)

    @staticmethod
    def _text(node: protos.Message, key: str) -> str:
        return str(node.attr[key].s.decode("utf-8", "replace")) if key in node.attr else ""


def _is_captured(node: protos.Message) -> bool:
    """Whether a node stands for the handle of a variable outside, as a traced function has it."""
    return node.op in _PLACEHOLDERS and node.attr["dtype"].type == protos.dtype_number("resource")


def _digest(tensor: protos.Message) -> str:
    """Return a digest of a constant's value, which may be written in more than one way."""
    try:
        data = np.ascontiguousarray(constants.tensor_value(tensor)).tobytes()
    except ValueError:
        data = tensor.SerializeToString(deterministic=True)
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _short_digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _value_text(tensor: protos.Message, size: int) -> str:
    """Return the text of a constant's value, of a long one its digest."""
    try:
        value = constants.tensor_value(tensor)
    except ValueError:
        return str(tensor.SerializeToString(deterministic=True).hex())
    if size <= _LONGEST_VALUE:
        return repr(value.tolist())
    data = value.tobytes() if value.dtype != object else b"\0".join(map(bytes, value.reshape(-1)))
    return f"{size} values, {_short_digest(data)}"


def _gathering(op: Op, known: Sequence[Op]) -> Op:
    """Write what looks up rows of a variable as the op that freezing makes of it."""
    if op.op == "ResourceGather":
        kept = tuple(pair for pair in op.attributes if pair[0] not in ("dtype", "Tindices"))
        return op._replace(op="GatherV2", attributes=kept)
    if op.op == "GatherV2" and len(op.inputs) == 3:  # noqa: PLR2004 - rows, indices, axis
        axis = dict(known[op.inputs[2][0]].attributes).get("value")
        kept = tuple(pair for pair in op.attributes if pair[0] not in ("Tparams", "Tindices", "Taxis"))
        return op._replace(attributes=kept, inputs=op.inputs[:2] if axis == "0" else op.inputs)
    return op


def _is_default(key: str, text: str) -> bool:
    if text in _DEFAULTS.get(key, ()):
        return True
    is_nothing = text in ("", "0", "0.0", "False", "[]") or (key == "dilations" and set(text) <= set("[1, ]"))
    return is_nothing and key not in _KEPT_AS_ZERO


def _text(value: protos.Message) -> str:
    """Return the text of an attribute's value."""
    kind = value.WhichOneof("value")
    if kind in _WORDS:
        return str(_WORDS[kind](value))
    return str(value.SerializeToString(deterministic=True).hex()) if kind else ""


#: How the value of an attribute is worded, by its kind.
_WORDS: Mapping[str, Callable[[protos.Message], object]] = {
    "s": lambda value: value.s.decode("utf-8", "backslashreplace"),
    "type": lambda value: protos.dtype_name(value.type),
    "shape": lambda value: protos.shape_of(value.shape),
    "f": lambda value: f"{value.f:.6g}",
    "i": lambda value: value.i,
    "b": lambda value: value.b,
    "list": lambda value: _listed(value.list),
}


def _listed(values: protos.Message) -> list[object]:
    shapes: Iterable[object] = map(protos.shape_of, values.shape)
    texts = (each.decode("utf-8", "backslashreplace") for each in values.s)
    return [*texts, *values.i, *values.f, *values.b, *map(protos.dtype_name, values.type), *shapes]
