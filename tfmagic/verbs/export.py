"""The verb export: from any model that can run to any format that has a writer.

The order is always the same: refuse what can be refused, obtain the functions, prepare, write aside, read back and
compare, and only then rename. Not for: how each of these is done (:mod:`tfmagic.verbs.conversion.job`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.files import write_checks
from tfmagic.graphs.signatures import tag_set
from tfmagic.models import quantisation
from tfmagic.models.writer import Placing
from tfmagic.verbs.conversion import destinations
from tfmagic.verbs.conversion import job as conversion_job
from tfmagic.verbs.conversion.job import Export, Job
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.undisturbed import undisturbed
from tfmagic.writers import writer_for

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from tfmagic.verbs.conversion.options import Ends, SignatureMap

#: What options are for that mean nothing in most formats, and what to do instead.
_MEANT: Mapping[str, tuple[str, str]] = {
    "text": ("SavedModels", "a graph is text in a file that ends in '.pbtxt'; leave text= out"),
    "optimize": ("frozen graphs and SavedModels", "leave it out"),
    "quantize": ("TFLite", "name a path that ends in '.tflite', or leave it out"),
    "samples": ("TFLite that is quantised", "name a path that ends in '.tflite', or leave it out"),
    "select_tf_ops": ("TFLite", "leave it out"),
}


@undisturbed
def export(  # noqa: PLR0913 - the contract's options
    source: object,
    destination: str | os.PathLike[str],
    *,
    format: str | None = None,
    tags: str | Collection[str] | None = None,
    signatures: SignatureMap | None = None,
    signature: str | None = None,
    method: str | None = None,
    inputs: Ends = None,
    outputs: Ends = None,
    bind: Mapping[str, Any] | None = None,
    ema: bool = False,
    optimize: bool = False,
    quantize: str | None = None,
    samples: object = None,
    select_tf_ops: bool = False,
    batch: int | None = None,
    keep: int | None = None,
    text: bool = False,
    overwrite: bool = False,
    verify: bool | None = None,
    trust: bool = False,
) -> Export:
    """Write a model in another format, or with other names.

    Parameters
    ----------
    source : object
        Whatever :func:`tfmagic.inspect` takes.
    destination : path-like
        Its suffix says the format, a path without one a SavedModel. At an address (``s3://bucket/served/1``) what was
        written and verified here is uploaded; only a single object is ever replaced there.
    format : str, optional
        The format, whatever the suffix (``tfmagic.forms()`` lists them).
    tags : str or collection of str, optional
        The tag-set of a SavedModel; that of the source if left out. If the source has several, and for every other
        format, the one meant.
    signatures : mapping, optional
        Signatures by key, each a mapping with any of ``inputs``, ``outputs`` (as below) and ``method``.
    signature : str, optional
        The one signature to write; all if left out. A live model's gets this key.
    method : str, optional
        ``"predict"``, ``"classify"``, ``"regress"`` or a URI.
    inputs, outputs : sequence or mapping of str to tensor, optional
        Other ends than the signature's: keys of it, or names of tensors in the graph. A mapping renames.
    bind : mapping of str to array-like, optional
        Values for inputs, which become constants: ``{"keep_prob": 1.0}``.
    ema : bool
        Whether weights get the values of their moving averages: of ``tf.train.ExponentialMovingAverage``, which lie
        beside them, or of a Keras optimizer with ``use_ema``.
    optimize : bool
        Of a frozen graph or a SavedModel: whether TensorFlow's optimizer folds constants and batch norms once and for
        all, so that the first call is quicker. A SavedModel is frozen for that.
    quantize : str, optional
        Of a TFLite file: ``"float16"`` and ``"dynamic"`` (8 bits) store weights in less, ``"int8"`` computes with them,
        too, between inputs and outputs that stay floats. How far off the result is, the notes say; nobody judges it.
    samples : array, dict of arrays, list, generator or tf.data.Dataset, optional
        Typical inputs, an example a row or an element: ``"int8"`` is made for them, and the result compared on them.
    select_tf_ops : bool
        Of a TFLite file: whether ops that TFLite lacks may be TensorFlow's own, for programs that link its Flex
        delegate.
    batch : int, optional
        A size for the first dimension of every input that leaves it open, which stays open otherwise. For formats
        that cannot do without: recurrent layers in TFLite.
    keep : int, optional
        Of a checkpoint: number it after the newest of its directory, and keep so many of those listed there.
    text : bool
        Of a SavedModel: whether its message is text, ``saved_model.pbtxt``, instead of binary.
    overwrite : bool
        Whether an existing destination is replaced, once the new one is complete.
    verify : bool, optional
        Whether the result is read back and run on the same inputs as the source.
        Left out, the notes say what cannot be checked; True makes that an error, False leaves the check out.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run.

    Returns
    -------
    Export
        Path, format, size, time and the comparison with the source.

    Raises
    ------
    UnsupportedConversionError
        If a source of this form cannot be written in that format.
    VerificationError
        If the result gives other numbers; it was not left at the destination.
    WriteError
        If the destination exists, or cannot be written.
    """
    place = write_checks.resolved(destination)
    writer = writer_for(place, format)
    if isinstance(writer, Placing):
        place = writer.place(place)
    if keep is not None:
        place = conversion_job.numbered(place, writer, keep)
    own_options = {
        "text": text, "optimize": optimize, "quantize": quantize, "samples": samples, "select_tf_ops": select_tf_ops,
    }  # fmt: skip
    for name, value in own_options.items():
        # What samples are has no truth, and no short text.
        if value is not None and value is not False and name not in writer.options:
            whose, advice = _MEANT[name]
            shown = "…" if name == "samples" else repr(value)
            raise errors.ConversionError(
                f"{name}={shown} is for {whose}, and {str(place)!r} asks for {writer.format!r}: {advice}"
            )
    if ema and not writer.takes_averages:
        raise errors.ConversionError(
            f"ema=True puts moving averages in the place of weights, and {writer.format!r}, which {str(place)!r} asks "
            "for, holds what the source has: leave it out"
        )
    quantisation.require(quantize, has_samples=samples is not None)
    own: dict[str, Any] = {
        "ema": ema, "optimize": optimize, "quantize": quantize, "samples": samples, "select_tf_ops": select_tf_ops,
    }  # fmt: skip
    wish = Wish(signature, method, inputs, outputs, signatures, batch, bind, **own)
    called = destinations.in_words(destination, place)
    job = Job(
        source, place, writer, wish, overwrite=overwrite, check=verify, trust=trust, keep=keep, text=text, called=called
    )
    # What has tag-sets gets these; for any other format they say which part of the source is meant.
    has_own_tags = writer.has_tag_sets
    return job.run(**{"result_tags" if has_own_tags else "source_tags": tag_set(tags)})[1].export()
