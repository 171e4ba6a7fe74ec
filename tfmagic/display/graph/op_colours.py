"""What kind of work an op or a layer does: few enough kinds to give each a colour.

What an op is stands in :mod:`tfmagic.graphs.ops`; here several of its kinds share a colour. Layers, and the ops of
TFLite, are told by their names. Not for: colours themselves, which are the style sheet's and
:mod:`tfmagic.display.graph.svg`'s.
"""

from __future__ import annotations

import itertools
import re
from functools import cache
from typing import TYPE_CHECKING

from tfmagic.graphs import ops

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The kinds, the most telling first: a box of several ops takes the first that at least one of its ops has.
KINDS = {
    "end": "input, output",
    "matrix": "convolution, matrix product",
    "recurrent": "recurrent, attention",
    "pool": "pooling, reduction",
    "activation": "activation",
    "norm": "normalisation",
    "call": "function, loop, branch",
    "lookup": "table, text, parsing",
    "math": "arithmetic",
    "shape": "shape, slice, join",
    "state": "constant, variable",
    "other": "other",
}
#: By colour, the kinds of ops that have it; what stands nowhere is "other".
_KINDS_OF_OPS = {
    "end": (
        *("placeholder", "default placeholder", "argument", "iterator", "iterator use"),
        *("queue", "queue use", "reader", "stage", "batch"),
    ),
    "matrix": ("matrix",),
    "recurrent": ("recurrent",),
    "pool": ("pool", "reduction", "segment", "loss", "image"),
    "activation": ("activation",),
    "norm": ("normalisation",),
    "call": ("call", "branch", "loop", "remote call", "control flow", "array", "dataset", "python", "host"),
    "lookup": (
        *("table", "mutable table", "table fill", "table use", "table write", "table export"),
        *("text", "parsing", "image file", "file"),
    ),
    "math": ("math", "comparison", "linear algebra", "spectrum", "audio", "random", "generator"),
    "shape": ("shape", "sparse", "ragged"),
    "state": (
        *("constant", "variable", "internal variable", "reference variable", "temporary variable", "session tensor"),
        *("variable read", "variable query", "variable write", "reference write", "save", "restore"),
    ),
}
_COLOURS = {kind: colour for colour, kinds in _KINDS_OF_OPS.items() for kind in kinds}
#: Ops that tell something else than their kind: what carries weights into a loop or only orders initialisers is no
#: control flow worth a colour, and a reciprocal root is what is left of a normalisation that was written out.
_OPS = {"Enter": "state", "RefEnter": "state", "NoOp": "state", "Rsqrt": "norm", "Cast": "shape", "Bitcast": "shape"}
#: Kinds of ops that do what others do in another way: they have the colour of the op that they are called after.
_VARIANTS = frozenset({"quantisation", "mkl", "xla"})
_PREFIX = re.compile(r"_?(?:Mkl|Native|Quantized|PadWith|Fused|Xla|Risc|StableHLO_|STABLEHLO_)|_")
_SUFFIX = re.compile(r"(?<=.)(?<!Pad)(?:With(?!out)|And|PerChannel).*")
#: By colour, what layers and the ops of TFLite are called, in small letters without underscores; tried in this order.
_NAMES = {
    "end": "inputlayer result",
    "recurrent": ".*(?:lstm|gru|rnn).* .*attention bidirectional svdf",
    "norm": ".*normalization",
    "matrix": "(?:depthwise|separable|transpose)?conv(?:olution)?(?:[123]d)?(?:transpose)? (?:einsum)?dense dot "
    "dotgeneral fullyconnected",
    "pool": ".*pool(?:ing)?[123]d reduce.*",
    "activation": "activation .*relu.* gelu logistic hardswish mish",
    "lookup": ".*embedding embeddinglookup.* .*vectorization .*lookup hashing hashtable.*",
    "math": "add subtract multiply divide average maximum minimum rescaling quantize random.*",
    "shape": "flatten permute repeatvector (?:zeropadding|cropping|upsampling)[123]d concatenat(?:e|ion) .*slice",
    "call": "lambda timedistributed callonce",
}
_PATTERNS = {colour: re.compile("|".join(names.split())) for colour, names in _NAMES.items()}


@cache
def kind_of(op: str) -> str:
    """Return the kind of an op or a layer, a key of :data:`KINDS`; what is not known is ``"other"``."""
    names = list(_plain_names(op))
    of_ops = filter(None, map(_of_op, names))
    of_layers = (
        colour for colour, pattern in _PATTERNS.items() if any(pattern.fullmatch(_letters(name)) for name in names)
    )
    return next(itertools.chain(of_ops, of_layers), "math" if ops.named(op).kind in _VARIANTS else "other")


def _of_op(name: str) -> str | None:
    """Return the colour of an op, None if it has none of its own, or is none of TensorFlow's."""
    op = name if name in ops.registered() else _ops_by_letters().get(_letters(name), "")
    return _OPS.get(op) or _COLOURS.get(ops.named(op).kind)


def _plain_names(op: str) -> Iterator[str]:
    """Yield the name, and what it is without what it says of the way in which the op works, bit by bit."""
    yield op
    while (prefix := _PREFIX.match(op)) is not None:
        op = op[prefix.end() :]
        yield op
        yield _SUFFIX.sub("", op)


def _letters(name: str) -> str:
    """Return a name as TensorFlow's and TFLite's ops and Keras' layers have it in common: ``conv2d``."""
    return name.replace("_", "").lower()


@cache
def _ops_by_letters() -> dict[str, str]:
    """TensorFlow's ops by their letters: TFLite calls ``FloorDiv`` ``FLOOR_DIV``."""
    return {_letters(op): op for op in ops.registered() if not op.startswith("_")}
