"""What can be known of an op from its name: the dtype of its first output, and which ops do no arithmetic.

TensorFlow's op registry knows this, but files are read without TensorFlow. Not for: nodes and graphs.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

#: Attributes that name the first output's dtype, in the order in which they win. With the exceptions in
#: op_dtypes.txt this is right for every op that TensorFlow 2.21 registers.
_DTYPE_ATTRS = (
    "Toutput", "Tout", "out_type", "output_type", "output_types", "DstT", "Tcomplex", "dtype", "element_dtype",
    "dtypes", "component_types", "Toutputs", "Tresults", "T", "Tparams",
)  # fmt: skip

#: Ops of saving and restoring, hidden in a listing of ops unless all are asked for.
SAVE_RESTORE_OPS = frozenset(
    {"Save", "SaveV2", "SaveSlices", "Restore", "RestoreV2", "RestoreSlice", "ShardedFilename", "MergeV2Checkpoints"}
)
PLACEHOLDER_OPS = frozenset({"Placeholder", "PlaceholderV2"})
VARIABLE_OPS = frozenset({"VarHandleOp", "VariableV2", "Variable", "TemporaryVariable"})
#: Ops whose ``shape`` attribute is the shape of their output.
SHAPED_OPS = PLACEHOLDER_OPS | {
    "PlaceholderWithDefault", "VariableV2", "Variable", "TemporaryVariable", "ImmutableConst", "ParallelConcat",
    "AccumulateNV2",
}  # fmt: skip
#: The last version of the graph's dialect in which a Placeholder with an empty shape is one of unknown rank.
_LAST_WITHOUT_UNKNOWN_RANK = 21


def scalar_is_unknown(producer: int) -> frozenset[str]:
    """Return the ops whose empty ``shape`` attribute means unknown rank: there once was no other way to say so.

    From the shape functions in tensorflow/core/ops/state_ops.cc and array_ops.cc.
    """
    return frozenset({"Variable"} | ({"Placeholder"} if producer <= _LAST_WITHOUT_UNKNOWN_RANK else set()))


class OutputDtype(NamedTuple):
    """Where the dtype of an op's first output is found: the first of ``attrs`` that a node has, else ``default``."""

    attrs: tuple[str, ...]
    default: str


@cache
def output_dtype(op: str) -> OutputDtype:
    """Say where the dtype of the op's first output is found; an op without outputs has the dtype ``""``."""
    rule = _exceptions().get(op, "")
    if rule.startswith("@"):
        attr, _, default = rule[1:].partition("=")
        return OutputDtype((attr,), default)
    if rule:
        return OutputDtype((), "" if rule == "none" else rule)
    return OutputDtype(_DTYPE_ATTRS, "")


@cache
def registered() -> frozenset[str]:
    """Return the names of the ops that TensorFlow registers by itself."""
    return frozenset(name for line in _lines("op_names.txt") for name in line.split())


def _lines(name: str) -> list[str]:
    """Read the lines of a table that lies beside this module, comments left out."""
    text = resources.files("tfmagic.graphs").joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


@cache
def _exceptions() -> dict[str, str]:
    """Read the table of exceptions: op to dtype, ``@attr``, ``@attr=default`` or ``none``."""
    lines = "\n".join(_lines("op_dtypes.txt")).replace("\n    ", " ")
    rows = (line.split(": ", 1) for line in lines.strip().splitlines())
    return {op: rule for rule, ops in rows for op in ops.split()}
