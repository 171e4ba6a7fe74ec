"""What each input of TFLite's operators is: the filter, the bias, the axis. The file numbers them and says no more.

From the arguments of ``tensorflow/compiler/mlir/lite/ir/tfl_ops.td`` and the kernels beside it. Not for: what an
operator is told by options (:mod:`tfmagic.files.tflite.options`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_GATES = ("input", "forget", "cell", "output")
_LSTM = " ".join([
    "input", *(f"input_to_{gate}_weights" for gate in _GATES), *(f"recurrent_to_{gate}_weights" for gate in _GATES),
    *(f"cell_to_{gate}_weights" for gate in _GATES if gate != "cell"), *(f"{gate}_gate_bias" for gate in _GATES),
    "projection_weights projection_bias output_state cell_state",
    *(f"{gate}_layer_norm_coefficients" for gate in _GATES),
])  # fmt: skip
_RNN = "input input_weights recurrent_weights bias hidden_state"
#: Roles by the operators that have them; further inputs have none.
_ROLES = {
    "CONV_2D CONV_3D DEPTHWISE_CONV_2D": "input filter bias",
    "TRANSPOSE_CONV CONV_3D_TRANSPOSE": "output_shape filter input bias",
    "FULLY_CONNECTED": "input weights bias",
    "LSTM UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
    "RNN UNIDIRECTIONAL_SEQUENCE_RNN": _RNN,
    "BIDIRECTIONAL_SEQUENCE_RNN": (
        "input fw_weights fw_recurrent_weights fw_bias fw_hidden_state bw_weights bw_recurrent_weights bw_bias "
        "bw_hidden_state aux_input fw_aux_weights bw_aux_weights"
    ),
    "SVDF": "input feature_weights time_weights bias state",
    "PRELU": "input alpha",
    "BATCH_MATMUL": "x y",
    "RESHAPE BROADCAST_TO": "input shape",
    "EXPAND_DIMS CUMSUM REVERSE_V2 ARG_MAX ARG_MIN": "input axis",
    "MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN REDUCE_ANY REDUCE_ALL": "input axis",
    "TRANSPOSE": "input perm",
    "PAD MIRROR_PAD": "input paddings",
    "PADV2": "input paddings constant_values",
    "DILATE": "input dilations padding_value",
    "SLICE": "input begin size",
    "STRIDED_SLICE": "input begin end strides",
    "SPLIT": "axis input",
    "SPLIT_V": "input size_splits axis",
    "TILE": "input multiples",
    "TOPK_V2": "input k",
    "GATHER GATHER_ND": "params indices",
    "SCATTER_ND": "indices updates shape",
    "SPARSE_TO_DENSE": "indices output_shape values default_value",
    "DYNAMIC_UPDATE_SLICE": "operand update start_indices",
    "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR": "input size",
    "SPACE_TO_BATCH_ND": "input block_shape paddings",
    "BATCH_TO_SPACE_ND": "input block_shape crops",
    "SELECT SELECT_V2": "condition x y",
    "ONE_HOT": "indices depth on_value off_value",
    "FILL": "dims value",
    "RANGE": "start limit delta",
    "REVERSE_SEQUENCE": "input seq_lengths",
    "MATRIX_SET_DIAG": "input diagonal",
    "SEGMENT_SUM": "data segment_ids",
    "UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM": (
        "data segment_ids num_segments"
    ),
    "EMBEDDING_LOOKUP": "ids values",
    "HASHTABLE_LOOKUP": "lookup keys values",
    "HASHTABLE_FIND": "table keys default_value",
    "HASHTABLE_IMPORT": "table keys values",
    "HASHTABLE_SIZE": "table",
    "ASSIGN_VARIABLE": "variable value",
    "READ_VARIABLE": "variable",
    "NON_MAX_SUPPRESSION_V4": "boxes scores max_output_size iou_threshold score_threshold",
    "NON_MAX_SUPPRESSION_V5": "boxes scores max_output_size iou_threshold score_threshold soft_nms_sigma",
    "RFFT2D": "input fft_length",
    "MULTINOMIAL": "logits num_samples",
    "RANDOM_UNIFORM RANDOM_STANDARD_NORMAL": "shape",
    "IF": "condition",
}
#: The roles of an operator's inputs, by its name.
BY_OPERATOR = {op: roles.split() for ops, roles in _ROLES.items() for op in ops.split()}


def role(op: str, place: int, omitted: Collection[int] = ()) -> str:
    """Return what an input of an operator is, ``""`` where that says nothing.

    Parameters
    ----------
    op : str
        TFLite's name.
    place : int
        Which of the inputs that are there.
    omitted : collection of int
        The places of those that are left out.
    """
    roles = [each for number, each in enumerate(BY_OPERATOR.get(op, ())) if number not in omitted]
    return roles[place] if place < len(roles) else ""
