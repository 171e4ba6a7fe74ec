"""The source of a conversion: read, restricted to the MetaGraphDef that is meant, with the weights that are wanted.

Not for: which of its functions are converted (:mod:`tfmagic.verbs.conversion.options`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tfmagic import errors, readers
from tfmagic.graphs import signatures
from tfmagic.graphs.resources import VARIABLES
from tfmagic.models.model import Model, Part

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfmagic.models.writer import Writer
_NO_AVERAGES = (
    "ema=True (--ema) takes the moving averages of weights, and none are to be seen in {}, neither variables of "
    "tf.train.ExponentialMovingAverage nor those of an optimizer of Keras: leave it out"
)


def read_source(  # noqa: PLR0913 - what the user said of a source
    source: object,
    tags: Collection[str] | None,
    *,
    must_exist: bool,
    trust: bool = False,
    ema: bool = False,
    here: bool = True,
) -> Model:
    """Read the source, restricted to the MetaGraphDef that is meant.

    Parameters
    ----------
    source : object
        What the user gave.
    tags : collection of str, optional
        The tag-set that the user named.
    must_exist : bool
        Whether that is a tag-set of the source; else it may be one that the result is to have.
    trust : bool
        Whether the source may act outside itself.
    ema : bool
        Whether its weights are to be their moving averages.
    here : bool
        Whether it is to be on this machine; what lies at an address is fetched whole for that.

    Raises
    ------
    ConversionError
        If there are to be moving averages and are none.
    """
    model = _read_source(source, tags, must_exist=must_exist, trust=trust)
    model = model.here() if here else model
    return averaged(model) if ema else model


def averaged(model: Model) -> Model:
    """Return a model with the moving averages of its weights in their place.

    Raises
    ------
    ConversionError
        If there are none.
    """
    if model.ema:
        return model
    if model.averaging is None:
        raise errors.ConversionError(_NO_AVERAGES.format(repr(model.origin)))
    result = model.averaging()
    if result.averages_apart is not None:
        return result  # what an optimizer of Keras keeps
    # Recognition said what the form is able to do, and how its files looked.
    result = replace(result, reader=model.reader, marks=model.marks)
    frame = result.table("ops", all=True)
    variables = list(frame["name"][frame["op"].isin(VARIABLES) & (frame["function"] == "")])
    with_averages = result.averaged(variables)
    if not with_averages:
        raise errors.ConversionError(_NO_AVERAGES.format(repr(model.origin)))
    return result.with_notes(f"the moving averages of {errors.listed(with_averages)} are taken for their values")


def _read_source(source: object, tags: Collection[str] | None, *, must_exist: bool, trust: bool) -> Model:
    model = readers.read(source, tags=tags if must_exist else None, trust=trust)
    if not model.reader.has_tag_sets or must_exist:
        return model
    tag_sets = [found for found, _ in model.part(Part.SIGNATURES)]
    wanted = next((each for each in tag_sets if tags is not None and set(each) == set(tags)), None)
    if wanted is None and len(tag_sets) > 1:
        wanted = next((each for each in tag_sets if each == signatures.DEFAULT_TAGS), None)
        if wanted is None:
            shown = [",".join(each) for each in tag_sets]
            raise errors.UnknownNameError(",".join(tags or signatures.DEFAULT_TAGS), "tag-set", shown, model.form)
    return model if wanted is None else readers.read(source, tags=wanted, trust=trust)


def require_parts(model: Model, writer: Writer, writers: Collection[Writer]) -> None:
    """Refuse a source that lacks what a format is made from.

    Raises
    ------
    UnsupportedConversionError
        Naming the formats that are possible.
    """
    there = model.reader.written_parts(model.loaders)
    missing = writer.needs - there
    if missing:
        possible = [each.format for each in writers if each.needs <= there]
        reason = lacking(model, missing)
        raise errors.UnsupportedConversionError(model.form, writer.format, possible, reason)


def lacking(model: Model, missing: Collection[Part]) -> str:
    """Say what a source lacks for a format, and what to do instead."""
    if Part.KERAS in missing and Part.FUNCTION in model.loaders:
        return "it has no layers of Keras, and nothing makes layers of a graph: give the Keras model that it came from"
    way = f". {model.advice}" if model.advice else _way_round(model)
    if model.has_own_ops and Part.GRAPH in missing:
        return f"its graph is of ops of its own, which TensorFlow does not have{way}"
    return f"it has no {errors.listed(sorted(part.value for part in missing))}{way}"


def _way_round(model: Model) -> str:
    """Say what to do instead with a source of which nothing can be made by itself."""
    known = next((note for note in model.notes if note.startswith("its graph is")), model.reader.instead)
    return f"; {known}" if known else ""
