"""Ways to quantise, and what each asks for: told before anything is read.

Not for: the samples themselves (:mod:`tfmagic.verbs.conversion.samples`), or quantising (``writers/``).
"""

from __future__ import annotations

from tfmagic import errors

#: Ways in which a format may hold smaller numbers than its source.
QUANTISED = ("float16", "dynamic", "int8")
#: The way that asks for samples.
_MEASURED = "int8"


def problem(quantize: str | None, *, has_samples: bool) -> str:
    """Say what is wrong with what is asked for, nothing if nothing is."""
    if quantize is None:
        return (
            "samples=… (--samples) say what a quantised result is made for and compared on: name a way to quantise, "
            f"quantize= (--quantize) one of {errors.listed(QUANTISED)}, or leave them out"
            if has_samples
            else ""
        )
    if quantize not in QUANTISED:
        return str(errors.UnknownNameError(quantize, "way to quantise", QUANTISED))
    if quantize == _MEASURED and not has_samples:
        return (
            "quantize='int8' measures which values the model reaches, and needs typical inputs for that: samples=ARRAY "
            "(--samples EXPR), a hundred examples or more, as an array, a dict of arrays, a list, a generator or a "
            "tf.data.Dataset; quantize='dynamic' needs none"
        )
    return ""


def require(quantize: str | None, *, has_samples: bool) -> None:
    """Refuse what is asked for.

    Raises
    ------
    UnknownNameError
        If there is no such way.
    ConversionError
        If samples are missing, or there is nothing to use them for.
    """
    if quantize is not None and quantize not in QUANTISED:
        raise errors.UnknownNameError(quantize, "way to quantise", QUANTISED)
    said = problem(quantize, has_samples=has_samples)
    if said:
        raise errors.ConversionError(said)
