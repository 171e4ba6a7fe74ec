"""What a conversion would do, told before anything is written: what stands in its way, what it keeps and loses.

A plan reads what the model has at hand, looks at the destination, and runs nothing. What it does not say may still keep
the conversion from its end: that TFLite lacks an op, say, only its converter knows. Not for: widgets, nor converting.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.graphs import signatures
from tfmagic.graphs.signatures import tag_set
from tfmagic.models import quantisation
from tfmagic.models.model import Part
from tfmagic.models.writer import Signatures, Variables
from tfmagic.verbs.conversion import destinations, plan_effects, plan_names, remedies
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion.remedies import Remedy
from tfmagic.writers import WRITERS, writer_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model
    from tfmagic.models.writer import Size, Writer
    from tfmagic.verbs.conversion.plan_effects import Facts
    from tfmagic.verbs.conversion.plan_names import Ends, Names
    from tfmagic.verbs.conversion.request import Request


#: Codes of cautions that may keep a conversion from its end.
_IN_THE_WAY = frozenset({"missing-weights", "uninitialised"})


class Problem(NamedTuple):
    """What keeps a conversion from being done: the field of the request that it is about, one line, what would help."""

    field: str
    text: str
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a conversion would do.

    Attributes
    ----------
    problems : tuple of Problem
        None: it can be tried.
    kept, lost, cautions : tuple of str
        One line each.
    size : Size or None
        The predicted size, where it can be told.
    place : Path or None
        Where it would be written.
    """

    problems: tuple[Problem, ...] = ()
    kept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    size: Size | None = None
    place: Path | None = None


def formats(model: Model) -> dict[str, str]:
    """Return all formats, and for each why this model cannot be written in it: empty where it can be tried."""
    return {writer.format: _why_not(model, writer) for writer in WRITERS}


def can_be_served(model: Model) -> bool:
    """Say whether a model can be written as what servers load: they choose a part of it by its tags."""
    return any(writer.has_tag_sets and not _why_not(model, writer) for writer in WRITERS)


def labels() -> dict[str, str]:
    """Return what a person calls each format."""
    return {writer.format: writer.label or writer.format for writer in WRITERS}


def options_of(format: str, model: Model) -> frozenset[str]:
    """Return the options that mean something in a format, for a model."""
    writer = writer_named(format)
    more = {"tags"} if _chooses_part(writer) and len(plan_effects.tag_sets(model)) > 1 else set()
    has_averages = any(caution.code == "moving-averages" for caution in model.cautions)
    return writer.options | more | ({"ema"} if writer.takes_averages and has_averages else set())


def _chooses_part(writer: Writer) -> bool:
    """Say whether tags choose the part of the source that is written."""
    return not writer.has_tag_sets and (Part.GRAPH in writer.needs or writer.takes_unsigned)


def able_formats(model: Model) -> list[str]:
    """Return the formats that a model can be written in by what both are able to do, whatever is installed here."""
    return [writer.format for writer in WRITERS if not _why_unable(model, writer)]


def _why_not(model: Model, writer: Writer) -> str:
    reason = _why_unable(model, writer)
    if reason or writer.library is None or importlib.util.find_spec(writer.library.module) is not None:
        return reason
    return f"{writer.library.module!r} is not installed; run: {writer.library.line}"


def _why_unable(model: Model, writer: Writer) -> str:
    missing = sorted(part.value for part in writer.needs - model.reader.written_parts(model.loaders))
    if Part.KERAS.value in missing:
        return f"this {model.form} has no layers of Keras"
    if missing and model.has_own_ops:
        return f"the graph of this {model.form} is of ops that TensorFlow does not have"
    if missing:
        return f"this {model.form} has no {errors.listed(missing)}"
    if conversion_options.is_unsigned(model) and writer.signatures is not Signatures.NONE and not writer.takes_unsigned:
        return "nobody signed this SavedModel: freeze it between tensors of its graph"
    return writer.why_not(model)


# The plan


def plan(model: Model, request: Request, names: Names) -> Plan:
    """Tell what a conversion would do.

    Parameters
    ----------
    model : Model
        The source.
    request : Request
        What is asked for. Options that mean nothing in the format are a problem only once it is converted.
    names : Names
        What may be named.
    """
    writer = writer_named(request.format)
    reason = _why_not(model, writer)
    if reason:
        return Plan(
            (Problem("format", f"{writer.format!r} is not possible: {reason}"),),
            place=destinations.place(request.destination, writer),
        )
    names = _names_of(model, request, names)
    facts = plan_effects.facts_of(
        model,
        writer,
        _without_bound(names.signed, request),
        signature=request.signature,
        batch=request.batch,
        tags=tag_set(request.tags) or (),
        optimize=request.optimize,
    )
    facts = replace(facts, quantize=request.quantize)
    chosen = facts.chosen
    size = plan_effects.size(facts)
    checks: tuple[Callable[[], Iterator[Problem]], ...] = (
        lambda: _place_problems(model, request, writer, size),
        lambda: _tag_problems(model, request, writer),
        lambda: _signature_problems(model, request, writer, names),
        lambda: _name_problems(request, names, chosen),
        lambda: _bind_problems(request, names, chosen),
        lambda: _number_problems(request, facts),
        lambda: _quantisation_problems(request),
        lambda: _key_problems(request, facts),
        lambda: _average_problems(request, facts),
        lambda: _method_problems(request),
    )
    return Plan(
        tuple(problem for check in checks for problem in check()),
        tuple(plan_effects.kept(facts)),
        tuple(plan_effects.lost(facts)),
        tuple(_cautions(request, facts)),
        size,
        destinations.place(request.destination, writer),
    )


def _names_of(model: Model, request: Request, names: Names) -> Names:
    """Return the names of the tag-set that is meant, where there are several."""
    if not request.tags.strip() or len(plan_effects.tag_sets(model)) < 2:  # noqa: PLR2004 - several
        return names
    return replace(names, signed=plan_names.signed(model, tag_set(request.tags)))


def _tag_problems(model: Model, request: Request, writer: Writer) -> Iterator[Problem]:
    known = plan_effects.tag_sets(model)
    if _chooses_part(writer) and request.tags.strip():
        tags = set(tag_set(request.tags) or ())
        if tags not in [set(each) for each in known]:
            shown = [",".join(each) for each in known]
            yield Problem("tags", str(errors.UnknownNameError(request.tags, "tag-set", shown, model.form)))


def ends_of(model: Model, request: Request, names: Names) -> Ends | None:
    """Return the inputs and outputs that a person may choose among; None where several signatures are written."""
    known = _names_of(model, request, names)
    chosen = plan_effects.chosen_keys(known.signed, request.signature, writer_named(request.format))
    return known.signed[chosen[0]] if len(chosen) == 1 and chosen[0] in known.signed else None


def _place_problems(model: Model, request: Request, writer: Writer, size: Size | None) -> Iterator[Problem]:
    known = 0 if size is None or size.at_most else size.bytes
    problem = destinations.problem(
        request.destination, writer, known, overwrite=request.overwrite, numbered=request.keep is not None
    )
    if problem:
        offered = remedies.of_place(model, request, writer)
        yield Problem("destination", problem, tuple(each for each in offered if _is_possible(model, each)))


def _is_possible(model: Model, remedy: Remedy) -> bool:
    """Say whether a model can be written in the format that would help, if one would."""
    format = remedy.changes.get("format")
    return format is None or not _why_not(model, writer_named(format))


def _signature_problems(model: Model, request: Request, writer: Writer, names: Names) -> Iterator[Problem]:
    if writer.signatures is Signatures.NONE:
        return
    if conversion_options.is_unsigned(model):
        if not (request.inputs and request.outputs):
            yield Problem("outputs", "nobody signed this SavedModel: name inputs and outputs, tensors of its graph")
        return
    if model.reader.is_open and not names.signed and not request.outputs:
        yield Problem("outputs", "no output is to be seen in the graph: name one, a tensor of it")
    try:
        conversion_options.keys_of(model, request.signature or None, every=writer.signatures is Signatures.MANY)
    except errors.UnknownNameError as error:
        several = not request.signature and writer.signatures is Signatures.ONE
        advice = f"a {writer.format} file holds one signature: name one of {errors.listed(error.available)}"
        known = error.available if several else error.near
        yield Problem("signature", advice if several else str(error), remedies.of_names("signature", known))
    except errors.TfMagicError as error:
        yield Problem("signature", str(error))


def _name_problems(request: Request, names: Names, chosen: tuple[str, ...]) -> Iterator[Problem]:
    for side in ("inputs", "outputs"):
        try:
            tensors = plan_names.parsed(getattr(request, side)) or {}
        except errors.ConversionError as error:
            yield Problem(side, str(error))
            continue
        if tensors and len(chosen) > 1:
            text = f"{side} are those of one signature: name one of {errors.listed(chosen)}"
            yield Problem("signature", text, remedies.of_names("signature", chosen))
        for key, name in tensors.items():
            unknown = names.unknown(side, next(iter(chosen), ""), name)
            if unknown is not None:
                yield Problem(side, str(unknown), remedies.of_tensors(side, tensors, key, unknown.near))


def _bind_problems(request: Request, names: Names, chosen: tuple[str, ...]) -> Iterator[Problem]:
    try:
        values = plan_names.constants(request.bind) or {}
    except errors.ConversionError as error:
        yield Problem("bind", str(error))
        return
    problems = (names.unknown("inputs", next(iter(chosen), ""), name) for name in values)
    yield from (Problem("bind", str(problem)) for problem in problems if problem is not None)


def _without_bound(signed: Mapping[str, Ends], request: Request) -> dict[str, Ends]:
    """Return the signatures without the inputs that become constants."""
    try:
        values = plan_names.constants(request.bind) or {}
    except errors.ConversionError:
        return dict(signed)  # told as a problem
    result = {}
    for key, ends in signed.items():
        bound = [signatures.find(ends.inputs, name) for name in values]
        result[key] = ends._replace(inputs=tuple(end for end in ends.inputs if end not in bound))
    return result


def _number_problems(request: Request, facts: Facts) -> Iterator[Problem]:
    if request.keep is not None and request.keep < 1:
        yield Problem("keep", f"at least 1 checkpoint is kept, not {request.keep}")
    if request.batch is None:
        return
    if request.batch < 1:
        yield Problem("batch", f"a batch has at least one element, not {request.batch}")
    closed = [ends for ends in facts.ends if not any(map(plan_effects.has_open_batch, ends.inputs))]
    if closed and not request.inputs:
        text = "no input leaves its batch open, so that fixing it changes nothing; leave it out"
        yield Problem("batch", text, (Remedy("Leave the batch as it is", {"batch": None}),))


def _quantisation_problems(request: Request) -> Iterator[Problem]:
    problem = quantisation.problem(request.quantize or None, has_samples=bool(request.samples))
    if problem:
        yield Problem("samples" if request.quantize in quantisation.QUANTISED else "quantize", problem)


def _keys(request: Request, facts: Facts) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Yield the keys of inputs and outputs that each signature is to have, with their tensors."""
    stated = [plan_names.parsed(text) for text in (request.inputs, request.outputs)]
    for ends in facts.ends:
        inputs, outputs = (
            {end.key: end.tensor for end in side} if other is None else _tensors(side, other)
            for side, other in zip(ends, stated, strict=True)
        )
        yield inputs, outputs


def _tensors(side: Sequence[Endpoint], stated: Mapping[str, str]) -> dict[str, str]:
    """Return tensors by the keys that they are to have, where they may be named by keys that they have."""
    known = {key: signatures.find(side, name) for key, name in stated.items()}
    return {key: stated[key] if end is None else end.tensor for key, end in known.items()}


def _key_notes(request: Request, facts: Facts) -> Iterator[str]:
    """Say which keys come out under other names."""
    try:
        for inputs, outputs in _keys(request, facts):
            yield from facts.writer.key_notes(facts.model, inputs, outputs)
    except errors.ConversionError:
        return  # told as a problem


def _key_problems(request: Request, facts: Facts) -> Iterator[Problem]:
    try:
        keys = list(_keys(request, facts))
    except errors.ConversionError:
        return  # names that cannot be read are told as such
    for inputs, outputs in keys:
        try:
            facts.writer.key_notes(facts.model, inputs, outputs)
        except errors.ConversionError as error:
            yield Problem("inputs", str(error))


def _average_problems(request: Request, facts: Facts) -> Iterator[Problem]:
    if request.ema and "ema" not in options_of(facts.writer.format, facts.model):
        yield Problem("ema", "no moving averages lie beside the weights, or the format holds what the source has")


def _method_problems(request: Request) -> Iterator[Problem]:
    try:
        signatures.method_uri(request.method or signatures.PREDICT)
    except errors.UnknownNameError as error:
        yield Problem("method", str(error))


def _cautions(request: Request, facts: Facts) -> Iterator[str]:
    """Say what is possible, and perhaps not what is meant."""
    is_method = not any(_method_problems(request))
    if request.method and is_method and not (request.inputs or request.outputs):
        for ends in facts.ends:
            sides = ([end.key for end in side] for side in ends)
            yield from signatures.method_notes(signatures.method_uri(request.method), *sides)
    if facts.writer.has_tag_sets and request.tags.strip():
        yield from signatures.tag_notes(tag_set(request.tags) or ())
    if signatures.PROPOSED in facts.chosen:
        inputs, outputs = (errors.listed(end.key for end in side) for side in facts.signed[signatures.PROPOSED])
        where, proposed = {
            (True, True): (
                "begins and ends",
                f"{inputs} to {outputs}" if facts.signed[signatures.PROPOSED][0] else outputs,
            ),
            (True, False): ("begins", inputs),
            (False, True): ("ends", outputs),
        }.get((not plan_names.is_said(request.inputs), not plan_names.is_said(request.outputs)), ("", ""))
        if proposed:
            yield f"nothing in the graph says where it {where}: {proposed} is proposed, unless you name others"
    yield from _key_notes(request, facts)
    if request.optimize and facts.writer.variables is Variables.VARIABLES:
        yield "optimised, the result is frozen: each signature has its own constants"
    known = facts.model.cautions
    left = plan_effects.remaining(known, has_inputs=plan_names.is_said(request.inputs), ema=request.ema)
    # Nothing is made yet: what it lacks may keep it from being made.
    yield from (caution.text for caution in known if caution in left or caution.code in _IN_THE_WAY)
    if request.quantize:
        yield "how far the numbers are off is reported, and not judged"
    if request.select_tf_ops:
        yield "where TFLite lacks an op, the file runs in programs that link its Flex delegate, and not in Python"
    if not request.verify:
        yield "the result is not compared with the source"
