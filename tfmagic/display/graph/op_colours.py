"""What kind of work an op does: few enough kinds to give each a colour.

Not for: dtypes and shapes (:mod:`tfmagic.graphs.ops`), colours themselves.
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
#: By kind, what its ops and layers are called, as regular expressions; tried in this order.
_NAMES = {
    "end": r"""
        InputLayer Argument Result Placeholder.* _Arg _Retval Iterator.*
    """,
    "state": r"""
        Const Variable.* VarHandleOp ReadVariableOp Assign.* NoOp .*Save.* .*Restore.* Enter RefEnter
        VarIsInitializedOp IsVariableInitialized ResourceGather.* Resource.*
    """,
    "call": r"""
        .*PartitionedCall .*While .*If .*Case Switch Merge Exit NextIteration LoopCond RefSwitch RefMerge
        PyFunc EagerPyFunc TensorList.* TensorArray.* .*Dataset.* Assert SymbolicGradient XlaLaunch
    """,
    "norm": r"""
        FusedBatchNorm.* BatchNorm.* LRN L2Norm.* Rsqrt .*Normaliz.* Moments
    """,
    "matrix": r"""
        Dense .*Conv[123]D.* Conv.* Depthwise.* .*MatMul.* Einsum Dot.* .*Dilation2D.*
    """,
    "recurrent": r"""
        Bidirectional .*LSTM.* .*GRU.* .*RNN.* BlockLSTM.* .*Attention.*
    """,
    "pool": r"""
        .*Pool.* Sum Mean Max Min Prod All Any ArgM.* TopK.* ResizeBilinear Resize.* Segment.*
        UnsortedSegment.* NonMaxSuppression.* CropAndResize .*Softmax.*Entropy.* EuclideanNorm Cumsum Cumprod
    """,
    "activation": r"""
        .*Re[lL][uU]\d? Relu.* Activation Elu Selu Sigmoid Tanh Softmax LogSoftmax Softplus Softsign Swish.*
        Gelu.* Erf.* .*Relu.*Grad SigmoidGrad TanhGrad
    """,
    "lookup": r"""
        Embedding TextVectorization IntegerLookup .*HashTable.* Lookup.* String.* .*Parse.* Decode.* Encode.*
        Regex.* AsString .*Vocab.* ReduceJoin Unique.* InitializeTable.* StaticRegex.*
    """,
    "shape": r"""
        Flatten ZeroPadding.* Cropping.* UpSampling.* Permute RepeatVector Shape.* Reshape Pack Unpack
        Concat.* Split.* .*Slice.* Squeeze ExpandDims Transpose Tile Pad.* MirrorPad.* Gather.* Scatter.* Cast
        Range Fill ZerosLike OnesLike Rank Size Broadcast.* Where Reverse.* OneHot Select.* .*ToBatch.*
        .*ToSpace.* SparseReshape Bitcast Dynamic.* Invert.* Bucketize Sparse.* ConjugateTranspose Snapshot
    """,
    "math": r"""
        Subtract Multiply Average Rescaling Add.* Sub Mul .*Div.* Pow Square.* Sqrt Exp.* Log.* Neg Abs
        Maximum Minimum BiasAdd.* Floor.* Ceil Round Greater.* Less.* Equal NotEqual Reciprocal Sign Sin Cos
        .*Random.* .*Quantiz.* Clip.* MulNoNan .*Mod Is.* Inv.* Cross Atan2 Real Imag .*FFT.* Multinomial
    """,
}
_COMPILED = tuple((kind, re.compile("|".join(names.split()))) for kind, names in _NAMES.items())


@cache
def kind_of(op: str) -> str:
    """Return the kind of an op, a key of :data:`KINDS`; an op that is not known is ``"other"``."""
    op = op.lstrip("_")
    return next((kind for kind, pattern in _COMPILED if pattern.fullmatch(op)), "other")
