"""What would help where a conversion cannot be done: options, as a form has them, each with the words of a button.

Read from what an error is and from the options that it names, never from its words: those hold names of the model's.
Not for: finding what is wrong (:mod:`tfmagic.verbs.conversion.plan`, the conversion itself).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.display import render
from tfmagic.files import write_checks
from tfmagic.verbs.conversion import destinations, plan_names
from tfmagic.writers import writer_for, writer_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfmagic.models.model import Model
    from tfmagic.models.writer import Writer
    from tfmagic.verbs.conversion.request import Request

#: Buttons for names that one problem offers.
_MOST_NAMES = 3
#: What a single number is fixed at where only the user knows: dropout keeps everything, nothing trains.
_USUAL = {"bool": False, "float": 1.0, "double": 1.0, "half": 1.0, "bfloat": 1.0, "int": 0, "uint": 0}
#: How much of a name stands on a button.
_MOST_LETTERS = 40


class Remedy(NamedTuple):
    """What a button says, and the fields of the request that it changes."""

    text: str
    changes: Mapping[str, Any]


def of_place(model: Model, request: Request, writer: Writer) -> Iterator[Remedy]:
    """Yield what helps where a destination cannot be written to: to replace it, another place, the format it names."""
    try:
        where = write_checks.resolved(request.destination)
        named = writer_for(where) if request.destination.strip() else writer
    except (errors.TfMagicError, OSError, ValueError):
        return
    if named.format != writer.format:
        yield Remedy(f"Write it as {named.label or named.format}", {"format": named.format})
    elif destinations.is_taken(where, writer) and not request.overwrite:
        yield Remedy("Replace what is there", {"overwrite": True})
        other = destinations.suggested(model, writer.format)
        if not destinations.is_taken(write_checks.resolved(other), writer):
            yield Remedy(f"Write to {_shown(other)}", {"destination": other})


def of_names(field: str, names: Iterable[str]) -> tuple[Remedy, ...]:
    """Return a button for each of the first names that a field can hold."""
    return tuple(Remedy(f"Use {_shown(name)}", {field: name}) for name in list(names)[:_MOST_NAMES])


def of_tensors(side: str, tensors: Mapping[str, str], key: str, near: Iterable[str]) -> tuple[Remedy, ...]:
    """Return a button for each tensor that may be meant in the place of one that is not there."""
    chosen = list(near)[:_MOST_NAMES]
    return tuple(Remedy(f"Use {_shown(name)}", {side: {**tensors, key: name}}) for name in chosen)


def of_error(error: BaseException | None, model: Model, request: Request) -> tuple[Remedy, ...]:
    """Return what helps after a conversion that failed, with it done once more; nothing where nobody knows."""
    if isinstance(error, errors.UntrustedCodeError):
        return (Remedy("Trust the model, and go on", {"trust": True}),)
    if isinstance(error, errors.VerificationError):
        return (Remedy("Convert without the check", {"verify": False}),)
    if isinstance(error, errors.WriteError) and not request.overwrite:
        return tuple(of_place(model, request, writer_named(request.format)))
    if isinstance(error, errors.ConversionError):
        return tuple(_of_options(error.options, model, request))
    return ()


def _of_options(options: Mapping[str, Any], model: Model, request: Request) -> Iterator[Remedy]:
    """Yield what an error says itself that would help."""
    if "batch" in options:
        yield Remedy(f"Fix the batch at {options['batch']}", {"batch": options["batch"]})
    if options.get("select_tf_ops"):
        yield Remedy("Take TensorFlow's ops along", {"select_tf_ops": True})
    bind = options.get("bind") or {}
    values = {name: _usual(model, name) if value is ... else value for name, value in bind.items()}
    known = {name: value for name, value in values.items() if value is not None}
    if known and len(known) == len(values):
        said = ", ".join(f"{_shown(name)} at {value!r}" for name, value in known.items())
        yield Remedy(f"Fix {said}", {"bind": {**(plan_names.constants(request.bind) or {}), **known}})


def _usual(model: Model, name: str) -> object:
    """Return what a single number is fixed at, None where that is nobody's guess."""
    frame = model.table("ops", all=True)
    rows = frame[(frame["name"] == name) & (frame["function"] == "")]
    if not len(rows) or rows["shape"].iloc[0] not in ((), None):
        return None
    dtype = str(rows["dtype"].iloc[0])
    return next((value for kind, value in _USUAL.items() if dtype.startswith(kind)), None)


def _shown(name: str) -> str:
    return render.cut(name, _MOST_LETTERS)
