"""TensorFlow's converter to TFLite: what it is told, and what its pages of errors mean.

Not for: the file's names and order (:mod:`tfmagic.files.tflite.renaming`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.graphs.function_library import all_nodes
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource

#: Every model that TFLite takes can be written in these.
_OTHERS = ("saved_model", "graph_def", "graph_text")
#: What the converter says of ops that TFLite lacks: with TensorFlow's kernels it could, or not even so.
_LACKING = re.compile(r"(TF Select|Custom) ops: ([\w, ]+)")
_SELECTED = "TF Select"
#: What it says where it was to run such ops to see what values they reach.
_NOT_HERE = re.compile(r"Select TensorFlow op|Regular TensorFlow ops are not supported")
_HALVES = re.compile(r"x(?:b?f16)>")
#: Ops of what a loop collects.
_COLLECTED = re.compile(r"TensorList\w*|TensorArray\w*")
_LISTS = re.compile(r"TensorList\w*")
#: What it proposes where it cannot put those lists into tensors of fixed size.
_PROPOSED = "disabling `_experimental_lower_tensor_list_ops`"


class Wanted(NamedTuple):
    """What a file is to be.

    Attributes
    ----------
    quantize : str
        ``"float16"``, ``"dynamic"``, ``"int8"``, or empty.
    samples : mapping of str to sequence of dict
        Values for the inputs by their keys in what is converted, by the signatures' keys.
    select_tf_ops : bool
        Whether ops that TFLite lacks may be TensorFlow's own.
    """

    quantize: str = ""
    samples: Mapping[str, Sequence[Mapping[str, npt.NDArray[Any]]]] = {}
    select_tf_ops: bool = False


def converted(source: Model, saved: Path, keys: Sequence[str], wanted: Wanted) -> bytes:
    """Return the file that TensorFlow's converter makes of signatures of a SavedModel.

    Raises
    ------
    UnsupportedConversionError
        If TFLite lacks an op, or cannot do it for a batch of any size.
    ConversionError
        If the converter gives up otherwise; its error is the cause.
    """
    tf = runtime.tensorflow()
    try:
        with runtime.eager(), warnings.catch_warnings():
            # TensorFlow announces that the interpreter will go by which it quantises.
            warnings.simplefilter("ignore", UserWarning)
            converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=list(keys))
            _tell(converter, wanted)
            return bytes(converter.convert())
    except Exception as error:
        raise _refusal(source, error, wanted) from error


def _tell(converter: runtime.Live, wanted: Wanted) -> None:
    tf = runtime.tensorflow()
    if wanted.select_tf_ops:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    if wanted.quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if wanted.quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if wanted.quantize == "int8":
        converter.representative_dataset = lambda: _examples(wanted)


def _examples(wanted: Wanted) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, samples in wanted.samples.items():
        for sample in samples:
            yield key, dict(sample)


def code(source: CodeSource) -> list[str]:
    """Return the code that tells ``converter`` what the options say."""
    options = source.options
    lines: list[str] = []
    quantize, samples = options.get("quantize"), options.get("samples")
    if options.get("select_tf_ops"):
        sets = "[tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]"
        lines.append(f"converter.target_spec.supported_ops = {sets}")
    if quantize:
        lines.append("converter.optimizations = [tf.lite.Optimize.DEFAULT]")
    if quantize == "float16":
        lines.append("converter.target_spec.supported_types = [tf.float16]")
    if quantize == "int8":
        # What is an expression is shown as it was written.
        shown = (samples if samples.isidentifier() else f"({samples})") if isinstance(samples, str) else "samples"
        lines += [
            "",
            "",
            *_examples_code(source, shown, samples),
            "",
            "",
            "converter.representative_dataset = examples",
        ]
    return lines


def _examples_code(source: CodeSource, shown: str, samples: object) -> list[str]:
    """Return the code of a generator of examples, each a list in the order of the inputs."""
    ends = source.function.inputs
    row = "[number : number + 1]"
    if isinstance(samples, Mapping) or len(ends) > 1:
        values = ", ".join(f"{shown}[{end.key!r}]{row}.astype({end.dtype!r})" for end in ends)
        count = f"len({shown}[{ends[0].key!r}])"
    elif hasattr(samples, "__array__") or isinstance(samples, str):
        values, count = f"{shown}{row}.astype({ends[0].dtype!r})", f"len({shown})"
    else:
        return ["def examples():", f"    for sample in {shown}:", "        yield [sample]"]
    return ["def examples():", f"    for number in range({count}):", f"        yield [{values}]"]


def _refusal(source: Model, error: Exception, wanted: Wanted) -> errors.ConversionError:
    """Word what the converter says in pages."""
    text = str(error)
    lacking = [(kind, name.strip()) for kind, names in _LACKING.findall(text) for name in names.split(",")]
    if lacking and _HALVES.search(text):
        return errors.UnsupportedConversionError(
            source.form,
            "tflite",
            _OTHERS,
            f"it computes in half precision, for which TFLite has no op ({errors.listed(_names(lacking))}): build the "
            "model with the dtype policy 'float32' (keras.config.set_dtype_policy) and load the same weights",
        )
    if lacking:
        helps = all(kind == _SELECTED for kind, _ in lacking)
        options = {"select_tf_ops": True} if helps else None
        return errors.UnsupportedConversionError(source.form, "tflite", _OTHERS, _advice(lacking), options)
    if wanted.quantize == "int8" and _NOT_HERE.search(text):
        return errors.ConversionError(
            "to measure the values between the ops the model is run on the samples, and the interpreter here has none "
            "of TensorFlow's own kernels: leave quantize='int8' or select_tf_ops=True (--select-tf-ops) out"
        )
    if _LISTS.search(text):
        return of_known_batch(source)
    if _PROPOSED in text and not wanted.select_tf_ops:
        reason = (
            "TFLite has no lists of tensors that grow as a loop runs, such as a TensorArray of dynamic_size: "
            "select_tf_ops=True (--select-tf-ops) takes TensorFlow's own kernels along for that, for programs that "
            "link TFLite's Flex delegate; or choose other outputs"
        )
        return errors.UnsupportedConversionError(source.form, "tflite", _OTHERS, reason, {"select_tf_ops": True})
    return errors.ConversionError(
        f"TensorFlow's converter to TFLite gave up: {error_texts.gist(error)}; choose other outputs, or another format"
    )


def _advice(lacking: Sequence[tuple[str, str]]) -> str:
    """Say what can be done about ops that TFLite lacks: TensorFlow's own kernels help for some."""
    inside = "choosing inputs behind it or outputs before it, with inputs={…} and outputs={…} (--input, --output)"
    nowhere = _names([each for each in lacking if each[0] != _SELECTED])
    if nowhere:
        return (
            f"TFLite has no op for {errors.listed(nowhere)}, and none of TensorFlow's own kernels that it takes along "
            f"(SELECT_TF_OPS) either; leave that part out by {inside}"
        )
    return (
        f"TFLite has no op for {errors.listed(_names(lacking))}, and needs TensorFlow's own kernels (SELECT_TF_OPS) "
        "for that: select_tf_ops=True (--select-tf-ops) takes them along, for programs that link TFLite's Flex "
        f"delegate; or leave that part out by {inside}"
    )


def _names(lacking: Sequence[tuple[str, str]]) -> list[str]:
    return sorted({name for _, name in lacking})


def require_measurable(source: Model, graph_defs: Iterable[runtime.Live]) -> None:
    """Refuse loops that collect their steps: TensorFlow's run of them, to see what values they reach, ends the process.

    Raises
    ------
    UnsupportedConversionError
        If there is one.
    """
    lists = [node.name for each in graph_defs for node in all_nodes(each) if _COLLECTED.match(node.op)]
    if lists:
        raise errors.UnsupportedConversionError(
            source.form,
            "tflite",
            _OTHERS,
            "to quantise with 'int8' TensorFlow runs the model on the samples, and crashes on a loop that collects its "
            f"steps, such as an LSTM's, a GRU's or map_fn's ({lists[0]!r}): quantize='dynamic' or 'float16' "
            "(--quantize) can do it, and so can a layer with unroll=True",
        )


def of_known_batch(source: Model) -> errors.UnsupportedConversionError:
    """Word that a loop needs a batch of known size."""
    return errors.UnsupportedConversionError(
        source.form,
        "tflite",
        _OTHERS,
        "TFLite runs a loop over steps, such as an LSTM's or a GRU's, for a batch of known size only; fix it with "
        "batch=1 (--batch 1)",
        {"batch": 1},
    )
