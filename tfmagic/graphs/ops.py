"""What is known of an op by its name: its kind, what running it does, the dtype of its first output.

``ops.txt`` is the one classification of ops; everything that asks "is it a table?" or "does it write files?" asks here.
TensorFlow's op registry knows names and dtypes, but files are read without TensorFlow, and of effects it knows only
"stateful", which is neither what is harmful nor all of it. Not for: what one node does, whose attributes may say less
than its op (:mod:`tfmagic.graphs.op_effects`).
"""

from __future__ import annotations

import pkgutil
import re
from enum import StrEnum
from functools import cache
from typing import NamedTuple


class Effect(StrEnum):
    """What running an op does, the harmless first: of two effects the later one counts.

    ``CALL`` does what the functions do that the op runs. ``UNKNOWN`` are ops that are not in the list, and those whose
    body cannot be looked into.
    """

    PURE = "pure"
    CALL = "call"
    RANDOM = "random"
    STATE = "state"
    PRINTS = "prints"
    READS_FILES = "reads files"
    NETWORK = "network"
    WRITES_FILES = "writes files"
    STOPS_THE_PROCESS = "stops the process"
    HOST_CODE = "host code"
    UNKNOWN = "unknown"


#: What stays inside the model: such ops run without a word.
FREE_EFFECTS = frozenset({Effect.PURE, Effect.CALL, Effect.RANDOM, Effect.STATE, Effect.PRINTS})

#: Attributes that name the first output's dtype, in the order in which they win; the first is ours, of TFLite's ops.
#: With the exceptions in ops.txt this is
#: right for every op that TensorFlow 2.21 registers.
_DTYPE_ATTRS = (
    "_output_types",
    "Toutput", "Tout", "out_type", "output_type", "output_types", "DstT", "Tcomplex", "dtype", "element_dtype",
    "dtypes", "component_types", "Toutputs", "Tresults", "T", "Tparams",
)  # fmt: skip
#: Ops whose ``shape`` attribute is the shape of their output.
SHAPED_OPS = frozenset({
    "Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "VariableV2", "Variable", "TemporaryVariable",
    "ImmutableConst", "ParallelConcat", "AccumulateNV2",
})  # fmt: skip
#: The last version of the graph's dialect in which a Placeholder with an empty shape is one of unknown rank.
_LAST_WITHOUT_UNKNOWN_RANK = 21
_FAMILY = re.compile(r"(?P<kind>[\w ]+), (?P<effect>[\w ]+):(?: (?P<reason>.*))?")


class Op(NamedTuple):
    """An op of TensorFlow.

    Attributes
    ----------
    kind : str
        ``"variable"``, ``"table"``, ``"dataset"``, …; ``"unknown"`` if TensorFlow does not register it.
    effect : Effect
        The worst that a node of it is able to do.
    reason : str
        Why its family has that effect, if the kind does not say it; may be empty.
    dtype : str
        Where the dtype of its first output is found if the rule does not give it: a dtype, ``@attr``,
        ``@attr=default`` or ``none``.
    """

    kind: str
    effect: Effect
    reason: str = ""
    dtype: str = ""


class OutputDtype(NamedTuple):
    """Where the dtype of an op's first output is found: the first of ``attrs`` that a node has, else ``default``."""

    attrs: tuple[str, ...]
    default: str


_UNREGISTERED = Op(
    "unknown", Effect.UNKNOWN, "TensorFlow does not have this op: it comes from an extension or another release"
)


def named(op: str) -> Op:
    """Return what is known of an op; one that TensorFlow does not register has the effect ``UNKNOWN``."""
    return _ops().get(op, _UNREGISTERED)


@cache
def registered() -> frozenset[str]:
    """Return the names of the ops that TensorFlow registers by itself."""
    return frozenset(_ops())


@cache
def of_kind(*kinds: str) -> frozenset[str]:
    """Return the ops of some kinds; raises KeyError for a kind that no op has."""
    unknown = set(kinds) - {op.kind for op in _ops().values()}
    if unknown:
        raise KeyError(*sorted(unknown))
    return frozenset(name for name, op in _ops().items() if op.kind in kinds)


@cache
def of_effect(*effects: Effect) -> frozenset[str]:
    """Return the ops whose worst effect is one of some effects."""
    return frozenset(name for name, op in _ops().items() if op.effect in effects)


@cache
def output_dtype(op: str) -> OutputDtype:
    """Say where the dtype of the op's first output is found; an op without outputs has the dtype ``""``."""
    rule = named(op).dtype
    if rule.startswith("@"):
        attr, _, default = rule[1:].partition("=")
        return OutputDtype((attr,), default)
    if rule:
        return OutputDtype((), "" if rule == "none" else rule)
    return OutputDtype(_DTYPE_ATTRS, "")


def scalar_is_unknown(producer: int) -> frozenset[str]:
    """Return the ops whose empty ``shape`` attribute means unknown rank: there once was no other way to say so.

    From the shape functions in tensorflow/core/ops/state_ops.cc and array_ops.cc.
    """
    return frozenset({"Variable"} | ({"Placeholder"} if producer <= _LAST_WITHOUT_UNKNOWN_RANK else set()))


@cache
def _ops() -> dict[str, Op]:
    """Read ops.txt."""
    ops: dict[str, Op] = {}
    family = _UNREGISTERED
    text = (pkgutil.get_data("tfmagic.graphs", "ops.txt") or b"").decode()
    for line in text.splitlines():
        if line.startswith(" "):
            for entry in line.split():
                name, _, dtype = entry.partition(":")
                ops[name] = family._replace(dtype=dtype)
        elif match := _FAMILY.fullmatch(line):
            family = Op(match["kind"], Effect(match["effect"]), match["reason"] or "")
    return ops
