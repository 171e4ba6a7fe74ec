"""The verb freeze: variables and tables become constants of one graph, in memory or in a file.

Not for: freezing itself (:mod:`tfmagic.transforms.freeze`, :mod:`tfmagic.verbs.conversion.freeze_untraced`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from tfmagic import errors, progress, readers
from tfmagic.files import protos, write_checks
from tfmagic.findings import hazards
from tfmagic.functions.state.saved_models import Store
from tfmagic.graphs import signatures
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.signatures import tag_set
from tfmagic.models.model import Form, Model, Part
from tfmagic.models.writer import Freezing
from tfmagic.readers.graph_def import GraphDefReader, rows, values_of_constant
from tfmagic.runtime import grappler
from tfmagic.transforms import freeze as freeze_transform
from tfmagic.transforms import optimize as optimize_transform
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.conversion import destinations, freeze_untraced, plan_effects
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion import sources as conversion_sources
from tfmagic.verbs.conversion.checks import Source
from tfmagic.verbs.conversion.job import NOT_ASKED, STAGES, Job
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.undisturbed import undisturbed
from tfmagic.writers import WRITERS, writer_for
from tfmagic.writers.graph_def import GraphDefWriter, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.transforms.frozen_graph import FrozenGraph
    from tfmagic.verbs.conversion.options import Ends
    from tfmagic.writers.graph_def import GraphDefDraft, GraphTextDraft


@undisturbed
def freeze(  # noqa: PLR0913 - the contract's options
    source: object,
    *,
    signature: str | None = None,
    inputs: Ends = None,
    outputs: Ends = None,
    tags: str | Collection[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    bind: Mapping[str, Any] | None = None,
    keep_variables: Collection[str] | None = None,
    ema: bool = False,
    optimize: bool = False,
    overwrite: bool = False,
    verify: bool | None = None,
    trust: bool = False,
) -> Model:
    """Turn a model's variables and tables into constants of one graph.

    Parameters
    ----------
    source : object
        Whatever :func:`tfmagic.inspect` takes and can run.
    signature : str, optional
        The signature to freeze; may be left out where there is a default one or only one. A live model's gets this
        key.
    inputs, outputs : sequence or mapping of str to tensor, optional
        Other ends than the signature's: keys of it, or names of tensors in the graph.
    tags : str or collection of str, optional
        The tag-set of the source that is meant.
    output : path-like, optional
        A ``.pb`` or ``.pbtxt`` file to write. Without, the graph stays in memory.
    bind : mapping of str to array-like, optional
        Values for inputs, which become constants: ``{"keep_prob": 1.0}``.
    keep_variables : collection of str, optional
        Variables of a graph that stay variables, with what initialises and restores them.
    ema : bool
        Whether weights get the values of their moving averages: of ``tf.train.ExponentialMovingAverage``, which lie
        beside them, or of a Keras optimizer with ``use_ema``.
    optimize : bool
        Whether TensorFlow's optimizer folds constants and batch norms once and for all, so that the first call is
        quicker. Inputs and outputs keep their names, other nodes may not.
    overwrite : bool
        Whether an existing file is replaced, once the new one is complete.
    verify : bool, optional
        Whether source and result are run on the same inputs; the answer is in the model's notes.
        Left out, the notes say what cannot be checked; True makes that an error, False leaves the check out.
    trust : bool
        Whether Python code that a Keras file carries (a Lambda layer's) may run.

    Returns
    -------
    Model
        Of the form ``graph_def``, with the signature that the source had.

    Raises
    ------
    UnsupportedConversionError
        If the model writes to its variables, calls back into Python, or cannot run.
    VerificationError
        If the result gives other numbers; nothing was written then.
    WriteError
        If the file exists, or cannot be written.
    """
    kept = None if keep_variables is None else tuple(keep_variables)
    wish = Wish(
        signature=signature, inputs=inputs, outputs=outputs, bind=bind, keep_variables=kept, optimize=optimize, ema=ema
    )
    if output is None:
        return _in_memory(source, wish, tag_set(tags), check=verify, trust=trust)
    writer = writer_for(write_checks.resolved(output))
    if not isinstance(writer, Freezing):
        raise errors.ConversionError(
            f"a frozen graph is one file, and {os.fspath(output)!r} asks for {writer.format!r}: give a path that ends "
            "in '.pb' or '.pbtxt', or write the other format with tfmagic.export (%tf_export)"
        )
    place = write_checks.resolved(output)
    called = destinations.in_words(output, place)
    job = Job(source, place, writer, wish, overwrite=overwrite, check=verify, trust=trust, called=called)
    is_trusted = readers.read(source, trust=trust).is_trusted
    draft, done = job.run(source_tags=tag_set(tags))
    frozen = cast("GraphDefDraft | GraphTextDraft", draft).frozen
    written = _of_graph(frozen, done.notes, done.path, done.called or str(done.path), trust=is_trusted)
    return replace(written, carried=done.cautions)


class _Frozen(Form):
    """A graph that was frozen here: its signature got its key from us, and only what lies between its ends is in it."""

    form: ClassVar[str] = GraphDefReader.form
    message: ClassVar[str] = GraphDefReader.message
    has_free_key: ClassVar[bool] = True
    variables_are_constants: ClassVar[bool] = True


def _in_memory(source: object, wish: Wish, tags: Collection[str] | None, *, check: bool | None, trust: bool) -> Model:
    """Freeze without writing; the graph is assembled when it is asked for, or to be verified."""
    if wish.optimize:
        grappler.require()
    model = conversion_sources.read_source(source, tags, must_exist=tags is not None, trust=trust, ema=wish.ema)
    conversion_sources.require_parts(model, GraphDefWriter(), WRITERS)
    with model.becoming(GraphDefWriter.format), progress.stages("freeze", len(STAGES) - 1) as begin:
        begin("tracing")
        frozen, reasons = freeze_untraced.freeze(model, wish)
        functions = {} if frozen else conversion_options.functions(model, wish, every=False)
        begin("converting")
        graph = frozen or freeze_transform.freeze(next(iter(functions.values())))
        if frozen is None:
            graph.require_values()
        graph = optimize_transform.optimize(graph) if wish.optimize else graph
        begin("verifying")
        result = _of_graph(graph, (), None, trust=model.is_trusted)
        source = Source(model, wish, {graph.key: graph}, dict(zip([graph.key], functions.values(), strict=False)))
        verifications = (
            source.compared(result.part(Part.FUNCTION)) if check is not False else source.unchecked(NOT_ASKED)
        )
    conversion_checks.require_equal(verifications, "the graph is not returned")
    if check:
        conversion_checks.require_checked(each.unchecked for each in verifications.values())
    noted = result.with_notes(
        *model.notes, *reasons, *graph.notes, *graph.name_notes, *conversion_checks.unchecked_notes(verifications)
    )
    remaining = plan_effects.remaining(model.cautions_but_of_values, has_inputs=wish.inputs is not None, ema=wish.ema)
    # Values are read when the graph is assembled.
    return replace(noted, carried=remaining, marks=model.marks, held=model.held)


def _of_graph(
    frozen: FrozenGraph, notes: tuple[str, ...], path: Path | None, called: str = "", *, trust: bool
) -> Model:
    """Return a frozen graph as a model; one that was written is read from its file.

    What nobody vouched for is not vouched for when it is frozen.
    """
    origin = called or "a frozen graph"

    def meta_graphs() -> tuple[MetaGraph, ...]:
        if path is not None:
            written: tuple[MetaGraph, ...] = readers.read(path).part(Part.GRAPH)
            return written
        return (MetaGraph.of_message(protos.message("MetaGraphDef")(graph_def=frozen.filled(), signature_def=signed)),)

    @cache
    def function(key: str | None = None) -> NamedFunction:
        graph_def = load()[0].graph_def()
        if not trust:
            ends = ([end.tensor for end in side] for side in (frozen.outputs, frozen.inputs))
            hazards.require_none(hazards.of_graph(graph_def, next(ends), fed=next(ends)), origin)
        return wrapped(frozen, graph_def, signatures.choose(signed, key))

    load = cache(meta_graphs)
    signed = {frozen.key: signatures.signature_def(frozen.inputs, frozen.outputs, frozen.method)}
    loaders: dict[Part, Callable[[], Any]] = {
        Part.GRAPH: load,
        Part.SIGNATURES: lambda: (((), signed),),
        Part.VARIABLES: lambda: rows(load()),
        Part.FUNCTION: lambda: function,
    }
    trusting = None if trust else partial(_of_graph, frozen, notes, path, called, trust=True)
    state = cache(lambda: Store(load()[0], trust=trust))
    return Model(
        _Frozen.form,
        origin,
        loaders,
        notes,
        path,
        trusting=trusting,
        state=state,
        reader=_Frozen(),
        values=lambda row: values_of_constant(load()[0], row),
    )
