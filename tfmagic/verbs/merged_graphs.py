"""Two graphs made one by an edit: each under a scope of its own, its nodes, variables and tables as they were.

Not for: two that can only be traced, or what runs for each element by itself (:mod:`tfmagic.verbs.merge`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.functions import wrap_graph_def
from tfmagic.functions.state.merged import SCOPES
from tfmagic.graphs import signatures, tensor_names
from tfmagic.graphs import variables as graph_variables
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.graphs.signatures import own_key
from tfmagic.models.model import Form, Model, Part
from tfmagic.readers.meta_graph import MetaGraphReader
from tfmagic.transforms.bind import bind_graph
from tfmagic.transforms.merge import planned
from tfmagic.transforms.merge_graphs import join_graphs
from tfmagic.transforms.scopes import rename_info
from tfmagic.transforms.traced_graphs import traced_store
from tfmagic.verbs.conversion.graph_signatures import GraphSignature, GraphSource, graph_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.graph_defs import Shared
    from tfmagic.functions.state.merged import MergedStore
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.transforms.merge import Connections, Merged
    from tfmagic.verbs.conversion.options import Wish


class _Merge(Form):
    """What the result is: a MetaGraphDef with a way to its values."""

    form: ClassVar[str] = MetaGraphReader.form
    is_open: ClassVar[bool] = True
    holds_more: ClassVar[bool] = True


class Half(NamedTuple):
    """A graph on its way into a merge."""

    source: GraphSource
    key: str
    signature: GraphSignature


def half(model: Model, wish: Wish, *, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Half | None:
    """Return the graph that is meant, with ends inside it if such are named; None for what can only be called."""
    source = graph_source(model, wish, every=False)
    if source is None:
        return None
    ((key, signature),) = source.signatures.items()
    known = [end.key for end in (signature.inputs if inputs else signature.outputs)]
    if all(own_key(name, known) in known for name in (*inputs, *outputs)):
        return Half(source, key, signature)
    inner = replace(wish, inputs=list(inputs) or None, outputs=list(outputs) or None)
    source = graph_source(model, inner, every=False)
    if source is None:
        return None
    ((key, signature),) = source.signatures.items()
    return Half(source, key, signature)


def traced_half(function: NamedFunction, trainable: Mapping[int, bool]) -> Half | None:
    """Return a function on its way into a merge with a graph, None where it needs more than variables."""
    store = traced_store(function, trainable)
    if store is None:
        return None
    definition = signatures.signature_def(function.inputs, function.outputs, function.method)
    signature = GraphSignature(definition, function.inputs, function.outputs)
    return Half(GraphSource(store, {function.key: signature}), function.key, signature)


def merged(first: Half, second: Half, connect: Connections | None, bind: Mapping[str, Any] | None) -> Model:
    """Join two graphs; nothing of them is loaded.

    Parameters
    ----------
    first, second : Half
        The graphs, which stay as they are.
    connect : mapping, optional
        Which outputs of the first feed which inputs of the second; else those of equal names, else the only pair.
    bind : mapping of str to array-like, optional
        Values for inputs of the whole, which become constants.

    Raises
    ------
    UnknownNameError
        If a name in ``connect`` or ``bind`` is not there.
    ConversionError
        If nothing connects the two, or two ends do not fit.
    """
    plan = planned(cast("NamedFunction", first.signature), cast("NamedFunction", second.signature), connect)
    store = join_graphs(first.source.store, second.source.store, {to.tensor: of.tensor for of, to in plan.pairs})
    definition = _definition(plan, first, second)
    constants = bind or {}
    unknown = [name for name in constants if name not in definition.inputs]
    if unknown:
        raise errors.UnknownNameError(unknown[0], "input", list(definition.inputs))
    bound = bind_graph(store, {definition.inputs[key].name: value for key, value in constants.items()})
    for key in constants:
        del definition.inputs[key]
    return _model(cast("MergedStore", bound), second.key, definition, _renamed(plan))


def _definition(plan: Merged, first: Half, second: Half) -> protos.Message:
    """Return the SignatureDef of the whole, its tensors under the scopes of their halves."""
    result = protos.message("SignatureDef")(method_name=second.signature.definition.method_name)
    halves = dict(zip(SCOPES, (first, second), strict=True))
    for name, sides in (("inputs", plan.inputs), ("outputs", plan.outputs)):
        for side in sides:
            info = getattr(result, name)[side.key]
            info.CopyFrom(getattr(halves[side.part].signature.definition, name)[side.end.key])
            rename_info(info, f"{side.part}/{{}}".format)
    return result


def _renamed(plan: Merged) -> tuple[str, ...]:
    renamed = [side for side in (*plan.inputs, *plan.outputs) if side.key != side.end.key]
    return tuple(f"{side.end.key!r} of the {side.part} model is {side.key!r}, as both have one" for side in renamed)


def _model(store: MergedStore, key: str, definition: protos.Message, notes: tuple[str, ...]) -> Model:
    """Return the whole as a model: a graph with one signature."""
    message = store.meta_graph.meta_graph_def()
    message.signature_def[key].CopyFrom(definition)
    message.meta_info_def.tags.extend(signatures.DEFAULT_TAGS)
    whole = replace(store, meta_graph=MetaGraph.of_message(message))
    graphs = (whole.meta_graph,)
    return Model(
        _Merge.form,
        "a merge of two graphs",
        {
            Part.GRAPH: lambda: graphs,
            Part.SIGNATURES: lambda: tuple((each.tags, each.signature_def) for each in graphs),
            Part.VARIABLES: cache(lambda: graph_variables.rows(None, graphs)),
            Part.FUNCTION: lambda: partial(_function, whole, key),
        },
        notes,
        state=lambda: whole,
        reader=_Merge(),
    )


def _function(  # noqa: PLR0913 - a graph, and the options of a signature
    store: Store,
    own_key_: str,
    key: str | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    shared: Shared | None = None,
) -> NamedFunction:
    """Load the whole, between its own ends unless others are named."""
    signed = store.meta_graph.signature_def
    definition = signed[signatures.choose(signed, key or own_key_)]
    sides = [
        {end.key: end.tensor for end in signatures.endpoints(side)} for side in (definition.inputs, definition.outputs)
    ]
    chosen = [
        known if ends is None else {name: known.get(tensor, tensor) for name, tensor in ends.items()}
        for known, ends in zip(sides, (inputs, outputs), strict=True)
    ]
    values: dict[str, Any] = {"values": store.values, "tables": store.tables, "shared": shared}
    full = ({name: tensor_names.full(tensor) for name, tensor in side.items()} for side in chosen)
    return wrap_graph_def(store.graph_def, *full, **values, key=own_key_, method=str(definition.method_name))
