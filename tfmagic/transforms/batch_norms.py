"""Write batch norms of inference so that an optimizer folds them into the weights of the convolution before.

TensorFlow's optimizer multiplies a convolution's weights by a constant that comes straight after it. It leaves a norm
that is one op, or exchanges it for an op of its own, and does not look past a bias. Both are written as products and
sums here. What it leaves behind a depthwise convolution, whose weights it does not multiply, is folded afterwards. Not
for: folding other constants (:mod:`tfmagic.runtime.grappler`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tfmagic.files import protos
from tfmagic.graphs import constants, ops
from tfmagic.graphs.tensor_names import FreeNames, full, node_of
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})
#: What an op takes for epsilon where its node does not say it (``tensorflow/core/ops/nn_ops.cc``).
_EPSILON = 0.0001
_DEPTHWISE = "DepthwiseConv2dNative"
_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", _DEPTHWISE})
_SUMS = frozenset({"BiasAdd", "AddV2", "Add"})
#: Of fewer bits, another order of steps rounds to other numbers.
_DTYPES = frozenset({"float32", "float64"})
#: Channels come last: a vector of them is added as it is.
_LAST = (b"", b"NHWC", b"NDHWC")


def unfold(graph_def: protos.Message, ends: Iterable[str]) -> None:
    """Write norms of inference as a product and a sum, and products of a convolution's bias as sums of products.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool, without variables; changed in place. Each node keeps its name and what it gives.
    ends : iterable of str
        Tensors that somebody takes besides the nodes of the graph.
    """
    _Rewriting(graph_def, ends).rewrite()


def fold_depthwise(graph_def: protos.Message, ends: Iterable[str]) -> None:
    """Multiply the weights of depthwise convolutions by the constant that comes straight after them.

    Parameters
    ----------
    graph_def : GraphDef
        Of our pool, its constants folded; changed in place. The product becomes the convolution and keeps its name; the
        convolution that it was of, and both constants, stay where they are.
    ends : iterable of str
        Tensors that somebody takes besides the nodes of the graph.
    """
    nodes = {node.name: node for node in graph_def.node}
    free = FreeNames(nodes)
    uses = Counter(map(node_of, (*(name for node in graph_def.node for name in node.input), *ends)))
    for node in list(graph_def.node):
        if node.op != "Mul" or _dtype(node) not in _DTYPES or len(node.input) != len(("convolution", "factor")):
            continue
        convolution, factor = sorted((nodes[node_of(name)] for name in node.input), key=lambda side: side.op == "Const")
        if (
            convolution.op == _DEPTHWISE
            and uses[convolution.name] == 1
            and convolution.device == node.device
            and _has_last_channels(convolution)
            and _is_value(factor)
            and _is_value(weights := nodes[node_of(convolution.input[1])])
        ):
            _become_depthwise(graph_def, node, (convolution, weights, factor), free(f"{node.name}/weights"))


def _become_depthwise(
    graph_def: protos.Message,
    node: protos.Message,
    parts: tuple[protos.Message, protos.Message, protos.Message],
    name: str,
) -> None:
    """Turn the product of a convolution into one with weights of its own, where each channel has its factor."""
    convolution, weights, factor = parts
    kernel, scale = (constants.tensor_value(each.attr["value"].tensor) for each in (weights, factor))
    # Channels of the result: those of the input, each as often as the kernel's last dimension says.
    channels = kernel.shape[2:]
    if scale.ndim > kernel.ndim or (scale.size != 1 and scale.shape[-1:] != (scale.size,)):
        return
    if scale.size not in (1, np.prod(channels)):
        return
    with np.errstate(all="ignore"):
        product = kernel * scale.reshape(channels if scale.size > 1 else ())
    own = graph_def.node.add()
    own.CopyFrom(weights)
    own.name = name
    tensor = own.attr["value"].tensor
    tensor.Clear()
    tensor.dtype = weights.attr["dtype"].type
    tensor.tensor_shape.CopyFrom(protos.shape_proto(product.shape))
    tensor.tensor_content = product.astype(kernel.dtype.newbyteorder("<")).tobytes()
    inputs = [convolution.input[0], name, *convolution.input[2:]]
    node.op = _DEPTHWISE
    del node.input[:]
    node.input.extend(inputs)
    node.attr.clear()
    for key, value in convolution.attr.items():
        node.attr[key].CopyFrom(value)


class _Rewriting:
    """A graph on its way."""

    def __init__(self, graph_def: protos.Message, ends: Iterable[str]) -> None:
        self._graph_def = graph_def
        self._nodes = {node.name: node for node in graph_def.node}
        self._free = FreeNames(self._nodes)
        uses = [name for node in graph_def.node for name in node.input]
        self._taken = {full(name) for name in (*uses, *ends) if not name.startswith("^")}
        self._uses = Counter(map(node_of, (*uses, *ends)))
        self._moving = self._found_moving()

    def _found_moving(self) -> set[str]:
        """Return the nodes whose value is not known: what hangs on inputs, state, chance, or the way that is taken."""
        consumers: dict[str, list[str]] = {}
        for name, node in self._nodes.items():
            for taken in node.input:
                consumers.setdefault(node_of(taken), []).append(name)
        begin = [name for name, node in self._nodes.items() if _is_open(node)]
        return reached(begin, lambda name: consumers.get(name, ()))

    def _is_constant(self, tensor: str) -> bool:
        return node_of(tensor) in self._nodes and node_of(tensor) not in self._moving and not tensor.startswith("^")

    def rewrite(self) -> None:
        """Change what is to be changed."""
        for node in list(self._graph_def.node):
            if self._is_fixed_norm(node):
                self._unfold_norm(node)
        for node in list(self._graph_def.node):
            if node.op == "Mul" and _dtype(node) in _DTYPES:
                self._pass_bias(node)

    def _is_fixed_norm(self, node: protos.Message) -> bool:
        """Say whether a node is a norm by constants of which nobody takes more than the result."""
        return (
            node.op in _NORMS
            and "is_training" in node.attr
            and not node.attr["is_training"].b
            and _has_last_channels(node)
            and _dtype(node) in _DTYPES
            and ("U" not in node.attr or node.attr["U"].type == node.attr["T"].type)
            and all(map(self._is_constant, node.input[1:]))
            and not self._taken.intersection(f"{node.name}:{place}" for place in range(1, 6))
        )

    def _unfold_norm(self, node: protos.Message) -> None:
        x, gamma, beta, mean, variance = node.input
        dtype = node.attr["T"].type
        epsilon = self._added(node, "epsilon", "Const", ())
        epsilon.attr["dtype"].type = dtype
        value = epsilon.attr["value"].tensor
        value.dtype = dtype
        stated = node.attr["epsilon"].f if "epsilon" in node.attr else _EPSILON
        (value.float_val if _dtype(node) == "float32" else value.double_val).append(stated)
        widened = self._added(node, "variance", "AddV2", (variance, epsilon.name))
        root = self._added(node, "rsqrt", "Rsqrt", (widened.name,))
        scale = self._added(node, "scale", "Mul", (root.name, gamma))
        moved = self._added(node, "shift", "Mul", (mean, scale.name))
        offset = self._added(node, "offset", "Sub", (beta, moved.name))
        product = self._added(node, "product", "Mul", (x, scale.name))
        self._moving.add(product.name)
        self._become_sum(node, product.name, offset.name)

    def _pass_bias(self, node: protos.Message) -> None:
        """Write ``(convolution + bias) * factor`` as ``convolution * factor + bias * factor``."""
        sides = list(node.input)
        factors = [name for name in sides if self._is_constant(name)]
        if len(sides) != len(("sum", "factor")) or len(factors) != 1:
            return
        (taken,) = (name for name in sides if name not in factors)
        terms = self._biased(taken)
        if terms is None:
            return
        product = self._added(node, "product", "Mul", (terms[0], factors[0]))
        self._moving.add(product.name)
        bias = self._added(node, "bias", "Mul", (terms[1], factors[0]))
        self._become_sum(node, product.name, bias.name)

    def _biased(self, tensor: str) -> tuple[str, str] | None:
        """Return the convolution and the constant of a sum of both that nobody else takes."""
        node = self._nodes.get(node_of(tensor))
        if node is None or node.op not in _SUMS or self._uses[node.name] != 1 or not _has_last_channels(node):
            return None
        sides = list(node.input)
        biases = [name for name in sides if self._is_constant(name)]
        if len(sides) != len(("convolution", "bias")) or len(biases) != 1:
            return None
        (convolution,) = (name for name in sides if name not in biases)
        source = self._nodes.get(node_of(convolution))
        if source is None or source.op not in _CONVOLUTIONS or self._uses[source.name] != 1:
            return None
        return convolution, biases[0]

    def _added(self, node: protos.Message, name: str, op: str, inputs: Sequence[str]) -> protos.Message:
        """Add a node in the scope of another one, of the same dtype and on the same device."""
        result = self._graph_def.node.add()
        result.name, result.op, result.device = self._free(f"{node.name}/{name}"), op, node.device
        result.input.extend(inputs)
        if inputs:
            result.attr["T"].CopyFrom(node.attr["T"])
        self._nodes[result.name] = result
        self._uses.update(map(node_of, inputs))
        return result

    def _become_sum(self, node: protos.Message, *terms: str) -> None:
        """Turn a node into the sum of others."""
        dtype = node.attr["T"].type
        self._uses.subtract(map(node_of, node.input))
        self._uses.update(map(node_of, terms))
        node.op = "AddV2"
        del node.input[:]
        node.input.extend(terms)
        node.attr.clear()
        node.attr["T"].type = dtype


def _is_open(node: protos.Message) -> bool:
    """Say whether what a node gives does not follow from its inputs alone."""
    if node.op == "Const":
        return any(each.startswith("^") for each in node.input)
    kind = ops.named(node.op)
    return not node.input or kind.effect is not ops.Effect.PURE or kind.kind == "control flow"


def _is_value(node: protos.Message) -> bool:
    return node.op == "Const" and not node.input


def _dtype(node: protos.Message) -> str:
    return protos.dtype_name(node.attr["T"].type) if "T" in node.attr else ""


def _has_last_channels(node: protos.Message) -> bool:
    return "data_format" not in node.attr or node.attr["data_format"].s in _LAST
