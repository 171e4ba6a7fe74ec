"""The main graph of a SavedModel: its variables, calls of the signatures' functions, and what saves and restores.

TensorFlow 1 and servers run this graph and never look at the objects. Not for: those
(:mod:`tfmagic.writers.saved_model.object_graph`), or the functions (:mod:`tfmagic.writers.saved_model.functions`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files import protos
from tfmagic.functions import nested_structures
from tfmagic.functions.attribute_paths import Way, variable_ways
from tfmagic.graphs.saved_object_graph import escaped
from tfmagic.graphs.signatures import Endpoint, signature_def
from tfmagic.graphs.tensor_names import spelled
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms import captures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.frames import Shape
    from tfmagic.functions import NamedFunction
    from tfmagic.writers.saved_model.functions import Functions, SignatureFunction

#: Where TensorFlow 1 looks for the variables, and for those that are trained.
_COLLECTIONS: Mapping[str, Callable[[Stored], bool]] = {
    "variables": lambda _: True,
    "trainable_variables": lambda each: each.trainable,
}
#: What follows the way to a variable in its key in the checkpoint.
_VALUE = ".ATTRIBUTES/VARIABLE_VALUE"
#: The lists of variables that the root has, as a model of Keras has them, and its signatures.
LISTS: Mapping[str, Callable[[Stored], bool]] = {
    "variables": lambda _: True,
    "trainable_variables": lambda each: each.trainable,
    "non_trainable_variables": lambda each: not each.trainable,
}
SIGNATURES = "signatures"


class Stored(NamedTuple):
    """A variable as a SavedModel holds it.

    Attributes
    ----------
    live : tf.Variable
        Has the value.
    name : str
        The name that its user knows.
    node : str
        The VarHandleOp of the main graph.
    key : str
        Its key in the checkpoint.
    trainable : bool
        Whether it is trained.
    way : Way
        How it is reached from the module that holds it, empty where none does.
    """

    live: runtime.Live
    name: str
    node: str
    key: str
    trainable: bool
    way: Way = Way()

    @property
    def dtype(self) -> str:
        """TensorFlow's name of its dtype."""
        name: str = self.live.dtype.name
        return name

    @property
    def shape(self) -> Shape:
        """Its static shape."""
        return None if self.live.shape.rank is None else tuple(self.live.shape.as_list())


class Constant(NamedTuple):
    """A tensor that functions captured, and the Const of the main graph that holds it."""

    live: runtime.Live
    node: str


@dataclass(frozen=True)
class Parts:
    """What a SavedModel is made of, every node of its main graph named."""

    functions: Functions
    variables: tuple[Stored, ...]
    constants: tuple[Constant, ...]
    #: The nodes of each signature's inputs, and of its outputs, by key; signatures in order.
    ends: tuple[tuple[dict[str, str], dict[str, str]], ...]

    @cached_property
    def nodes(self) -> dict[int, str]:
        """The node for each captured tensor, by its identity: first the variables' handles, then the constants."""
        handles = {id(each.live.handle): each.node for each in self.variables}
        return handles | {id(each.live): each.node for each in self.constants}


def parts(functions: Functions, trainable: Mapping[int, bool]) -> Parts:
    """Name everything: inputs and outputs first, so that they have the user's own names.

    Parameters
    ----------
    functions : Functions
        Of all signatures.
    trainable : mapping of int to bool
        Whether variables are trained, by their identity, where the source says otherwise than TensorFlow.
    """
    sources = [each.source for each in functions.signatures]
    live = list({id(each): each for one in sources for each in captures.captures(one).unique_variables()}.values())
    tensors = list({id(each): each for one in sources for each in captures.captures(one).tensors.values()}.values())
    names = _variable_names(functions.signatures, live)
    prefix = len(sources) > 1
    wanted = [_end(one.key if prefix else "", end.key) for one in sources for end in (*one.inputs, *one.outputs)]
    taken = iter(
        nested_structures.unique(
            [*nested_structures.identifiers(wanted, fold=False), *map(_node_name, names), *["Const" for _ in tensors]]
        )
    )
    ends = tuple(
        ({end.key: next(taken) for end in one.inputs}, {end.key: next(taken) for end in one.outputs}) for one in sources
    )
    ways = ways_to(sources, live)
    variables = tuple(
        Stored(
            variable, name, next(taken), key_of(place, way), bool(trainable.get(id(variable), variable.trainable)), way
        )
        for place, (variable, name, way) in enumerate(zip(live, names, ways, strict=True))
    )
    return Parts(functions, variables, tuple(Constant(each, next(taken)) for each in tensors), ends)


def ways_to(sources: Sequence[NamedFunction], live: Sequence[runtime.Live]) -> list[Way]:
    """Return the ways to variables along the attributes of the modules that hold them, no two of them the same."""
    known = variable_ways(sources)
    ways = [known.get(id(variable), Way()) for variable in live]
    counts = Counter(way.names for way in ways)
    own = {*LISTS, SIGNATURES}
    return [way if counts[way.names] == 1 and own.isdisjoint(way.names[:1]) else Way() for way in ways]


def key_of(place: int, way: Way) -> str:
    """Return a variable's key in the checkpoint: the way to it, as TensorFlow's saver writes that."""
    return "/".join([*map(escaped, way.names or ("variables", str(place))), _VALUE])


def _end(signature: str, key: str) -> str:
    return f"{signature}_{key}" if signature else key


def _variable_names(signed: Sequence[SignatureFunction], live: Iterable[runtime.Live]) -> list[str]:
    """Return the names that variables have for their user."""
    known = {id(each): name for one in signed for name, each in one.source.variables.items()}
    return nested_structures.unique(known.get(id(each), each.name.partition(":")[0]) for each in live)


def _node_name(name: str) -> str:
    """Return the nearest name that TensorFlow takes for a node."""
    plain = spelled(name)
    return plain if re.match(r"[A-Za-z0-9.]", plain) else f"v{plain}"


def meta_graph_def(parts: Parts, tags: Sequence[str]) -> protos.Message:
    """Return the MetaGraphDef, objects apart."""
    result = protos.message("MetaGraphDef")()
    result.meta_info_def.tags.extend(tags)
    result.meta_info_def.tensorflow_version = runtime.tensorflow().__version__
    graph = result.graph_def
    graph.versions.CopyFrom(parts.functions.versions)
    for variable in parts.variables:
        _add_variable(graph, variable)
    for constant in parts.constants:
        _add_constant(graph, constant)
    for signature, ends in zip(parts.functions.signatures, parts.ends, strict=True):
        signed = _add_call(graph, signature, parts, *ends)
        result.signature_def[signature.source.key].CopyFrom(signed)
    if parts.variables:
        _add_saver(result, parts.variables)
    graph.library.function.extend(parts.functions.library)
    graph.library.function.extend(each.definition for each in parts.functions.signatures)
    return result


def _add_variable(graph: protos.Message, variable: Stored) -> None:
    handle = add(graph, variable.node, "VarHandleOp", dtype=variable.dtype)
    handle.attr["shape"].shape.CopyFrom(protos.shape_proto(variable.shape))
    handle.attr["shared_name"].s = variable.node.encode()
    handle.attr["container"].s = b""
    read = add(graph, _read(variable), "ReadVariableOp", variable.node, dtype=variable.dtype)
    read.attr["_output_shapes"].list.shape.add().CopyFrom(protos.shape_proto(variable.shape))


def _read(variable: Stored) -> str:
    return f"{variable.node}/Read/ReadVariableOp"


def _assign(variable: Stored) -> str:
    return f"{variable.node}/Assign"


def _add_constant(graph: protos.Message, constant: Constant) -> None:
    value = captures.of_tensor(constant.live)
    node = add(graph, constant.node, "Const", dtype=value.dtype)
    tensor = node.attr["value"].tensor
    if value.texts is not None:
        tensor.CopyFrom(value.texts())
        return
    tensor.dtype = protos.dtype_number(value.dtype)
    tensor.tensor_shape.CopyFrom(protos.shape_proto(value.shape))
    tensor.tensor_content = bytes(value.read())


def _add_call(
    graph: protos.Message,
    signature: SignatureFunction,
    parts: Parts,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> protos.Message:
    """Add a signature's placeholders, the call of its function, and its results; return the SignatureDef."""
    source = signature.source
    ends = {end.key: end for end in source.inputs}
    for key, end in ends.items():
        node = add(graph, inputs[key], "Placeholder", dtype=end.dtype)
        node.attr["shape"].shape.CopyFrom(protos.shape_proto(end.shape))
        node.attr["_output_shapes"].list.shape.add().CopyFrom(protos.shape_proto(end.shape))
    results = {end.key: end for end in source.outputs}
    call = add(
        graph,
        f"{source.key}/call" if _is_scope(source.key) else f"{signature.definition.signature.name}/call".lstrip("_"),
        "StatefulPartitionedCall",
        *(inputs[key] for key in signature.inputs),
        *(parts.nodes[id(captured)] for captured in signature.captured),
    )
    _type_call(call, signature)
    for place, key in enumerate(signature.outputs):
        result = add(graph, outputs[key], "Identity", f"{call.name}:{place}" if place else call.name)
        result.attr["T"].type = protos.dtype_number(results[key].dtype)
        result.attr["_output_shapes"].list.shape.add().CopyFrom(protos.shape_proto(results[key].shape))
    return signature_def(
        [_renamed(end, inputs) for end in source.inputs],
        [_renamed(end, outputs) for end in source.outputs],
        source.method,
    )


def _is_scope(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.-]*", key) is not None


def _type_call(call: protos.Message, signature: SignatureFunction) -> None:
    signature_def = signature.definition.signature
    call.attr["Tin"].list.type.extend(argument.type for argument in signature_def.input_arg)
    call.attr["Tout"].list.type.extend(argument.type for argument in signature_def.output_arg)
    call.attr["f"].func.name = signature_def.name
    for name in ("config", "config_proto", "executor_type"):
        call.attr[name].s = b""


def _renamed(end: Endpoint, nodes: Mapping[str, str]) -> Endpoint:
    return end._replace(tensor=f"{nodes[end.key]}:0")


def _add_saver(result: protos.Message, variables: Sequence[Stored]) -> None:
    """Add what TensorFlow 1 restores and saves by, and the collections in which it looks for variables."""
    graph = result.graph_def
    place = _add_text(graph, "save/Const", ["model"], is_list=False)
    names = _add_text(graph, "save/tensor_names", [each.key for each in variables])
    slices = _add_text(graph, "save/shape_and_slices", [""] * len(variables))
    types = [protos.dtype_number(each.dtype) for each in variables]
    restore = add(graph, "save/RestoreV2", "RestoreV2", place, names, slices)
    restore.attr["dtypes"].list.type.extend(types)
    every = add(graph, "save/restore_all", "NoOp")
    for number, variable in enumerate(variables):
        source = f"{restore.name}:{number}" if number else restore.name
        add(graph, _assign(variable), "AssignVariableOp", variable.node, source, dtype=variable.dtype)
        every.input.append(f"^{_assign(variable)}")
    save = add(graph, "save/SaveV2", "SaveV2", place, names, slices, *(_read(each) for each in variables))
    save.attr["dtypes"].list.type.extend(types)
    done = add(graph, "save/control_dependency", "Identity", place, f"^{save.name}")
    done.attr["T"].type = protos.dtype_number("string")
    result.saver_def.filename_tensor_name = f"{place}:0"
    result.saver_def.save_tensor_name = f"{done.name}:0"
    result.saver_def.restore_op_name = every.name
    result.saver_def.version = 2
    for collection, belongs in _COLLECTIONS.items():
        data = (_definition(each).SerializeToString() for each in variables if belongs(each))
        result.collection_def[collection].bytes_list.value.extend(data)


def _definition(variable: Stored) -> protos.Message:
    return protos.message("VariableDef")(
        variable_name=f"{variable.node}:0", initializer_name=_assign(variable), snapshot_name=f"{_read(variable)}:0",
        initial_value_name=f"{_read(variable)}:0", is_resource=True, trainable=variable.trainable,
    )  # fmt: skip


def _add_text(graph: protos.Message, name: str, texts: Sequence[str], *, is_list: bool = True) -> str:
    node = add(graph, name, "Const", dtype="string")
    tensor = node.attr["value"].tensor
    tensor.dtype = protos.dtype_number("string")
    tensor.tensor_shape.CopyFrom(protos.shape_proto((len(texts),) if is_list else ()))
    tensor.string_val.extend(each.encode() for each in texts)
    return name


def add(graph: protos.Message, name: str, op: str, *inputs: str, dtype: str | None = None) -> protos.Message:
    """Add a node to a graph, with the attribute ``dtype`` if it has one."""
    node = graph.node.add(name=name, op=op)
    node.input.extend(inputs)
    if dtype is not None:
        node.attr["dtype"].type = protos.dtype_number(dtype)
    return node
