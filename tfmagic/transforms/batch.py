"""Fix the batch of a function or a graph: inputs whose first dimension is open get one of known size.

Not for: any other dimension.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.functions.importable_part import settle
from tfmagic.functions.named_function import endpoint
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.tensor_names import node_of
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import inlining

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfmagic.frames import Shape
    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.saved_models import Store

#: What an importer writes of the shapes that it knew.
_SHAPES = "_output_shapes"

#: Where ops of lists take the shape of an element.
_ELEMENT_SHAPES = {"TensorListReserve": 0, "EmptyTensorList": 0, "TensorListStack": 1, "TensorListGetItem": 2}


def fix_graph(store: Store, definitions: Mapping[str, protos.Message], size: int) -> Store:
    """Fix the batch of a graph by an edit: placeholders state it, and each of its nodes stays.

    Parameters
    ----------
    store : Store
        The graph, which stays as it is.
    definitions : mapping of str to SignatureDef
        Say which tensors are inputs. They are edited, and their outputs are of unknown shape until that is inferred.
    size : int
        How many elements a batch has.

    Raises
    ------
    ConversionError
        If no input of a signature leaves its first dimension open, or the size is none.
    """
    message = store.meta_graph.meta_graph_def()
    nodes = {node.name: node for node in message.graph_def.node}
    for key, definition in definitions.items():
        opened = [info for info in definition.inputs.values() if _is_open(info)]
        _require_open(key, size, is_open=bool(opened))
        for info in opened:
            info.tensor_shape.dim[0].size = size
            node = nodes[node_of(info.name)]
            if "shape" in node.attr and node.op in of_kind("placeholder", "default placeholder"):
                node.attr["shape"].shape.CopyFrom(info.tensor_shape)
        for info in definition.outputs.values():
            if info.WhichOneof("encoding") == "name":
                info.tensor_shape.Clear()
                info.tensor_shape.unknown_rank = True
    native = protos.native(message.graph_def)
    for bodies in (native.node, *(function.node_def for function in native.library.function)):
        for node in bodies:
            node.attr.pop(_SHAPES, None)
        _close_lists(runtime.tensorflow(), bodies, size)
    message.graph_def.CopyFrom(protos.adopt(native))
    return replace(store, meta_graph=MetaGraph.of_message(message))


def _is_open(info: protos.Message) -> bool:
    return info.WhichOneof("encoding") == "name" and bool(info.tensor_shape.dim) and info.tensor_shape.dim[0].size < 0


def _require_open(key: str, size: int, *, is_open: bool) -> None:
    """Refuse a size that is none, and one that changes nothing."""
    if isinstance(size, bool) or not isinstance(size, int):
        raise errors.ConversionError(f"a batch is a number of elements, not {size!r}; give batch=1 (--batch 1)")
    if size < 1:
        raise errors.ConversionError(f"a batch has at least one element, not {size}; give batch=1 (--batch 1)")
    if not is_open:
        raise errors.ConversionError(
            f"no input of {key!r} leaves its batch open, so that batch={size} changes nothing; leave it out"
        )


def described(function: NamedFunction, size: int) -> NamedFunction:
    """Return the function as it is, its inputs described as batches of one size.

    Raises
    ------
    ConversionError
        If no input leaves its first dimension open, or the size is none.
    """
    inputs = tuple(end._replace(shape=_fixed(end.shape, size)) for end in function.inputs)
    _require_open(function.key, size, is_open=inputs != function.inputs)
    return replace(function, inputs=inputs)


def fixed(function: NamedFunction, size: int) -> NamedFunction:
    """Return a function that takes its inputs as :func:`described` has them, and nothing else."""
    tf = runtime.tensorflow()
    keys = [end.key for end in function.inputs]
    names = nested_structures.identifiers(keys)
    specs = [tf.TensorSpec(end.shape, end.dtype, name) for end, name in zip(function.inputs, names, strict=True)]
    marked: dict[str, str] = {}

    def call(*tensors: runtime.Live) -> dict[str, runtime.Live]:
        tensors_out = _imported(function, dict(zip(keys, tensors, strict=True)), size)
        marked.update((key, tensor.name) for key, tensor in tensors_out.items())
        return {f"{place:06}": tensor for place, tensor in enumerate(tensors_out.values())}

    # A plain tf.function forgets the functions of a graph that is imported into it.
    with runtime.eager():
        concrete = tf.compat.v1.wrap_function(call, specs)
    concrete_functions.name_arguments(concrete, [spec.name for spec in specs])
    ends = zip(keys, concrete.inputs, strict=False)
    return replace(
        function,
        concrete=concrete,
        inputs=tuple(endpoint(key, tensor) for key, tensor in ends),
        outputs=tuple(endpoint(key, concrete.graph.get_tensor_by_name(name)) for key, name in marked.items()),
        places=tuple(range(len(marked))),
    )


def _imported(function: NamedFunction, tensors: Mapping[str, runtime.Live], size: int) -> dict[str, runtime.Live]:
    """Import the function's graph, calls inlined, on these inputs: every shape in it is inferred anew."""
    tf = runtime.tensorflow()
    concrete = function.concrete
    inside = {tensor.name: tensor for tensor in concrete.inputs}
    keep = [*(end.tensor for end in function.outputs), *inside]
    graph_def = protos.native(inlining.inlined(concrete_functions.graph_def(concrete), keep))
    for nodes in (graph_def.node, *(function.node_def for function in graph_def.library.function)):
        _close_lists(tf, nodes, size)
    settle(graph_def)
    fed = {end.tensor: tensors[end.key] for end in function.inputs}
    outside = concrete.captured_inputs
    captured = list(inside)[len(inside) - len(outside) :]
    fed.update((name, concrete_functions.capture(tensor)) for name, tensor in zip(captured, outside, strict=True))
    wanted = [end.tensor for end in function.outputs]
    results = tf.graph_util.import_graph_def(graph_def, input_map=fed, return_elements=wanted, name="")
    named = zip(
        function.outputs, nested_structures.identifiers(end.key for end in function.outputs), results, strict=True
    )
    return {end.key: tf.identity(tensor, name) for end, name, tensor in named}


def has_open_lists(function: NamedFunction) -> bool:
    """Say whether a loop collects tensors whose first dimension is open, as recurrent layers do with their states."""
    if not any(end.shape and end.shape[0] is None for end in function.inputs):
        return False
    tf = runtime.tensorflow()
    graph_def = concrete_functions.graph_def(function.concrete)
    bodies = (graph_def.node, *(body.node_def for body in graph_def.library.function))
    return any(node.op == "TensorListReserve" for nodes in bodies for node, _ in _open_lists(tf, nodes))


def _close_lists(tf: runtime.Live, nodes: runtime.Live, size: int) -> None:
    """Write the size into the shapes of what lists of tensors hold: the step of a loop, which was traced open."""
    for node, shape in list(_open_lists(tf, nodes)):
        sizes = tf.make_ndarray(shape.attr["value"].tensor).tolist()
        closed = nodes.add()
        closed.CopyFrom(shape)
        closed.name = f"{node.name}_element_shape_{size}"
        tensor = tf.make_tensor_proto([size, *sizes[1:]], shape.attr["dtype"].type)
        closed.attr["value"].tensor.CopyFrom(tensor)
        place = _ELEMENT_SHAPES[node.op]
        suffix = node.input[place].partition(":")[2]
        node.input[place] = f"{closed.name}:{suffix}" if suffix else closed.name


def _open_lists(tf: runtime.Live, nodes: runtime.Live) -> Iterator[tuple[runtime.Live, runtime.Live]]:
    """Yield the ops of lists whose elements' first dimension is open, and the constants with the elements' shapes."""
    constants = {node.name: node for node in nodes if node.op == "Const"}
    for node in nodes:
        shape = constants.get(node_of(node.input[_ELEMENT_SHAPES[node.op]])) if node.op in _ELEMENT_SHAPES else None
        if shape is not None:
            sizes = tf.make_ndarray(shape.attr["value"].tensor).reshape(-1).tolist()
            # A scalar leaves the rank open as well, and is found out by who needs it.
            if len(sizes) > 1 and sizes[0] < 0:
                yield node, shape


def _fixed(shape: Shape, size: int) -> Shape:
    return (size, *shape[1:]) if shape and shape[0] is None else shape
