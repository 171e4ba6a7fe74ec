"""The verb that makes two models into one. Not for: how two functions are joined (:mod:`tfmagic.transforms.merge`)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from tfmagic import errors, progress, readers
from tfmagic.files import places, write_checks
from tfmagic.functions.meta_graphs import meta_graph_def
from tfmagic.functions.state import stored_variables
from tfmagic.functions.state.trial_copies import TrialCopies
from tfmagic.graphs import signatures
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.signatures import own_key
from tfmagic.models.model import Model, Part
from tfmagic.models.writer import Freezing
from tfmagic.readers.function import FunctionReader
from tfmagic.readers.keras_model import variable_row
from tfmagic.transforms.bind import bind_function
from tfmagic.transforms.merge import merge as merge_functions
from tfmagic.transforms.merge import planned
from tfmagic.verbs import export as export_verb
from tfmagic.verbs import freeze as freeze_verb
from tfmagic.verbs import merged_graphs
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.conversion import destinations
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion import sources as conversion_sources
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.undisturbed import undisturbed
from tfmagic.verbs.verification import trial_run
from tfmagic.writers import writer_for

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.transforms.merge import Connections, Merged

_STAGES = ("loading", "joining", "verifying")


@undisturbed
def merge(  # noqa: PLR0913 - the contract's options
    first: object,
    second: object,
    *,
    connect: Connections | None = None,
    signature: str | None = None,
    output: str | os.PathLike[str] | None = None,
    bind: Mapping[str, Any] | None = None,
    freeze: bool = False,
    map: bool = False,
    overwrite: bool = False,
    verify: bool | None = None,
    trust: bool = False,
) -> Model:
    """Make one model of two: outputs of the first feed inputs of the second.

    Both keep their variables, which stay trainable and restorable, and their tables. A graph (a session, a ``.meta``,
    a graph in a file, a SavedModel of TensorFlow 1) stays one, and the two stand under the scopes ``first`` and
    ``second``.

    Parameters
    ----------
    first, second : object
        Whatever :func:`tfmagic.inspect` takes and can run.
    connect : mapping of str to str or sequence of str, optional
        For outputs of the first, the input or inputs of the second that each feeds. Without, those of equal names are
        connected, else the only output with the only input.
    signature : str, optional
        The signature of the second, and of the first if it has one of this key. It is the result's.
    output : path-like, optional
        Where to write the result; its suffix says the format, a path without one a SavedModel.
    bind : mapping of str to array-like, optional
        Values for inputs of the whole, which become constants: ``{"keep_prob": 1.0}``.
    freeze : bool
        Whether variables and tables become constants.
    map : bool
        Whether the first runs for each element of a batch by itself, because it takes one at a time: its inputs get
        a batch dimension. Where each result is a batch of one that the second takes batches of, they are joined.
    overwrite : bool
        Whether an existing destination is replaced, once the new one is complete.
    verify : bool, optional
        Whether the result is compared with running one model after the other, and what is written with the result.
        Left out, the notes say what cannot be checked; True makes that an error, False leaves the check out.
    trust : bool
        Whether code in the sources, such as a Lambda layer's in a Keras file, may run.

    Returns
    -------
    Model
        Its inputs are those of the first, then those of the second that nothing feeds. Its outputs are those of the
        second, then those of the first that feed nothing. Where both have one of the same name, the second's input is
        ``second_NAME`` and the first's output ``first_NAME``.

    Raises
    ------
    UnknownNameError
        If a signature, or a name in ``connect``, is not there.
    ConversionError
        If nothing connects the two, or dtypes, ranks or shapes do not fit; both sides are shown.
    VerificationError
        If the result gives other numbers; nothing was written then.
    WriteError
        If the destination exists, or cannot be written.
    """
    if connect is not None and not isinstance(connect, Mapping):
        raise errors.ConversionError(f"connect maps outputs to inputs, as in {{'out': 'in'}}, and is no {connect!r}")
    if output is not None:
        place = write_checks.resolved(output)
        if places.is_here(place):
            write_checks.require_replaceable(place, overwrite=overwrite, directory=writer_for(place).directory)
    models = [conversion_sources.read_source(each, None, must_exist=False, trust=trust) for each in (first, second)]
    if output is not None:
        for model in models:
            destinations.require_apart(model, place, writer_for(place))
        # What is written as a graph is read back from where it was written; what runs here is in memory only meanwhile.
        if writer_for(place).runs:
            models = [model.to_be_written() for model in models]
    result = _joined(models, connect, signature, bind, per_element=map, check=verify)
    if freeze:
        result = freeze_verb.freeze(result, verify=verify)
    # Values are read when they are written.
    marks = {path: mark for model in models for path, mark in model.marks.items()}
    result = replace(result, marks=marks, held=[model.held for model in models])
    return result if output is None else _written(result, output, overwrite=overwrite, check=verify)


def _joined(  # noqa: PLR0913 - the verb's options
    models: Sequence[Model],
    connect: Connections | None,
    signature: str | None,
    bind: Mapping[str, Any] | None,
    *,
    per_element: bool,
    check: bool | None,
) -> Model:
    """Load the two, join them, compare."""
    with progress.stages("merge", len(_STAGES)) as begin:
        begin("loading")
        known = {key for _, each in _signed(models[0]) for key in each}
        wishes = Wish(signature if signature in known else None), Wish(signature)
        named = {"outputs": _named(connect, "outputs")}, {"inputs": _named(connect, "inputs")}
        edited = None if per_element else _edited(models, wishes, named, connect, bind)
        if edited is not None and check is False:
            return edited.with_notes(*models[0].notes, *models[1].notes, "not verified: verify=False")
        halves = []
        for model, wish, ends in zip(models, wishes, named, strict=True):
            halves.append(_function(model, wish, **ends))
            if edited is not None:
                _let_go(halves[-1])
        begun, ended = halves
        begin("joining")
        if edited is not None:
            plan = planned(begun, ended, _by_key(connect, begun.outputs, ended.inputs))
            function: NamedFunction = edited.part(Part.FUNCTION)()
        else:
            plan = merge_functions(begun, ended, _by_key(connect, begun.outputs, ended.inputs), per_element=per_element)
            function = bind_function(plan.function(), bind or {})
        begin("verifying")
        unchecked = _compared(function, plan, bind or {}) if check is not False else ""
        if check:
            conversion_checks.require_checked([unchecked])
    trained = {**_trained(models[0], begun), **_trained(models[1], ended)}
    result = edited or _model(function, trained).with_notes(*plan.notes)
    notes = (*models[0].notes, *models[1].notes, *([f"not verified: {unchecked}"] if unchecked else []))
    return result.with_notes(*notes)


def _edited(
    models: Sequence[Model],
    wishes: Sequence[Wish],
    named: Sequence[Mapping[str, Sequence[str]]],
    connect: Connections | None,
    bind: Mapping[str, Any] | None,
) -> Model | None:
    """Join two graphs by an edit, None where neither is a graph, or one holds what no graph does.

    What can only be called is traced once, and is a graph from there on: the other half keeps its names.
    """
    halves = [merged_graphs.half(model, wish, **ends) for model, wish, ends in zip(models, wishes, named, strict=True)]
    if not any(halves):
        return None
    for place, (model, wish, ends) in enumerate(zip(models, wishes, named, strict=True)):
        if halves[place] is None:
            function = _function(model, wish, **ends)
            halves[place] = merged_graphs.traced_half(function, _trained(model, function))
    if halves[0] is None or halves[1] is None:
        return None
    outputs, inputs = halves[0].signature.outputs, halves[1].signature.inputs
    return merged_graphs.merged(halves[0], halves[1], _by_key(connect, outputs, inputs), bind)


def _trained(model: Model, function: NamedFunction) -> dict[int, bool]:
    """Return whether variables are trained, by their identity, where the source's table says so."""
    if model.has_objects:
        return {}  # the loaded variables have their flags, and the table's names may be those of others
    rows = model.part(Part.VARIABLES) if Part.VARIABLES in model.loaders else ()
    known = function.variables
    return {id(known[row.name]): row.trainable for row in rows if row.name in known and row.trainable is not None}


def _named(connect: Connections | None, side: str) -> list[str]:
    """Return the names that the user gave for outputs of the first, or for inputs of the second."""
    if not connect:
        return []
    if side == "outputs":
        return list(connect)
    return [name for targets in connect.values() for name in _listed(targets)]


def _listed(targets: str | Sequence[str]) -> Sequence[str]:
    return [targets] if isinstance(targets, str) else targets


def _by_key(connect: Connections | None, outputs: Sequence[Endpoint], inputs: Sequence[Endpoint]) -> Connections | None:
    """Return the connections by the keys that tensors have which are named in the graph, not in the signature."""
    if not connect:
        return None
    results, wanted = ([end.key for end in side] for side in (outputs, inputs))
    return {
        own_key(source, results): [own_key(each, wanted) for each in _listed(targets)]
        for source, targets in connect.items()
    }


def _function(model: Model, wish: Wish, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> NamedFunction:
    """Return the function that is meant, with ends inside the graph if such are named."""
    if Part.FUNCTION not in model.loaders:
        advice = "Only what can run can be merged: give the model that it came from"
        raise errors.MissingPartError("function", model.form, model.parts, advice)
    (function,) = conversion_options.functions(model, wish, every=False).values()
    ends = [end.key for end in (function.inputs if inputs else function.outputs)]
    if all(own_key(name, ends) in ends for name in (*inputs, *outputs)):
        return function
    inner = replace(wish, inputs=list(inputs) or None, outputs=list(outputs) or None)
    (cut,) = conversion_options.functions(model, inner, every=False).values()
    return cut


def _signed(model: Model) -> signatures.TaggedSignatures:
    tagged: signatures.TaggedSignatures = model.part(Part.SIGNATURES) if Part.SIGNATURES in model.loaders else ()
    return tagged


def _compared(function: NamedFunction, merged: Merged, bound: Mapping[str, Any]) -> str:
    """Run the whole and the parts on the same inputs; return why that could not be, empty if it could."""
    parts = {id(part): TrialCopies(part, repeatable=True) for part in (merged.first, merged.second)}

    @contextmanager
    def running(part: NamedFunction) -> Iterator[NamedFunction]:
        yield parts[id(part)].fresh()
        _let_go(part, function)

    def one_after_the_other(values: Mapping[str, npt.ArrayLike]) -> Mapping[str, npt.NDArray[Any]]:
        _let_go(function, merged.first, merged.second)
        return merged.one_after_the_other({**values, **bound}, running)

    verification = trial_run.verify(function, one_after_the_other)
    if verification.differs:
        raise errors.VerificationError(
            "the merged model gives other numbers than one model after the other; error.verification has them, "
            "verify=False (--no-verify) merges all the same",
            verification.frame,
        )
    return verification.reservation


def _let_go(function: NamedFunction, *others: NamedFunction) -> None:
    """Let go of the weights of a function until it runs again, but of those that others run with, too."""
    used = {id(variable) for other in others for variable in other.variables.values()}
    stored_variables.let_go(each for each in function.variables.values() if id(each) not in used)


def _model(function: NamedFunction, trained: dict[int, bool]) -> Model:
    """Return a function as a model."""

    @cache
    def graphs() -> tuple[MetaGraph, ...]:
        return (MetaGraph.of_message(meta_graph_def((function,))),)

    def chosen(key: str | None = None) -> NamedFunction:
        signatures.choose({function.key: None}, key)
        return function

    return Model(
        FunctionReader.form,
        "a merge of two models",
        {
            Part.GRAPH: graphs,
            Part.SIGNATURES: lambda: tuple((each.tags, each.signature_def) for each in graphs()),
            Part.VARIABLES: lambda: tuple(
                variable_row(name, each)._replace(trainable=trained.get(id(each), bool(each.trainable)))
                for name, each in function.variables.items()
            ),
            Part.FUNCTION: lambda: chosen,
        },
        reader=FunctionReader(),
    )


def _written(model: Model, output: str | os.PathLike[str], *, overwrite: bool, check: bool | None) -> Model:
    """Write the result, and return what was written; of a frozen graph's file nobody could tell the signature."""
    if isinstance(writer_for(write_checks.resolved(output)), Freezing):
        return freeze_verb.freeze(model, output=output, overwrite=overwrite, verify=check)
    done = export_verb.export(model, output, overwrite=overwrite, verify=check)
    try:
        written = readers.read(done.path)
    except errors.UnrecognizedSourceError:
        note = f"{str(done.path)!r} was written as {done.format!r}, which is no form to read: the merge itself is shown"
        return model.with_notes(*done.notes, note)
    return replace(written, origin=done.called, notes=tuple(dict.fromkeys((*written.notes, *done.notes))))
