"""Which number an output has that goes by a name: in a function's body tensors are named, in a graph they are numbered.

``op_outputs.txt`` has the outputs of the ops with several. A model lists the definitions of its own ops beside its
graph, which come first: they are of the release that wrote it. Not for: dtypes (:mod:`tfmagic.graphs.ops`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs import ops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfmagic.files import protos


class Output(NamedTuple):
    """An output of an op: its name, and the attribute that says how many tensors it is, empty for one.

    ``counted`` is an attribute that is their number, ``typed`` one that is a list of their dtypes.
    """

    name: str
    counted: str = ""
    typed: str = ""

    def size(self, node: protos.Message) -> int:
        """Return how many tensors it is of a node."""
        if self.counted:
            return int(node.attr[self.counted].i) if self.counted in node.attr else 0
        if self.typed:
            return len(node.attr[self.typed].list.type) if self.typed in node.attr else 0
        return 1


def number(node: protos.Message, name: str, index: int, definitions: Mapping[str, protos.Message]) -> int | None:
    """Return the number of a node's output.

    Parameters
    ----------
    node : NodeDef
        Whose.
    name, index : str, int
        The output, and the place in it where it is several tensors.
    definitions : mapping of str to OpDef
        The definitions that came with the model.

    Returns
    -------
    int or None
        None if nobody knows the op, or it has no such output.
    """
    outputs = of_definition(definitions[node.op]) if node.op in definitions else several().get(node.op)
    if outputs is None:
        return index if node.op in ops.registered() else None
    before = 0
    for output in outputs:
        if output.name == name:
            return before + index
        before += output.size(node)
    return None


def of_definition(definition: protos.Message) -> tuple[Output, ...]:
    """Return the outputs that an OpDef declares."""
    return tuple(Output(each.name, each.number_attr, each.type_list_attr) for each in definition.output_arg)


@cache
def several() -> Mapping[str, tuple[Output, ...]]:
    """Read op_outputs.txt: the outputs of the ops that have several, by the op's name."""
    outputs: tuple[Output, ...] = ()
    known: dict[str, tuple[Output, ...]] = {}
    for line in resources.files("tfmagic.graphs").joinpath("op_outputs.txt").read_text("utf-8").splitlines():
        if line.startswith(" "):
            known.update(dict.fromkeys(line.split(), outputs))
        elif line and not line.startswith("#"):
            outputs = tuple(map(_output, line.split()))
    return known


def _output(word: str) -> Output:
    name, _, counted = word.partition("*")
    name, _, typed = name.partition("@")
    return Output(name, counted, typed)
