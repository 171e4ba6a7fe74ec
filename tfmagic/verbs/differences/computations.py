"""Rows for what two models compute and how they are signed.

Not for: Keras layers (:mod:`tfmagic.verbs.differences.layers`), or the values of weights
(:mod:`tfmagic.verbs.differences.weights`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, frames
from tfmagic.graphs import (
    computation,
    computation_matching,
    computation_pairing,
    computation_reading,
    signatures,
    tensor_names,
    variables,
)
from tfmagic.models.model import Part
from tfmagic.transforms.captures import captures
from tfmagic.verbs.differences import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tfmagic.files import protos
    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.computation import Op
    from tfmagic.graphs.computation_matching import Matching
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model


#: What stands for a dtype that nobody states.
_UNTOLD = "invalid"


class Ends(NamedTuple):
    """What of a model is compared: the inputs and outputs of a signature, by key.

    Attributes
    ----------
    key : str
        The signature's; ``"proposed"`` where nobody wrote one.
    """

    key: str
    inputs: dict[str, Endpoint]
    outputs: dict[str, Endpoint]

    @property
    def is_proposed(self) -> bool:
        """Whether its keys are names of nodes, as nobody wrote a signature."""
        return self.key == signatures.PROPOSED


def ends(model: Model, key: str | None) -> Ends | None:
    """Return the ends of a signature, of a graph without any those that are proposed; None where there is neither.

    Raises
    ------
    UnknownNameError
        If there is no such signature.
    """
    if model.is_at_hand("graph") and model.has_no_signature:
        frame = model.proposals
        rows = [signatures.Endpoint(*row) for row in zip(*(frame[name] for name in signatures.Endpoint._fields))]  # noqa: B905 - columns of one table
        sides = list(frame["side"])
        both = [
            {row.key: row for row, side in zip(rows, sides, strict=True) if side == each}
            for each in ("input", "output")
        ]
        return Ends(signatures.PROPOSED, both[0], both[1])
    if "signatures" not in model.parts:
        return None
    # A TFLite file has tensors, of which its graph makes nodes.
    stated = model.meta_graph.signature_def if model.has_own_ops else model.signature_def
    if key is None and signatures.DEFAULT_KEY not in stated:
        key = next((name for name in stated if not signatures.is_hidden(name)), None)
        if key is None:
            return None
    return _stated(signatures.choose(stated, key), stated)


def left_out(first: Model, second: Model, mine: Ends, theirs: Ends) -> Iterator[str]:
    """Say which signatures are not compared where nobody named one: one of two models may lack them."""
    known = [_visible(model) for model in (first, second)]
    others = [key for key in dict.fromkeys((*known[0], *known[1])) if key not in (mine.key, theirs.key)]
    if not others:
        return
    named = errors.listed(others)
    yield f"of the signatures {mine.key!r} was compared, {named} not: name another one, signature=… (--signature)"
    for ordinal, own, beside in (("first", *known), ("second", *known[::-1])):
        only = [key for key in others if key in own and key not in beside]
        if only:
            yield f"the {ordinal} model alone has the signature {errors.listed(only)}"


def _visible(model: Model) -> list[str]:
    if not model.is_at_hand("signatures") or model.has_no_signature:
        return []
    return [key for key in model.signature_def if not signatures.is_hidden(key)]


def _stated(key: str, stated: Mapping[str, protos.Message]) -> Ends:
    sides = [signatures.endpoints(getattr(stated[key], side)) for side in ("inputs", "outputs")]
    return Ends(key, *({end.key: end for end in side} for side in sides))


def signature_rows(first: Ends, second: Ends) -> Iterator[frames.DiffRow]:
    """Yield a row for each end that only one has, or that is another tensor.

    Proposed keys are not compared; but what goes in by one name is.
    """
    if first.is_proposed or second.is_proposed:
        is_exact = first.is_proposed and second.is_proposed
        for key in [each for each in first.inputs if each in second.inputs]:
            own, other = first.inputs[key], second.inputs[key]
            if _are_others(own, other, is_exact=is_exact):
                yield frames.DiffRow("signature", f"input {key!r}", _described(own), _described(other), None, None)
        return
    for side in ("inputs", "outputs"):
        mine: Mapping[str, Endpoint] = getattr(first, side)
        theirs: Mapping[str, Endpoint] = getattr(second, side)
        for key in dict.fromkeys((*mine, *theirs)):
            a, b = (_described(each[key]) if key in each else "" for each in (mine, theirs))
            if a != b and not (key in mine and key in theirs and _may_be_same(mine[key], theirs[key])):
                yield frames.DiffRow("signature", f"{first.key}, {side[:-1]} {key!r}", a, b, None, None)


def _are_others(mine: Endpoint, theirs: Endpoint, *, is_exact: bool) -> bool:
    """Whether two inputs state what cannot be one: a signature may fix a size that the graph leaves open."""
    dtypes = {end.dtype.removesuffix("_ref") for end in (mine, theirs)}
    if len(dtypes) > 1 and _UNTOLD not in dtypes:
        return True
    if mine.shape is None or theirs.shape is None or mine.shape == theirs.shape:
        return False
    pairs = zip(mine.shape, theirs.shape, strict=False)
    return is_exact or len(mine.shape) != len(theirs.shape) or any(a != b for a, b in pairs if None not in (a, b))


def _may_be_same(mine: Endpoint, theirs: Endpoint) -> bool:
    """Whether two ends differ only in what a file does not tell of one: its dtype, or, without a tensor, its shape."""
    is_open = any(end.shape is None and not end.tensor for end in (mine, theirs))
    dtypes = {end.dtype.removesuffix("_ref") for end in (mine, theirs)}
    return (mine.shape == theirs.shape or is_open) and (len(dtypes) == 1 or _UNTOLD in dtypes)


def _described(end: Endpoint) -> str:
    # A variable of TensorFlow 1 gives what it holds.
    return f"{end.dtype.removesuffix('_ref')} {signatures.shape_text(end.shape)}"


def matched(first: Model, second: Model, mine: Ends, theirs: Ends) -> Matching:
    """Match the ops of two models between the ends of their signatures."""
    a, b = _of_graph(first, mine), _of_graph(second, theirs)
    a, b = _with_defaults(first, a, b), _with_defaults(second, b, a)
    if a == b and first.meta_graph.has_equal_graph(second.meta_graph) and not tables.may_be_outside(first):
        # Nothing can differ, and the constants are the same bytes.
        return computation_matching.same()
    return computation_pairing.match(computation_of(first, a), computation_of(second, _under_keys_of(a, b)))


def _with_defaults(model: Model, chosen: Ends, other: Ends) -> Ends:
    """Return proposed ends with the placeholders with a default that the other model's signature takes for inputs."""
    if not chosen.is_proposed or other.is_proposed:
        return chosen
    wanted = {tensor_names.full(end.tensor): key for key, end in other.inputs.items() if key not in chosen.inputs}
    wanted |= {tensor_names.full(key): key for key in wanted.values()}
    own = {wanted[tensor]: tensor for tensor in model.ends.defaults if tensor in wanted}
    inputs = {key: other.inputs[key]._replace(tensor=tensor) for key, tensor in own.items()}
    return chosen._replace(inputs={**chosen.inputs, **inputs})


def _of_graph(model: Model, chosen: Ends) -> Ends:
    """Return the ends with their tensors, where only the graph that Keras makes of a file names them."""
    if all(end.tensor for side in chosen[1:] for end in side.values()):
        return chosen
    stated = model.meta_graph.signature_def
    return _stated(signatures.choose(stated, chosen.key if chosen.key in stated else None), stated)


def op_rows(matching: Matching) -> Iterator[frames.DiffRow]:
    """Yield a row for each op that only one computation has, that has other attributes, and for each renamed scope."""
    for op, name in computation_matching.named(matching.first, matching.first_only):
        yield frames.DiffRow("op", name, op, "", None, None)
    for op, name in computation_matching.named(matching.second, matching.second_only):
        yield frames.DiffRow("op", name, "", op, None, None)
    for a, b in matching.changed:
        yield from _changes(a, b)
    for where, mine, theirs in matching.rewired:
        yield frames.DiffRow("attribute", where, mine, theirs, None, None)
    for (a_scope, b_scope), count in matching.renamed.items():
        yield frames.DiffRow("renamed", f"{count} ops", a_scope, b_scope, None, None)
    if matching.is_cut:
        counts = [
            min(len(each.codes), computation.MOST_OPS) if each.is_cut else len(each.codes) for each in matching.both
        ]
        most = min(count for count, each in zip(counts, matching.both, strict=True) if each.is_cut)
        first, second = (
            f"{'at least ' if each.is_cut else ''}{count:,} ops"
            for count, each in zip(counts, matching.both, strict=True)
        )
        yield frames.DiffRow("not compared", f"ops after the first {most:,}", first, second, None, None)


def computation_of(model: Model, chosen: Ends) -> computation.Computation:
    """Return what a model computes between the ends of a signature, which name tensors of its graph."""
    with model.well_formed():
        names, known = _variable_names(model, chosen), tables.captured(model, chosen.key)
        return next(between(model.meta_graph, [chosen], names, known))


def _variable_names(model: Model, chosen: Ends) -> Mapping[str, str]:
    """Return what variables are called in the table, by their nodes; where these tell, they keep their names."""
    if Part.GRAPH in model.reader.costly and Part.FUNCTION in model.loaders and not chosen.is_proposed:
        # A traced graph has them by what reads them first.
        function: NamedFunction = model.part(Part.FUNCTION)(chosen.key)
        known = {id(variable): name for name, variable in function.variables.items()}
        in_table = _listed(known.values(), [row.name for row in model.part(Part.VARIABLES)])
        held = captures(function).variables
        return {node: in_table[known[id(variable)]] for node, variable in held.items() if id(variable) in known}
    if model.checkpoint is None or Part.VARIABLES not in model.loaders:
        return {}
    names = variables.restored_names(model.checkpoint_files(), model.meta_graphs, model.meta_graph)
    listed = {row.name for row in model.part(Part.VARIABLES)}
    return {node: name for node, name in names.items() if node not in listed}


def _listed(names: Iterable[str], listed: Sequence[str]) -> dict[str, str]:
    """Return how variables are listed: of a file the model's own name may come first, which a loaded one has not."""
    known = set(listed)
    by_end: dict[str, list[str]] = defaultdict(list)
    for name in listed:
        by_end[name.partition("/")[2]].append(name)
    return {name: by_end[name][0] if name not in known and len(by_end.get(name, ())) == 1 else name for name in names}


def between(
    meta_graph: MetaGraph,
    chosen: Iterable[Ends],
    names: Mapping[str, str] | None = None,
    captured_tables: Collection[str] = (),
) -> Iterator[computation.Computation]:
    """Yield what a graph computes between the ends of each of some signatures."""
    sides = ((_tensors(each.inputs), _tensors(each.outputs)) for each in chosen)
    return computation_reading.of_graph(meta_graph.graph, *sides, variables=names or {}, tables=captured_tables)


def _tensors(side: Mapping[str, Endpoint]) -> dict[str, str]:
    """Return the tensors of a signature's side by key; a sparse one is several, which go by its key and a number."""
    tensors: dict[str, str] = {}
    for key, end in side.items():
        parts = end.tensor.split(",")
        tensors |= (
            {f"{key}, part {place}": part for place, part in enumerate(parts)} if parts[1:] else {key: end.tensor}
        )
    return tensors


def _changes(a: Op, b: Op) -> Iterator[frames.DiffRow]:
    mine, theirs = dict(a.attributes), dict(b.attributes)
    for key in dict.fromkeys((*mine, *theirs)):
        if mine.get(key) != theirs.get(key):
            values = (mine.get(key, "default"), theirs.get(key, "default"))
            yield frames.DiffRow("attribute", f"{a.name}, {key}", *values, None, None)


def _under_keys_of(mine: Ends, theirs: Ends) -> Ends:
    """Give the second model's ends the first one's keys where they have others and are as many: so ops are matched."""
    return Ends(theirs.key, _renamed(mine.inputs, theirs.inputs), _renamed(mine.outputs, theirs.outputs))


def _renamed(mine: Mapping[str, Endpoint], theirs: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
    if set(mine) == set(theirs) or len(mine) != len(theirs):
        return dict(theirs)
    free = [key for key in mine if key not in theirs]
    keys: dict[str, Endpoint] = {}
    for key, end in theirs.items():
        # Those of one kind go together first.
        likest = next((each for each in free if _described(mine[each]) == _described(end)), free[0] if free else key)
        keys[key if key in mine else likest] = end
        free = [each for each in free if each not in keys]
    return keys
