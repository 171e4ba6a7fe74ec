"""A frozen graph as a model: in memory, or read from the file that it was written to.

Not for: freezing (:mod:`tfmagic.transforms.freeze`, :mod:`tfmagic.verbs.conversion.freeze_untraced`).
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from tfmagic import progress, readers
from tfmagic.files import protos
from tfmagic.findings import hazards
from tfmagic.functions.state.saved_models import Store
from tfmagic.graphs import signatures
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.models.model import Form, Model, Part
from tfmagic.readers.graph_def import GraphDefReader, rows, values_of_constant
from tfmagic.transforms.freeze import freeze
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.conversion import freeze_untraced
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion.checks import Source
from tfmagic.verbs.conversion.job import NOT_ASKED, STAGES
from tfmagic.writers import WRITERS
from tfmagic.writers.graph_def import GraphDefWriter, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.transforms.frozen_graph import FrozenGraph
    from tfmagic.verbs.conversion.options import Wish


class _Frozen(Form):
    """A graph that was frozen here: its signature got its key from us, and only what lies between its ends is in it."""

    form: ClassVar[str] = GraphDefReader.form
    message: ClassVar[str] = GraphDefReader.message
    has_free_key: ClassVar[bool] = True


def in_memory(source: object, wish: Wish, tags: Collection[str] | None, *, check: bool | None, trust: bool) -> Model:
    """Freeze without writing; the graph is assembled when it is asked for, or to be verified."""
    model = conversion_options.read_source(source, tags, must_exist=tags is not None, trust=trust)
    conversion_options.require_parts(model, GraphDefWriter(), WRITERS)
    with model.well_formed(), progress.stages("freeze", len(STAGES) - 1) as begin:
        begin("tracing")
        frozen, reasons = freeze_untraced.freeze(model, wish)
        functions = {} if frozen else conversion_options.functions(model, wish, every=False)
        begin("converting")
        graph = frozen or freeze(next(iter(functions.values())))
        begin("verifying")
        result = of_graph(graph, (), None, trust=model.is_trusted)
        source = Source(model, wish, {graph.key: graph}, dict(zip([graph.key], functions.values(), strict=False)))
        found = source.compared(result.part(Part.FUNCTION)) if check is not False else source.unchecked(NOT_ASKED)
    conversion_checks.require_equal(found, "the graph is not returned")
    if check:
        conversion_checks.require_checked(each.unchecked for each in found.values())
    return result.with_notes(
        *model.notes, *reasons, *graph.notes, *graph.name_notes, *conversion_checks.unchecked_notes(found)
    )


def of_graph(frozen: FrozenGraph, notes: tuple[str, ...], path: Path | None, *, trust: bool) -> Model:
    """Return a frozen graph as a model; one that was written is read from its file.

    What nobody vouched for is not vouched for when it is frozen.
    """
    origin = str(path) if path else "a frozen graph"

    def meta_graphs() -> tuple[MetaGraph, ...]:
        if path is not None:
            found: tuple[MetaGraph, ...] = readers.read(path).part(Part.GRAPH)
            return found
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
    trusting = None if trust else partial(of_graph, frozen, notes, path, trust=True)
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
