"""A TensorFlow Lite file as messages: its operators as nodes, so that it has a graph's tables, picture and details.

A node is called like the first tensor that it gives, less what converters put behind it (``a/Relu;a/BiasAdd:0`` is
``a/Relu``); a constant and an input are nodes of their own. The first subgraph and those that signatures begin make up
the main graph, the others are its function library. Weights stay in the file: a large constant says by attributes where
it lies and what it takes. Such a graph is to be looked at; only TFLite runs it.

===================== ==============================================================================================
attribute             what it says
===================== ==============================================================================================
of the schema         an option of the operator, by the schema's name and word; a subgraph by its name
``quantization``      how integers stand for real numbers, in words; ``quantization_1`` of the second output
``sparsity``          how a sparse constant is written down, in words
``_scale`` …          ``_zero_point``, ``_axis``: the numbers of it, of the first output
``_tensors``          the names of the outputs in the file
``_output_shapes``    their shapes; ``_output_types`` their dtypes
``_version``          of the operator
``_omitted_inputs``   the places of inputs that are left out: the node's inputs are fewer
``_buffer``           the number of the buffer of a constant; ``_stored_bytes`` what it takes
``file``              the other file that holds a constant, from byte ``offset`` on, ``packing`` if it is packed
===================== ==============================================================================================

Not for: reading the file (:mod:`tfmagic.files.tflite.structure`), or how a value becomes an attribute
(:mod:`tfmagic.graphs.tflite_attributes`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfmagic.files import protos
from tfmagic.files.tflite import values as tensor_values
from tfmagic.graphs import constants, tflite_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tfmagic.files.tflite.operators import Operator
    from tfmagic.files.tflite.options import Value
    from tfmagic.files.tflite.structure import Description, Signature, Subgraph
    from tfmagic.files.tflite.tensors import Tensor

    #: Returns the bytes of a buffer by its number.
    Contents = Callable[[int], bytes]
    #: Raises the error that says what is wrong with the file.
    Corrupt = Callable[[str], None]

#: Constants of at most so many bytes lie in their nodes.
_SMALL = 1024
#: Options that are the number of a subgraph, and the attribute in which TensorFlow's ops name a function.
CALLS: Mapping[str, str] = {
    "then_subgraph_index": "then_branch",
    "else_subgraph_index": "else_branch",
    "cond_subgraph_index": "cond",
    "body_subgraph_index": "body",
    "init_subgraph_index": "f",
    "subgraph": "f",
    "decomposition_subgraph_index": "f",
    "comparator_subgraph_index": "f",
    "update_computation_subgraph_index": "f",
    "called_computations": "branches",
    "branch_subgraph_indices": "branches",
}


@dataclass
class TFLiteGraph:
    """A file as messages.

    Attributes
    ----------
    message : MetaGraphDef
        Its signatures name nodes of the main graph.
    weights : dict of str to Tensor
        Constants that are weights by the names of their nodes, those of functions below the function's name.
    """

    message: protos.Message
    weights: dict[str, Tensor] = field(default_factory=dict)


def of_description(
    description: Description, signatures: Sequence[Signature], contents: Contents, corrupt: Corrupt
) -> TFLiteGraph:
    """Return a file as messages.

    Parameters
    ----------
    description : Description
        The file.
    signatures : sequence of Signature
        Its signatures, or those that are proposed for it.
    contents : callable
        Returns the bytes of a buffer by its number; asked for small ones alone.
    corrupt : callable
        Raises the error that says that the file is damaged; gets what is wrong.
    """
    return _Writing(description, contents, corrupt).graph(signatures)


class _Writing:
    """Writes subgraphs as messages."""

    def __init__(self, description: Description, contents: Contents, corrupt: Corrupt) -> None:
        self.description = description
        self.contents = contents
        self.corrupt = corrupt
        self.names = _subgraph_names(description.subgraphs)
        self.weights: dict[str, Tensor] = {}

    def graph(self, signatures: Sequence[Signature]) -> TFLiteGraph:
        message = protos.message("MetaGraphDef")()
        entries = list(dict.fromkeys((0, *(each.subgraph for each in signatures)))) if self.names else []
        bodies = {number: _Body(self, number, f"{self.names[number]}/" if number else "") for number in entries}
        called = {each for subgraph in self.description.subgraphs for each in _called(subgraph.operators)}
        for number in range(len(self.names)):
            if number not in bodies or number in called:
                self._add_function(message.graph_def.library, number)
        for signature in signatures:
            body = bodies[signature.subgraph]
            written = message.signature_def[signature.key]
            for ends, numbers in ((written.inputs, signature.inputs), (written.outputs, signature.outputs)):
                for key, tensor in numbers.items():
                    ends[key].name = body.full(tensor)
                    ends[key].dtype = tflite_attributes.dtype_number(body.tensors[tensor].dtype)
                    ends[key].tensor_shape.CopyFrom(protos.shape_proto(body.tensors[tensor].shape))
        # Last, as an output may be a constant that no operator takes.
        for body in bodies.values():
            message.graph_def.node.extend(body.nodes)
        return TFLiteGraph(message, self.weights)

    def _add_function(self, library: protos.Message, number: int) -> None:
        body = _Body(self, number, "", is_function=True)
        function = library.function.add()
        function.signature.name = self.names[number]
        subgraph = body.subgraph
        for tensor in dict.fromkeys(subgraph.inputs):
            function.signature.input_arg.add(
                name=body.references[tensor], type=tflite_attributes.dtype_number(body.tensors[tensor].dtype)
            )
        free = _Names()
        for tensor in subgraph.outputs:
            name = free(plain_name(body.tensors[tensor].name) or "output")
            function.signature.output_arg.add(
                name=name, type=tflite_attributes.dtype_number(body.tensors[tensor].dtype)
            )
            function.ret[name] = body.reference(tensor, "a result")
        function.node_def.extend(body.nodes)

    def size(self, number: int) -> int:
        """Return the bytes of a buffer; a tensor of a damaged file may name one that there is not."""
        sizes = self.description.buffers
        return sizes[number].length if 0 <= number < len(sizes) else 0


class _Names:
    """Names that are given once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: Counter[str] = Counter()

    def __call__(self, wanted: str) -> str:
        name = wanted
        while name in self._taken:
            self._numbers[wanted] += 1
            name = f"{wanted}_{self._numbers[wanted]}"
        self._taken.add(name)
        return name


class _Body:
    """The nodes of one subgraph, and how its tensors are referred to."""

    def __init__(self, writing: _Writing, number: int, prefix: str, *, is_function: bool = False) -> None:
        self.writing = writing
        self.subgraph: Subgraph = writing.description.subgraphs[number]
        self.tensors = self.subgraph.tensors
        self.prefix = prefix
        #: Where its weights are listed.
        self.place = f"{writing.names[number]}/" if is_function else ""
        self.references: dict[int, str] = {}
        self.free = _Names()
        self.nodes: list[protos.Message] = []
        self._add_sources(is_function=is_function)
        self._name_operators()
        for operator, name in self.named:
            for tensor in operator.inputs:
                if tensor >= 0:
                    self.reference(tensor, f"{operator.op} {name!r}")
            self.nodes.append(self._node(operator, name))

    def full(self, tensor: int) -> str:
        """Return a tensor's reference with the number of the output."""
        reference = self.reference(tensor, "a signature")
        return reference if ":" in reference else f"{reference}:0"

    def reference(self, tensor: int, user: str) -> str:
        """Return how a tensor is referred to; one that nothing gives becomes a node of its own."""
        if not 0 <= tensor < len(self.tensors):
            self.writing.corrupt(f"{user} refers to tensor {tensor} of {len(self.tensors)}")
        if tensor not in self.references:
            self._add_constant(tensor)
        return self.references[tensor]

    def _add_sources(self, *, is_function: bool) -> None:
        for tensor in dict.fromkeys(self.subgraph.inputs):
            name = self._name(tensor, "input")
            if not is_function:
                self._add_source(tensor, name, "Placeholder")

    def _name(self, tensor: int, otherwise: str) -> str:
        name = self.free(self.prefix + (plain_name(self.tensors[tensor].name) or f"{otherwise}_{tensor}"))
        self.references[tensor] = name
        return name

    def _name_operators(self) -> None:
        """Name the operators before the constants, which mostly are called after them."""
        self.named: list[tuple[Operator, str]] = []
        for place, operator in enumerate(self.subgraph.operators):
            outputs = [tensor for tensor in operator.outputs if 0 <= tensor < len(self.tensors)]
            own = plain_name(self.tensors[outputs[0]].name) if outputs else ""
            name = self.free(self.prefix + (own or f"{operator.op}_{place}"))
            for port, tensor in enumerate(outputs):
                self.references.setdefault(tensor, f"{name}:{port}" if port else name)
            self.named.append((operator, name))

    def _add_source(self, tensor: int, name: str, op: str) -> protos.Message:
        what = self.tensors[tensor]
        node = protos.message("NodeDef")(name=name, op=op)
        node.attr["dtype"].type = tflite_attributes.dtype_number(what.dtype)
        self._describe(node, [tensor])
        self.nodes.append(node)
        return node

    def _add_constant(self, tensor: int) -> None:
        """Add the node of a tensor that no operator gives: a constant, a state, or what nothing says a word about."""
        what = self.tensors[tensor]
        size = self.writing.size(what.buffer) if what.buffer else 0
        op = "Const" if size or not tensor_values.size(what) else "VariableV2" if what.is_variable else "Placeholder"
        name = self._name(tensor, "tensor")
        node = self._add_source(tensor, name, op)
        if op != "Const":
            node.attr["shape"].shape.CopyFrom(protos.shape_proto(what.shape))
            return
        node.attr["_buffer"].i = what.buffer
        node.attr["_stored_bytes"].i = size
        self._say_file(node, what.buffer)
        value = self._value(what) if size <= _SMALL and what.sparsity is None else None
        if value is not None:
            node.attr["value"].tensor.CopyFrom(value)
        if is_weight(what):
            self.writing.weights[self.place + name] = what

    def _say_file(self, node: protos.Message, buffer: int) -> None:
        """Say where a constant lies that is in another file."""
        description = self.writing.description
        if buffer in description.files:
            tflite_attributes.fill(node.attr["file"], description.files[buffer])
            node.attr["offset"].i = description.buffers[buffer].offset
        if buffer in description.packings:
            tflite_attributes.fill(node.attr["packing"], description.packings[buffer])

    def _value(self, tensor: Tensor) -> protos.Message | None:
        """Return a constant as a message, None where it has no meaning outside a runtime."""
        try:
            data = self.writing.contents(tensor.buffer) if tensor.buffer else b""
            array = tensor_values.stored(tensor, data)
            message = protos.message("TensorProto")(
                dtype=protos.dtype_number(tensor.dtype), tensor_shape=protos.shape_proto(tuple(array.shape))
            )
        except (ValueError, KeyError):
            return None
        if tensor.dtype == "string":
            message.string_val.extend(array.reshape(-1).tolist())
        else:
            message.tensor_content = array.tobytes()
        return message

    def _node(self, operator: Operator, name: str) -> protos.Message:
        node = protos.message("NodeDef")(name=name, op=operator.op)
        node.input.extend(self.references[tensor] for tensor in operator.inputs if tensor >= 0)
        omitted = [place for place, tensor in enumerate(operator.inputs) if tensor < 0]
        if omitted:
            node.attr["_omitted_inputs"].list.i.extend(omitted)
        node.attr["_version"].i = operator.version
        for option, value in operator.options.items():
            self._set(node, option, value)
        for option, value in tflite_attributes.custom_options(operator):
            tflite_attributes.fill(node.attr[option], value)
        self._describe(node, [tensor for tensor in operator.outputs if 0 <= tensor < len(self.tensors)])
        return node

    def _set(self, node: protos.Message, option: str, value: Value) -> None:
        """Write an option; the number of a subgraph becomes its name."""
        numbers = value if isinstance(value, list) else [value]
        names = self.writing.names
        if option in CALLS and all(isinstance(each, int) and 0 <= each < len(names) for each in numbers):
            attribute = node.attr[CALLS[option]]
            if isinstance(value, list):
                for own in numbers:
                    attribute.list.func.add(name=names[int(own)])
            else:
                attribute.func.name = names[int(numbers[0])]
            return
        tflite_attributes.fill(node.attr[option], value)

    def _describe(self, node: protos.Message, tensors: Sequence[int]) -> None:
        """Say of the outputs of a node what the file says of its tensors."""
        if not tensors:
            return
        outputs = [self.tensors[tensor] for tensor in tensors]
        node.attr["_output_shapes"].list.shape.extend(protos.shape_proto(each.shape) for each in outputs)
        node.attr["_output_types"].list.type.extend(tflite_attributes.dtype_number(each.dtype) for each in outputs)
        node.attr["_tensors"].list.s.extend(each.name.encode("utf-8", "surrogatepass") for each in outputs)
        for place, output in enumerate(outputs):
            end = f"_{place}" if place else ""
            if output.quantisation is not None:
                node.attr[f"quantization{end}"].s = tflite_attributes.quantisation_text(output.quantisation).encode()
            if output.sparsity is not None:
                node.attr[f"sparsity{end}"].s = tflite_attributes.sparsity_text(output.sparsity).encode()
        quantisation = outputs[0].quantisation
        if quantisation is not None and quantisation.scale:
            node.attr["_scale"].list.f.extend(quantisation.scale)
            node.attr["_zero_point"].list.i.extend(quantisation.zero_point)
            node.attr["_axis"].i = quantisation.axis


def _called(operators: Iterable[Operator]) -> Iterator[int]:
    """Yield the numbers of subgraphs that operators call."""
    for operator in operators:
        for option in CALLS.keys() & operator.options.keys():
            value = operator.options[option]
            yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int))


def _subgraph_names(subgraphs: Sequence[Subgraph]) -> list[str]:
    free = _Names()
    return [free(plain_name(each.name) or f"subgraph_{number}") for number, each in enumerate(subgraphs)]


def plain_name(tensor: str) -> str:
    """Return the name of a tensor as a node may have it: the first of several, without the number of an output."""
    first = tensor.partition(";")[0].lstrip("^")
    return first.removesuffix(":0").replace(":", "_")


def is_weight(tensor: Tensor) -> bool:
    """Say whether a constant is a weight: more than one number that is floating, or stands for a real one."""
    is_real = constants.is_of_weights(tensor.dtype) or (
        tensor.quantisation is not None and bool(tensor.quantisation.scale)
    )
    return is_real and tensor_values.size(tensor) > 1
