from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic.files.keras import python_code
from tfmagic.findings import hazards
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.tensorflow

#: The functions that a file may name, by arguments that they take: names of :func:`values`, or Python's own literals.
CALLS = {
    ("x",): """
        abs acos acosh argmax argmin argsort as_string asin asinh atan atanh cos cosh exp floor identity
        keras.activations.elu keras.activations.exponential keras.activations.gelu
        keras.activations.hard_sigmoid keras.activations.linear keras.activations.relu keras.activations.selu
        keras.activations.sigmoid keras.activations.softmax keras.activations.softplus
        keras.activations.softsign keras.activations.swish keras.activations.tanh keras.backend.abs
        keras.backend.argmax keras.backend.argmin keras.backend.batch_flatten keras.backend.cos
        keras.backend.cumprod keras.backend.cumsum keras.backend.elu keras.backend.exp keras.backend.expand_dims
        keras.backend.flatten keras.backend.hard_sigmoid keras.backend.l2_normalize keras.backend.log
        keras.backend.max keras.backend.mean keras.backend.min keras.backend.ones_like keras.backend.prod
        keras.backend.relu keras.backend.round keras.backend.shape keras.backend.sigmoid keras.backend.sign
        keras.backend.sin keras.backend.softmax keras.backend.softplus keras.backend.softsign keras.backend.sqrt
        keras.backend.square keras.backend.std keras.backend.stop_gradient keras.backend.sum keras.backend.tanh
        keras.backend.transpose keras.backend.var keras.backend.zeros_like linalg.adjoint linalg.diag
        linalg.diag_part linalg.l2_normalize linalg.matrix_rank linalg.matrix_transpose linalg.norm
        linalg.normalize linalg.pinv linalg.qr linalg.svd math.abs math.acos math.acosh math.angle math.argmax
        math.argmin math.asin math.asinh math.atan math.atanh math.bessel_i0 math.bessel_i0e math.bessel_i1
        math.bessel_i1e math.ceil math.cos math.cosh math.count_nonzero math.cumprod math.cumsum
        math.cumulative_logsumexp math.digamma math.erf math.erfc math.erfcinv math.erfinv math.exp math.expm1
        math.floor math.imag math.is_finite math.is_inf math.is_nan math.is_non_decreasing
        math.is_strictly_increasing math.l2_normalize math.lbeta math.lgamma math.log math.log1p
        math.log_sigmoid math.log_softmax math.ndtri math.negative math.reciprocal math.reciprocal_no_nan
        math.reduce_euclidean_norm math.reduce_logsumexp math.reduce_max math.reduce_mean math.reduce_min
        math.reduce_prod math.reduce_std math.reduce_sum math.reduce_variance math.rint math.round math.rsqrt
        math.sigmoid math.sign math.sin math.sinh math.softmax math.softplus math.softsign math.sqrt math.square
        math.tan math.tanh math.top_k math.zero_fraction negative nn.crelu nn.elu nn.gelu nn.isotonic_regression
        nn.l2_loss nn.leaky_relu nn.log_softmax nn.relu nn.relu6 nn.selu nn.sigmoid nn.silu nn.softmax
        nn.softplus nn.softsign nn.swish nn.tanh nn.top_k nn.zero_fraction norm ones_like rank reduce_logsumexp
        reduce_max reduce_mean reduce_min reduce_prod reduce_sum round shape sigmoid sign signal.dct
        signal.fftshift signal.idct signal.ifftshift signal.rfft sin sinh size sort sparse.from_dense sqrt
        square squeeze stop_gradient strings.as_string tan tanh transpose unstack where zeros_like
    """,
    ("x", "x"): """
        __operators__.add __operators__.eq __operators__.ne add atan2 divide equal greater greater_equal
        keras.backend.binary_crossentropy keras.backend.categorical_crossentropy keras.backend.equal
        keras.backend.greater keras.backend.greater_equal keras.backend.less keras.backend.less_equal
        keras.backend.maximum keras.backend.minimum keras.backend.not_equal less less_equal math.add math.atan2
        math.divide math.divide_no_nan math.equal math.floordiv math.floormod math.greater math.greater_equal
        math.igamma math.igammac math.less math.less_equal math.maximum math.minimum math.mod math.multiply
        math.multiply_no_nan math.nextafter math.not_equal math.polygamma math.pow math.squared_difference
        math.subtract math.truediv math.xdivy math.xlog1py math.xlogy math.zeta maximum minimum multiply
        nn.log_poisson_loss nn.sigmoid_cross_entropy_with_logits nn.softmax_cross_entropy_with_logits not_equal
        pow realdiv searchsorted subtract truediv truncatediv truncatemod
    """,
    ("xs",): """
        add_n identity_n keras.backend.concatenate keras.backend.stack linalg.global_norm math.accumulate_n
        math.add_n shape_n stack
    """,
    ("xs", "0"): """
        concat
    """,
    ("x", "0"): """
        __operators__.getitem expand_dims
    """,
    ("1.0", "x"): """
        math.scalar_mul scalar_mul
    """,
    ("x", "[3, 2]"): """
        keras.backend.reshape reshape
    """,
    ("x", "[2, 3]"): """
        broadcast_to ensure_shape
    """,
    ("x", "[1, 2]"): """
        keras.backend.tile tile
    """,
    ("x", "[1, 0]"): """
        gather keras.backend.permute_dimensions reverse
    """,
    ("x", "[0]"): """
        keras.backend.gather keras.backend.reverse
    """,
    ("x", "[[0, 1], [1, 2]]"): """
        gather_nd pad
    """,
    ("x", "3"): """
        repeat
    """,
    ("x", "3", "1"): """
        keras.backend.repeat_elements roll split
    """,
    ("x", "[0, 0]", "[1, 2]"): """
        slice
    """,
    ("x", "[0, 0]", "[1, 2]", "[1, 1]"): """
        strided_slice
    """,
    ("x", "'int32'"): """
        bitcast cast keras.backend.cast saturate_cast
    """,
    ("x", "0.1", "0.9"): """
        clip_by_value keras.backend.clip
    """,
    ("x", "0.5"): """
        clip_by_norm nn.dropout
    """,
    ("x", "2.0"): """
        keras.backend.pow
    """,
    ("[x]", "0.5"): """
        clip_by_global_norm
    """,
    ("s", "s", "3"): """
        linspace
    """,
    ("3",): """
        eye keras.backend.arange keras.backend.eye range signal.hamming_window signal.hann_window
        signal.kaiser_window signal.vorbis_window
    """,
    ("[2, 3]",): """
        ones random.normal random.truncated_normal
        random.uniform zeros
    """,
    ("[2, 3]", "1.0"): """
        fill random.gamma random.poisson
    """,
    ("[2, 3]", "[1, 2]"): """
        random.stateless_normal random.stateless_truncated_normal random.stateless_uniform
    """,
    ("x", "2"): """
        keras.backend.repeat random.categorical
    """,
    ("3.0",): """
        constant
    """,
    ("m",): """
        linalg.cholesky linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.expm linalg.inv
        linalg.logdet linalg.lu linalg.slogdet linalg.sqrtm linalg.tensor_diag_part linalg.trace
    """,
    ("m", "m"): """
        keras.backend.batch_dot keras.backend.dot linalg.cholesky_solve linalg.lstsq linalg.matmul linalg.solve
        linalg.triangular_solve matmul
    """,
    ("m", "v"): """
        linalg.matvec linalg.set_diag
    """,
    ("m", "1", "1"): """
        linalg.band_part
    """,
    ("v",): """
        linalg.tensor_diag random.shuffle
    """,
    ("v", "v"): """
        linalg.cross meshgrid
    """,
    ("m", "m", "1"): """
        linalg.tensordot tensordot
    """,
    ("'ij,jk->ik'", "m", "m"): """
        einsum linalg.einsum
    """,
    ("c",): """
        math.conj math.real signal.fft signal.ifft signal.irfft
    """,
    ("cc",): """
        signal.fft2d signal.ifft2d signal.irfft2d
    """,
    ("x", "x", "x"): """
        math.betainc
    """,
    ("b", "x", "x"): """
        keras.backend.switch
    """,
    ("b",): """
        keras.backend.all keras.backend.any logical_not math.logical_not math.reduce_all math.reduce_any
        reduce_all reduce_any
    """,
    ("b", "b"): """
        logical_and logical_or math.logical_and math.logical_or math.logical_xor
    """,
    ("i",): """
        bitwise.invert math.bincount sequence_mask unique unique_with_counts
    """,
    ("i", "i"): """
        bitwise.bitwise_and bitwise.bitwise_or bitwise.bitwise_xor bitwise.left_shift bitwise.right_shift
        math.confusion_matrix
    """,
    ("i", "4"): """
        keras.backend.one_hot one_hot
    """,
    ("p",): """
        math.invert_permutation
    """,
    ("v", "p"): """
        math.segment_max math.segment_mean math.segment_min math.segment_prod math.segment_sum
    """,
    ("v", "p", "3"): """
        math.unsorted_segment_max math.unsorted_segment_mean math.unsorted_segment_min
        math.unsorted_segment_prod math.unsorted_segment_sqrt_n math.unsorted_segment_sum
    """,
    ("[[0], [2]]", "w", "[3]"): """
        scatter_nd
    """,
    ("v", "[[0], [2]]", "w"): """
        tensor_scatter_nd_add tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub
        tensor_scatter_nd_update
    """,
    ("v", "b3"): """
        boolean_mask
    """,
    ("image",): """
        image.flip_left_right image.flip_up_down image.hsv_to_rgb image.image_gradients
        image.per_image_standardization image.rgb_to_grayscale image.rgb_to_hsv image.rgb_to_yiq
        image.rgb_to_yuv image.rot90 image.sobel_edges image.total_variation image.transpose image.yiq_to_rgb
        image.yuv_to_rgb keras.backend.spatial_2d_padding
    """,
    ("gray",): """
        image.grayscale_to_rgb
    """,
    ("image", "[2, 2]"): """
        image.resize
    """,
    ("image", "0.1"): """
        image.adjust_brightness image.adjust_contrast image.adjust_gamma image.adjust_hue
        image.adjust_saturation
    """,
    ("image", "0.5"): """
        image.central_crop
    """,
    ("image", "3", "3"): """
        image.resize_with_crop_or_pad image.resize_with_pad
    """,
    ("image", "0", "0", "2", "2"): """
        image.crop_to_bounding_box
    """,
    ("image", "1", "1", "6", "6"): """
        image.pad_to_bounding_box
    """,
    ("image", "image", "1.0"): """
        image.psnr
    """,
    ("image", "'float32'"): """
        image.convert_image_dtype
    """,
    ("image", "2"): """
        nn.space_to_depth
    """,
    ("deep", "2"): """
        nn.depth_to_space
    """,
    ("image", "v"): """
        keras.backend.bias_add nn.bias_add
    """,
    ("image", "[0, 1, 2]"): """
        nn.moments
    """,
    ("image", "v", "v", "v", "v", "0.1"): """
        nn.batch_normalization
    """,
    ("image", "kernel", "1", "'SAME'"): """
        nn.conv2d nn.convolution
    """,
    ("image", "kernel", "[1, 1, 1, 1]", "'SAME'"): """
        nn.depthwise_conv2d
    """,
    ("image", "2", "2", "'SAME'"): """
        nn.avg_pool nn.avg_pool2d nn.max_pool nn.max_pool2d
    """,
    ("sequence", "2", "2", "'SAME'"): """
        nn.avg_pool1d nn.max_pool1d
    """,
    ("sequence", "kernel1", "1", "'SAME'"): """
        nn.conv1d
    """,
    ("text",): """
        io.decode_base64 io.encode_base64 strings.bytes_split strings.length strings.lower strings.reduce_join
        strings.split strings.strip strings.upper
    """,
    ("digits",): """
        strings.to_number
    """,
    ("texts",): """
        strings.join
    """,
    ("text", "3"): """
        strings.to_hash_bucket strings.to_hash_bucket_fast
    """,
    ("text", "0", "1"): """
        strings.substr
    """,
    ("text", "'a'"): """
        strings.regex_full_match
    """,
    ("text", "'a'", "'b'"): """
        strings.regex_replace
    """,
    ("text", "'float32'"): """
        io.decode_raw
    """,
    ("jpeg",): """
        image.decode_image image.decode_jpeg image.decode_png io.decode_bmp io.decode_gif io.decode_image
        io.decode_jpeg io.decode_png
    """,
    ("x", "-1.0", "1.0"): """
        quantization.fake_quant_with_min_max_vars
    """,
    ("x", "i2"): """
        nn.embedding_lookup
    """,
    ("image", "box", "[0]", "[2, 2]"): """
        image.crop_and_resize
    """,
    ("deep", "kernel8", "[2, 8, 8, 2]", "2"): """
        nn.conv2d_transpose
    """,
    ("wave", "8", "4"): """
        signal.frame signal.stft
    """,
    ("image", "kernel_d", "kernel_p", "[1, 1, 1, 1]", "'SAME'"): """
        nn.separable_conv2d
    """,
    ("volume", "kernel3", "[1, 1, 1, 1, 1]", "'SAME'"): """
        nn.conv3d
    """,
    ("image", "kernel"): """
        keras.backend.conv2d
    """,
    ("sequence", "kernel1"): """
        keras.backend.conv1d
    """,
    ("sparse",): """
        sparse.to_dense
    """,
    ("sequence",): """
        keras.backend.temporal_padding
    """,
    ("2",): """
        linalg.eye
    """,
}
NAMES = {name: arguments for arguments, names in CALLS.items() for name in names.split()}


def values(wanted: tuple[str, ...]) -> dict[str, Any]:
    """Make arguments in the graph that is the default now."""
    tf = runtime.tensorflow()

    def filled(*shape: int) -> Any:
        return tf.constant(np.linspace(0.1, 0.9, int(np.prod(shape))).reshape(shape), tf.float32)

    made: dict[str, Callable[[], Any]] = {
        "b": lambda: tf.constant([[True, False, True]]),
        "b3": lambda: tf.constant([True, False, True]),
        "box": lambda: filled(1, 4),
        "c": lambda: tf.complex(filled(4), filled(4)),
        "cc": lambda: tf.complex(filled(4, 4), filled(4, 4)),
        "deep": lambda: filled(2, 4, 4, 8),
        "digits": lambda: tf.constant(["1", "2"]),
        "gray": lambda: filled(2, 4, 4, 1),
        "i": lambda: tf.constant([1, 0, 2]),
        "i2": lambda: tf.constant([1, 0]),
        "image": lambda: filled(2, 4, 4, 3),
        "jpeg": lambda: tf.constant(b"x"),
        "kernel": lambda: filled(2, 2, 3, 2),
        "kernel1": lambda: filled(2, 3, 2),
        "kernel3": lambda: filled(2, 2, 2, 2, 2),
        "kernel8": lambda: filled(2, 2, 2, 8),
        "kernel_d": lambda: filled(2, 2, 3, 1),
        "kernel_p": lambda: filled(1, 1, 3, 2),
        "m": lambda: tf.eye(3),
        "p": lambda: tf.constant([0, 1, 2]),
        "s": filled,
        "sequence": lambda: filled(2, 5, 3),
        "sparse": lambda: tf.sparse.from_dense(filled(2, 3)),
        "text": lambda: tf.constant(["a b", "c"]),
        "texts": lambda: [tf.constant(["a"]), tf.constant(["b"])],
        "v": lambda: filled(3),
        "volume": lambda: filled(1, 3, 3, 3, 2),
        "w": lambda: filled(2),
        "wave": lambda: filled(1, 16),
        "x": lambda: filled(2, 3),
        "xs": lambda: [filled(2, 3), filled(2, 3)],
    }
    words = re.findall(r"\w+", " ".join(wanted))
    return {name: make() for name, make in made.items() if name in words}


def state() -> tuple[Any, ...]:
    """Return what a function could change of the process."""
    tf = runtime.tensorflow()
    settings, v1 = tf.keras.backend, tf.compat.v1
    return (
        tf.executing_eagerly(), v1.get_default_graph(), v1.get_seed(None), random.getstate(),
        str(np.random.get_state()),  # noqa: NPY002 - the generator that everybody shares
        settings.floatx(), settings.epsilon(), settings.image_data_format(), tf.config.functions_run_eagerly(),
        v1.control_flow_v2_enabled(), v1.resource_variables_enabled(), tf.keras.mixed_precision.dtype_policy().name,
        tf.get_logger().level,
    )  # fmt: skip


def called(name: str, arguments: tuple[str, ...]) -> Any:
    """Call a function in a graph of its own, and return that."""
    tf = runtime.tensorflow()
    function = tf
    for part in name.split("."):
        function = getattr(function, part)
    with tf.Graph().as_default() as graph:
        known = values(arguments)
        function(*(eval(text, {"__builtins__": {}}, known) for text in arguments))  # noqa: S307 - of the table above
    return graph


def test_each_is_called_once_below() -> None:
    assert set(NAMES) == python_code.computing_functions()


@pytest.mark.parametrize("arguments", CALLS, ids=", ".join)
def test_it_computes_and_does_nothing_else(arguments: tuple[str, ...]) -> None:
    """What it makes are ops with free effects, and the process is as it was."""
    for name in CALLS[arguments].split():
        before = state()
        acts = hazards.of_graph(called(name, arguments).as_graph_def())
        assert acts == (), name
        assert state() == before, name


@pytest.mark.parametrize("arguments", CALLS, ids=", ".join)
def test_the_one_of_tensorflow_1_does_not_do_more(arguments: tuple[str, ...]) -> None:
    """Its arguments may have another order or other names; where it takes these, it computes."""
    for name in CALLS[arguments].split():
        before = state()
        try:
            graph = called(f"compat.v1.{name}", arguments)
        except Exception:  # noqa: BLE001, S112 - not there, or with other arguments
            continue
        assert hazards.of_graph(graph.as_graph_def()) == (), name
        assert state() == before, name
