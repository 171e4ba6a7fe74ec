"""Turn reads of variables into uses of constants, in the main graph and in the functions that it calls.

A resource that stands for a variable becomes the variable's value itself, all along its way: through identities,
loops and branches, and into functions, which are copied for the values they get. What only reads is exchanged for
the op that reads a tensor; what writes is refused::

    before                                      after

    w     Placeholder, resource                 w     Const, float32
    │                                           │
    call  PartitionedCall, f = dense            call  PartitionedCall, f = dense_frozen
    │                                           │
    y                                           y

    dense(x: float32, v: resource)              dense_frozen(x: float32, v: float32)
      pass    Identity        v                   pass    Identity   v
      read    ReadVariableOp  pass:output:0       read    Identity   pass:output:0
      MatMul  MatMul          x, read:value:0     MatMul  MatMul     x, read:output:0

Not for: finding the variables (:mod:`tfmagic.transforms.captures`), putting the constants in the place of their
placeholders (:mod:`tfmagic.transforms.freeze`), nor tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs.function_library import references
from tfmagic.graphs.seed_states import GENERATOR_SHAPE
from tfmagic.transforms import frozen_state
from tfmagic.transforms.frozen_graph import become

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.frames import Shape

#: Ops that hand a resource on unchanged, their first input to every output.
_PASSING = frozenset({"Identity", "Enter", "RefEnter", "Switch", "RefSwitch", "Exit", "StopGradient"})
_BRANCHES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_LOOPS = frozenset({"While", "StatelessWhile"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
CALLERS = _BRANCHES | _LOOPS | _CALLS
_RESOURCE = "resource"
#: Ops whose output is called ``value``, where that of what they become is called ``output``.
_VALUED = ("ReadVariableOp", "RngReadAndSkip")


class Spec(NamedTuple):
    """Dtype and shape of the tensor that takes a resource's place."""

    dtype: str
    shape: Shape


#: For each data input of a node or argument of a function that is a variable, by its index, the tensor it becomes.
Specs = dict[int, Spec]


class Body:
    """The main graph or one function: its nodes, and where each reference leads.

    Parameters
    ----------
    nodes : repeated NodeDef
        Changed in place.
    library : Library
        For the functions that the nodes call.
    starts : mapping of str to Spec
        The placeholders, or the arguments of the function, that are variables.
    function : str
        The function's name, empty for the main graph.
    """

    def __init__(self, nodes: Any, library: Library, starts: Mapping[str, Spec], function: str = "") -> None:  # noqa: ANN401
        self.nodes = nodes
        self.library = library
        self.function = function
        self._by_name = {node.name: node for node in nodes}
        self._known: dict[str, Spec | None] = dict(starts)

    def spec(self, reference: str) -> Spec | None:
        """Return what the referenced resource becomes, None if the reference is no variable."""
        if reference not in self._known:
            self._known[reference] = None  # the answer within a loop of references
            self._known[reference] = self._found(reference)
        return self._known[reference]

    def _found(self, reference: str) -> Spec | None:
        name, _, place = reference.partition(":")
        if name not in self._by_name:
            return self._known.get(name)  # an argument, or a placeholder's "x:0"
        node = self._by_name[name]
        # "2" in the main graph, "output:2" in a function.
        index = int(place.rpartition(":")[2] or 0)
        if node.op in _PASSING:
            return self.spec(node.input[0])
        if node.op == "IdentityN" or node.op in _LOOPS:
            return self.spec(node.input[index])
        if node.op in CALLERS and _tout(node)[index] == protos.dtype_number(_RESOURCE):
            return self._returned(node, index)
        return self._known.get(name) if name != reference else None

    def _returned(self, node: protos.Message, index: int) -> Spec | None:
        """Follow a resource that a function returns to the argument it came in as."""
        argument = self.library.argument_returned(next(references(node)).name, index)
        return None if argument is None else self.spec(node.input[argument + _first_argument(node)])

    def rewrite(self) -> None:
        """Exchange everything that touches a variable.

        Raises
        ------
        UnsupportedConversionError
            Where something writes to a variable, or does with it what no op does with a tensor.
        """
        # All references are followed before the first node changes: a read that became an Identity would pass on.
        plan = [(node, specs) for node in self.nodes if (specs := self._inputs(node))]
        outputs = {node.name: self._outputs(node) for node, _ in plan if node.op in CALLERS | {"IdentityN"}}
        for node, specs in plan:
            if node.op in CALLERS:
                self._rewrite_call(node, specs, outputs[node.name])
            elif node.op == "IdentityN":
                _retype(node.attr["T"].list.type, specs)
                _forget_shapes(node)
            elif node.op in _PASSING:
                become(node, node.op, T=specs[0].dtype) if node.op == "Identity" else _retype_one(node, specs[0])
            else:
                self._rewrite_read(node, specs)

    def _inputs(self, node: protos.Message) -> Specs:
        specs = {index: self.spec(name) for index, name in enumerate(node.input) if not name.startswith("^")}
        return {index: spec for index, spec in specs.items() if spec is not None}

    def _outputs(self, node: protos.Message) -> Specs:
        """Return the outputs of a call that are variables, by their place."""
        count = len(_tout(node))
        specs = {index: self.spec(self._reference(node.name, index)) for index in range(count)}
        return {index: spec for index, spec in specs.items() if spec is not None}

    def _reference(self, name: str, index: int) -> str:
        """Write a reference to an output that its op calls ``output``: in functions, the name is part of it."""
        return f"{name}:output:{index}" if self.function else f"{name}:{index}"

    def _rewrite_read(self, node: protos.Message, specs: Specs) -> None:
        rewrite = _READS.get(node.op)
        if rewrite is None or list(specs) != [0]:
            where = f" in function {self.function!r}" if self.function else ""
            raise refusal(
                f"op {node.name!r} ({node.op}){where} writes to a variable or needs it as one, "
                "and a constant cannot be written to. Export to a SavedModel, which keeps variables; "
                "or freeze a function that only reads them (a model called with training=False)"
            )
        for constant in rewrite(node, specs[0].dtype):
            while constant.name in self._by_name:
                constant.name += "_"
            added = self.nodes.add()
            added.CopyFrom(constant)
            self._by_name[added.name] = added
            # Behind the other tensors, before what it waits for.
            place = sum(not text.startswith("^") for text in node.input)
            node.input.insert(place, self._reference(added.name, 0))

    def _rewrite_call(self, node: protos.Message, specs: Specs, outputs: Specs) -> None:
        """Give a call, branch or loop the values, and functions that take them."""
        first = _first_argument(node)
        arguments = {index - first: spec for index, spec in specs.items()}
        for function in references(node):
            function.name = self.library.specialised(function.name, arguments)
        _retype(node.attr["T" if node.op in _LOOPS else "Tin"].list.type, arguments)
        if node.op not in _LOOPS:
            _retype(node.attr["Tout"].list.type, outputs)
        _reshape(node, arguments if node.op in _LOOPS else outputs)
        _forget_shapes(node)


def _tout(node: protos.Message) -> Sequence[int]:
    types: Sequence[int] = node.attr["Tout" if "Tout" in node.attr else "T"].list.type
    return types


def _first_argument(node: protos.Message) -> int:
    """Return which input is the function's first argument: a branch's condition comes before it."""
    return 1 if node.op in _BRANCHES else 0


def _retype(types: Any, specs: Specs) -> None:  # noqa: ANN401 - a repeated field
    for index, spec in specs.items():
        types[index] = protos.dtype_number(spec.dtype)


def _retype_one(node: protos.Message, spec: Spec) -> None:
    node.attr["T"].type = protos.dtype_number(spec.dtype)
    _forget_shapes(node)


def _reshape(node: protos.Message, specs: Specs) -> None:
    """Put the shapes of values where a resource's was, a scalar's."""
    if "output_shapes" in node.attr and len(node.attr["output_shapes"].list.shape):
        for index, spec in specs.items():
            node.attr["output_shapes"].list.shape[index].CopyFrom(protos.shape_proto(spec.shape))


def _forget_shapes(node: protos.Message) -> None:
    node.ClearField("experimental_type")
    for attr in ("_output_shapes", "_handle_dtypes", "_handle_shapes"):
        if attr in node.attr:
            del node.attr[attr]


def refusal(reason: str) -> errors.UnsupportedConversionError:
    """Return the error for a function that cannot be frozen."""
    return errors.UnsupportedConversionError("function", "graph_def", ("saved_model",), reason)


def _to_identity(node: protos.Message, dtype: str) -> Iterable[protos.Message]:
    become(node, "Identity", T=dtype)
    return ()


def _to_shape(node: protos.Message, dtype: str) -> Iterable[protos.Message]:
    out_type = node.attr["out_type"].type or protos.dtype_number("int32")
    become(node, "Shape", T=dtype)
    node.attr["out_type"].type = out_type
    return ()


def _to_gather_nd(node: protos.Message, dtype: str) -> Iterable[protos.Message]:
    become(node, "GatherNd", Tparams=dtype, Tindices=protos.dtype_name(node.attr["Tindices"].type))
    return ()


def _to_gather(node: protos.Message, dtype: str) -> Iterable[protos.Message]:
    """ResourceGather takes its axis from ``batch_dims``, GatherV2 as a third input."""
    batch_dims = node.attr["batch_dims"].i
    become(node, "GatherV2", Tparams=dtype, Tindices=protos.dtype_name(node.attr["Tindices"].type), Taxis="int32")
    node.attr["batch_dims"].i = batch_dims
    axis = protos.message("NodeDef")(name=f"{node.name}/axis")
    become(axis, "Const", dtype="int32")
    axis.attr["value"].tensor.dtype = protos.dtype_number("int32")
    axis.attr["value"].tensor.tensor_shape.SetInParent()
    axis.attr["value"].tensor.int_val.append(batch_dims)
    return (axis,)


def _to_draw(node: protos.Message, _: str) -> Iterable[protos.Message]:
    """Draw a state in the place of what reads a generator's and moves it on."""
    node.input[:] = [text for text in node.input if text.startswith("^")]
    return frozen_state.become_drawn(node, GENERATOR_SHAPE)


#: What each op that reads a variable becomes, and the constants it then needs as its last inputs.
_READS: Mapping[str, Callable[[protos.Message, str], Iterable[protos.Message]]] = {
    "ReadVariableOp": _to_identity,
    "VariableShape": _to_shape,
    "ResourceGather": _to_gather,
    "ResourceGatherNd": _to_gather_nd,
    "RngReadAndSkip": _to_draw,
}


@dataclass
class Library:
    """The function library of a graph, growing by the copies that take values for variables."""

    graph_def: protos.Message
    _functions: dict[str, protos.Message] = field(init=False)
    _made: dict[tuple[str, tuple[tuple[int, Spec], ...]], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._functions = {function.signature.name: function for function in self.graph_def.library.function}

    def argument_returned(self, name: str, index: int) -> int | None:
        """Return which argument a function returns as the result of that place, None if it is no argument."""
        function = self._functions[name]
        nodes = {node.name: node for node in function.node_def}
        arguments = [argument.name for argument in function.signature.input_arg]
        reference = function.ret[function.signature.output_arg[index].name]
        while (source := reference.partition(":")[0]) not in arguments:
            if source not in nodes or nodes[source].op not in _PASSING:
                return None
            reference = nodes[source].input[0]
        return arguments.index(source)

    def specialised(self, name: str, specs: Specs) -> str:
        """Return the name of a copy of the function that takes values where these arguments are variables."""
        key = (name, tuple(sorted(specs.items())))
        if key not in self._made:
            self._made[key] = self._new_name(name)
            self._specialise(name, self._made[key], specs)
        return self._made[key]

    def _new_name(self, name: str) -> str:
        return next(
            candidate
            for number in range(len(self._functions) + 1)
            if (candidate := f"{name}_frozen" + (f"_{number}" if number else "")) not in self._functions
        )

    def _specialise(self, name: str, new_name: str, specs: Specs) -> None:
        function = self.graph_def.library.function.add()
        function.CopyFrom(self._functions[name])
        function.signature.name = new_name
        self._functions[new_name] = function
        starts = {function.signature.input_arg[index].name: spec for index, spec in specs.items()}
        for index, spec in specs.items():
            _retype_argument(function, index, spec)
        body = Body(function.node_def, self, starts, name)
        returned = {argument.name: body.spec(function.ret[argument.name]) for argument in function.signature.output_arg}
        reads = [node.name for node in function.node_def if node.op in _VALUED]
        body.rewrite()
        _rename_outputs(
            function, {node.name for node in function.node_def if node.name in reads and node.op not in _VALUED}
        )
        for argument in function.signature.output_arg:
            _retype_result(argument, returned[argument.name])


def _retype_argument(function: protos.Message, index: int, spec: Spec) -> None:
    """Let a function's argument be a value."""
    argument = function.signature.input_arg[index]
    argument.type = protos.dtype_number(spec.dtype)
    argument.ClearField("handle_data")
    argument.ClearField("experimental_full_type")
    attr = function.arg_attr[index].attr
    for name in [name for name in attr if name != "_user_specified_name"]:
        del attr[name]
    attr["_output_shapes"].list.shape.add().CopyFrom(protos.shape_proto(spec.shape))
    if index in function.resource_arg_unique_id:
        del function.resource_arg_unique_id[index]


def _retype_result(argument: protos.Message, spec: Spec | None) -> None:
    """Let a result that was a variable be its value."""
    if spec is not None and argument.type == protos.dtype_number(_RESOURCE):
        argument.type = protos.dtype_number(spec.dtype)
        argument.ClearField("handle_data")
        argument.ClearField("experimental_full_type")


def _rename_outputs(function: protos.Message, names: set[str]) -> None:
    """Follow reads that became other ops: the output that they called ``value`` is ``output`` there."""

    def renamed(reference: str) -> str:
        name, _, place = reference.partition(":")
        return f"{name}:output:0" if place.startswith("value:") and name in names else reference

    for node in function.node_def:
        for index, reference in enumerate(node.input):
            node.input[index] = renamed(reference)
    for result, reference in list(function.ret.items()):
        function.ret[result] = renamed(reference)
