"""What kind of work an op does: few enough kinds to give each a colour.

Not for: dtypes and shapes (:mod:`tfmagic.opdefs`), colours themselves.
"""

from __future__ import annotations

import re
from functools import cache

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
#: By kind, what its ops are called; tried in this order.
_PATTERNS = {
    "end": r"Argument|Result|Placeholder.*|_Arg|_Retval|Iterator.*",
    "state": r"Const|Variable.*|VarHandleOp|ReadVariableOp|Assign.*|NoOp|.*Save.*|.*Restore.*|"
    r"Enter|RefEnter|VarIsInitializedOp|IsVariableInitialized|ResourceGather.*|Resource.*",
    "call": r".*PartitionedCall|.*While|.*If|.*Case|Switch|Merge|Exit|NextIteration|LoopCond|RefSwitch|RefMerge|PyFunc|"
    r"EagerPyFunc|TensorList.*|TensorArray.*|.*Dataset.*|Assert|SymbolicGradient|XlaLaunch",
    "norm": r"FusedBatchNorm.*|BatchNorm.*|LRN|L2Norm.*|Rsqrt|.*Normaliz.*|Moments",
    "matrix": r".*Conv[123]D.*|Conv.*|Depthwise.*|.*MatMul.*|Einsum|Dot.*|.*Dilation2D.*",
    "recurrent": r".*LSTM.*|.*GRU.*|.*RNN.*|BlockLSTM.*|.*Attention.*",
    "pool": r".*Pool.*|Sum|Mean|Max|Min|Prod|All|Any|ArgM.*|TopK.*|ResizeBilinear|Resize.*|Segment.*|UnsortedSegment.*|"
    r"NonMaxSuppression.*|CropAndResize|.*Softmax.*Entropy.*|EuclideanNorm|Cumsum|Cumprod",
    "activation": r"Relu.*|LeakyRelu|Elu|Selu|Sigmoid|Tanh|Softmax|LogSoftmax|Softplus|Softsign|Swish.*|Gelu.*|"
    r"Erf.*|.*Relu.*Grad|SigmoidGrad|TanhGrad",
    "lookup": r".*HashTable.*|Lookup.*|String.*|.*Parse.*|Decode.*|Encode.*|Regex.*|AsString|"
    r".*Vocab.*|ReduceJoin|Unique.*|InitializeTable.*|StaticRegex.*",
    "shape": r"Shape.*|Reshape|Pack|Unpack|Concat.*|Split.*|.*Slice.*|Squeeze|ExpandDims|Transpose|Tile|Pad.*|"
    r"MirrorPad.*|Gather.*|Scatter.*|Cast|Range|Fill|ZerosLike|OnesLike|Rank|Size|Broadcast.*|Where|Reverse.*|OneHot|Select.*|"
    r".*ToBatch.*|.*ToSpace.*|SparseReshape|Bitcast|Dynamic.*|Invert.*|Bucketize|Sparse.*|ConjugateTranspose|Snapshot",
    "math": r"Add.*|Sub|Mul|.*Div.*|Pow|Square.*|Sqrt|Exp.*|Log.*|Neg|Abs|Maximum|Minimum|BiasAdd.*|Floor.*|Ceil|Round|"
    r"Greater.*|Less.*|Equal|NotEqual|Reciprocal|Sign|Sin|Cos|.*Random.*|.*Quantiz.*|Clip.*|MulNoNan|.*Mod|Is.*|Inv.*|"
    r"Cross|Atan2|Real|Imag|.*FFT.*|Multinomial",
}
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS.items())


@cache
def kind_of(op: str) -> str:
    """Return the kind of an op, a key of :data:`KINDS`; an op that is not known is ``"other"``."""
    op = op.lstrip("_")
    return next((kind for kind, pattern in _COMPILED if pattern.fullmatch(op)), "other")
