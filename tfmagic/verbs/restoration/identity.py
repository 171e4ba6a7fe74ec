"""What identifies a value: its name, the attributes that lead to it, its path by class and counter, its order.

Which of them counts is the file's to say; names that a library made up never do. Not for: what is refused, reading
values, or assigning them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.verbs.restoration import automatic_names, keras_places, object_edges, ordered_layers, renaming
from tfmagic.verbs.restoration.live_variables import KERAS, SESSION, LiveVariables, extended
from tfmagic.verbs.restoration.object_edges import TableEdge
from tfmagic.verbs.restoration.pairing import Loading, Pairing
from tfmagic.verbs.restoration.session_restores import node_of, session_restores
from tfmagic.verbs.restoration.stored_values import NAMES, OBJECTS, PATHS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.verbs.restoration.object_edges import Edges
    from tfmagic.verbs.restoration.stored_values import StoredValues


def paired(live: LiveVariables, stored: StoredValues, rename: Mapping[str, str]) -> Pairing:
    """Find the value of each variable.

    Raises
    ------
    UnknownNameError
        If ``rename`` speaks of what there is not.
    ConversionError
        If several objects of a checkpoint could be the live one.
    """
    pairing = Pairing(live, stored)
    pairing.pairs = renaming.renamed(rename, live.targets, stored.saved, live.name)
    pairing.explicit = set(pairing.pairs)
    if pairing.explicit:
        # Where layers were moved, names say more than places do.
        by_given_name(pairing, fitting=True)
        pairing.reserved = set(pairing.pairs.values())
    if stored.layout == OBJECTS and live.form != SESSION:
        _by_objects(pairing)
    elif live.form != KERAS or stored.layout == NAMES:
        _by_name(pairing)
    elif stored.layout == PATHS:
        _by_paths(pairing)
    else:
        _by_layers(pairing)
    return pairing


# TensorFlow 1


def _by_name(pairing: Pairing) -> None:
    """Pair equal names, as a Saver does; then names that differ by that of the model, or by a number made up."""
    live, saved = pairing.live, pairing.stored.saved
    names = [target.stored_name for target in live.targets]
    full = ["/".join(value.scope) if pairing.stored.objects is not None else value.name for value in saved]
    _match(pairing, names, full)
    if live.form == SESSION:
        _by_savers(pairing)
        return
    inner, full_inner = [_within(name) for name in names], [_within(name) for name in full]
    for targets, values in ((names, full_inner), (inner, full), (inner, full_inner)):
        _match(pairing, targets, values)
    if pairing.required() and pairing.stored.listed:
        pairing.pairs = {target: other for target, other in pairing.pairs.items() if target in pairing.explicit}
        _by_list(pairing)
    elif pairing.required():
        _by_rank(pairing, range(len(saved)))


def _by_savers(pairing: Pairing) -> None:
    """Pair what is left as the session's own Savers would, and find the tables that they fill."""
    known = session_restores(pairing.live.source.graph)
    places = {value.key: place for place, value in enumerate(pairing.stored.saved)}
    for target in pairing.missing:
        node = node_of(pairing.live.targets[target].variable)
        if known.keys.get(node) in places:
            pairing.pairs[target] = places[known.keys[node]]
            pairing.explicit.add(target)
    tables = {table.name: table for table in known.tables if f"{table.key}-keys" in places}
    pairing.tables = [TableEdge(table, table.name, table.key) for table in tables.values()]


def _within(name: str) -> str:
    """Return a variable's name without that of its model, which Keras numbers anew in each session.

    What would be left without its layer's name stays whole: ``kernel`` may be anybody's.
    """
    inner = name.partition("/")[2]
    return inner if "/" in inner else name


def _match(pairing: Pairing, live: Sequence[str], stored: Sequence[str]) -> None:
    """Pair equal names that are unambiguous; the partitions of one variable share one."""
    targets = pairing.live.targets
    taken = set(pairing.pairs.values())
    free = [place for place in range(len(stored)) if place not in taken]
    count = Counter(stored[place] for place in free)
    places = {stored[place]: place for place in free if count[stored[place]] == 1}
    bearers = Counter(name for place, name in enumerate(live) if place not in pairing.pairs)
    for place, name in enumerate(live):
        is_single = bearers[name] == 1 or targets[place].piece is not None
        if place not in pairing.pairs and name in places and is_single:
            pairing.pairs[place] = places[name]


def by_given_name(pairing: Pairing, *, fitting: bool) -> None:
    """Pair what is left by equal names that somebody gave, with or without the model's before them.

    Parameters
    ----------
    fitting : bool
        Whether only values of the same shape count; then also a layer's own name, wherever the layer is.
    """
    _match_given(pairing, lambda name: name, fitting=fitting)
    if fitting:
        _match_given(pairing, lambda name: name[-2:], fitting=fitting)


def _match_given(pairing: Pairing, short: Callable[[tuple[str, ...]], tuple[str, ...]], *, fitting: bool) -> None:
    """Pair given names that are unambiguous on both sides."""
    live, kinds = pairing.live, pairing.live.kinds
    listed = set(pairing.stored.listed) if pairing.stored.is_keras_list else None
    free = [place for place in pairing.left_over if listed is None or place in listed]
    theirs = {place: short(_key(_bare(pairing.scope(place), live.name), kinds)) for place in free}
    ours = {place: short(_key(live.targets[place].scope, kinds)) for place in pairing.missing}
    count, bearers = Counter(theirs.values()), Counter(ours.values())
    places = {key: place for place, key in theirs.items() if key and count[key] == 1}
    for target, key in ours.items():
        other = places.get(key)
        if other is not None and bearers[key] == 1 and (not fitting or pairing.fits(target, other)):
            pairing.pairs[target] = other
            pairing.explicit.add(target)


def _key(scope: tuple[str, ...], kinds: frozenset[str]) -> tuple[str, ...]:
    """Return a name without what was made up around it; none if nobody gave any of it."""
    outer = tuple(name for name in scope[:-1] if not automatic_names.is_made_up(name, kinds))
    is_own = len(scope) == 1 and not automatic_names.is_made_up(scope[-1], kinds)
    return (*outer, scope[-1]) if outer or is_own else ()


def _by_rank(pairing: Pairing, among: Iterable[int]) -> None:
    """Pair names of which only the made-up numbers differ: all weights or none, then what there is of states.

    Some names begin with that of the model, and which part of them that is the file does not say.
    """
    live, saved = pairing.live, pairing.stored.saved
    places = [place for place in among if place not in pairing.pairs.values()]
    ours = automatic_names.ranked([target.scope for target in live.targets], live.kinds)
    firsts = dict.fromkeys(saved[place].scope[0] for place in places if len(saved[place].scope) > 1)
    models = [name for name in firsts if name == live.name or automatic_names.is_made_up(name, live.model_kinds)]
    for model in ("", *models):
        theirs = automatic_names.ranked([_bare(saved[place].scope, model) for place in places], live.kinds)
        single = {name: place for name, place in zip(theirs, places, strict=True) if theirs.count(name) == 1}
        pairs = {target: single[name] for target, name in enumerate(ours) if name in single and ours.count(name) == 1}
        pairs = {target: other for target, other in pairs.items() if target not in pairing.pairs}
        pairs = _without_other_states(pairing, pairs)
        if pairs.keys() >= set(pairing.required()) and all(pairing.fits(*pair) for pair in pairs.items()):
            pairing.pairs |= pairs
            return


def _bare(scope: tuple[str, ...], model: str) -> tuple[str, ...]:
    """Leave out the name of a model that a variable's may begin with."""
    return scope[1:] if len(scope) > 1 and scope[0] == model else scope


# Checkpoints of objects


def _by_objects(pairing: Pairing) -> None:
    """Pair along the attributes of objects; where those of a SavedModel are others, by the order of its variables."""
    graph = pairing.stored.objects
    assert graph is not None  # noqa: S101 - for mypy: that is what the layout says
    chosen = _chosen(pairing, object_edges.matched(pairing.live.source, graph))
    before = dict(pairing.pairs)
    if chosen is not None:
        _follow(pairing, chosen)
    if not pairing.stored.listed:
        by_given_name(pairing, fitting=False)
    elif not _is_complete(pairing):
        pairing.pairs = before
        _by_list(pairing)


def _follow(pairing: Pairing, edges: Edges) -> None:
    live = pairing.live
    unlisted = [variable for number, variable in edges.objects.items() if number not in live.places]
    pairing.live = live = extended(live, unlisted)
    keys = {value.key: place for place, value in enumerate(pairing.stored.saved)}
    for number, key in edges.variables.items():
        if key in keys:
            pairing.propose(live.places[number], keys[key])
    pairing.tables = [edge for edge in edges.tables if f"{edge.key}-keys" in keys]


def _chosen(pairing: Pairing, walks: Sequence[Edges]) -> Edges | None:
    """Choose the object of the checkpoint that is the live one: by most weights, then by the names given to them.

    Raises
    ------
    ConversionError
        If two are equally good.
    """
    weights = {id(target.variable) for target in pairing.live.targets if not target.is_state}
    best = _best(walks, lambda edges: len(weights & edges.variables.keys()) or (0.5 if edges.tables else 0))
    best = _best(best, lambda edges: _agreement(pairing, edges))
    best = _best(best, lambda edges: len(edges.variables))
    if len({tuple(edges.variables.values()) for edges in best}) > 1:
        names = [edges.root or "(the root)" for edges in best]
        raise errors.ConversionError(
            f"the checkpoint holds {len(best)} objects that fit, {errors.listed(names)}, and nothing says which of "
            f"them is meant; give tf.train.Checkpoint({names[-1]}=model) instead of the model"
        )
    return best[0] if best else None


def _best(walks: Sequence[Edges], score: Callable[[Edges], float]) -> list[Edges]:
    scores = [score(edges) for edges in walks]
    most = max(scores, default=0)
    return [edges for edges, own in zip(walks, scores, strict=True) if own == most]


def _agreement(pairing: Pairing, edges: Edges) -> int:
    """Count the variables that have the names that somebody gave them in the checkpoint."""
    live, saved = pairing.live, {value.key: value for value in pairing.stored.saved}
    ours = [live.targets[live.places[number]].scope for number in edges.variables if number in live.places]
    keys = {_key(scope, live.kinds) for scope in ours}
    theirs = {_key(saved[key].scope, live.kinds) for key in edges.variables.values() if key in saved}
    return len({key for key in keys & theirs if key})


def _is_complete(pairing: Pairing) -> bool:
    return not pairing.required() and all(pairing.fits(*pair) for pair in pairing.pairs.items())


def _by_list(pairing: Pairing) -> None:
    """Pair a SavedModel's variables by their order and by their names less the made-up numbers.

    Keras exports a model's own list. Elsewhere the order is that in which a graph met the variables, which says less.
    """
    listed = pairing.stored.listed
    rules = [_in_order, _by_rank]
    for rule in rules if pairing.stored.is_keras_list else reversed(rules):
        rule(pairing, listed)
        if not pairing.required():
            return
    by_given_name(pairing, fitting=True)


def _in_order(pairing: Pairing, listed: Sequence[int]) -> None:
    """Pair two lists: as many, of the same shapes, each in the same role."""
    targets = pairing.live.targets
    weights = [place for place, target in enumerate(targets) if not target.is_state]
    for wanted in (_of_model(pairing.live), weights):
        pairs = dict(zip(wanted, listed, strict=False)) if len(wanted) == len(listed) else {}
        pairs = {target: other for target, other in pairs.items() if other not in pairing.reserved}
        pairs = _without_other_states(pairing, pairs)
        attempt = Pairing(pairing.live, pairing.stored, {**pairs, **pairing.pairs}, set(pairing.explicit))
        if attempt.pairs and _is_complete(attempt) and _has_its_roles(attempt):
            pairing.pairs = attempt.pairs
            return


def _without_other_states(pairing: Pairing, pairs: Mapping[int, int]) -> dict[int, int]:
    """Leave out states of another dtype: generators had `uint32` up to Keras 3.4, and keep no weight from its value."""
    targets, saved = pairing.live.targets, pairing.stored.saved
    return {
        target: other
        for target, other in pairs.items()
        if not targets[target].is_state or targets[target].dtype == saved[other].dtype
    }


def _of_model(live: LiveVariables) -> list[int]:
    """Return the places of a Keras model's own variables, the states of its generators among them."""
    own = {id(variable) for variable in getattr(live.source, "variables", ())} if live.form == KERAS else set()
    return [place for place, target in enumerate(live.targets) if id(target.variable) in own]


def _has_its_roles(pairing: Pairing) -> bool:
    """Whether no value is called as another variable is in its layer: a mean is no offset, whatever its shape."""
    pairs = ((pairing.live.targets[target], pairing.stored.saved[other]) for target, other in pairing.pairs.items())
    roles = [(live.scope[-1], saved.scope[-1]) for live, saved in pairs if live.scope and saved.scope]
    ours, theirs = {live for live, _ in roles}, {saved for _, saved in roles}
    return all(live == saved or (live not in theirs and saved not in ours) for live, saved in roles)


# Keras' files


def _by_paths(pairing: Pairing) -> None:
    """Pair along Keras' own walk; an optimizer that does not fit as a whole takes nothing."""
    live, saved = pairing.live, pairing.stored.saved
    keys = {keras_places.todays_path(value.key): place for place, value in enumerate(saved)}
    keys |= {value.key: place for place, value in enumerate(saved)}
    stored = keras_places.groups({value.key: value.shape for value in saved})
    for owner in keras_places.owners(live.source, stored):
        places = {name: keys[keras_places.dataset(owner.path, name)] for name in owner.variables}
        if not owner.fits:
            is_same = owner.variables.keys() == stored[owner.path].keys() and not owner.is_optimizer
            pairs = owner.variables.items() if is_same else ()
        else:
            pairs = owner.variables.items()
            pairing.loading.append(Loading(owner, places))
        for name, variable in pairs:
            target = live.places.get(id(variable))
            if target is not None:
                pairing.propose(target, places[name])
            if target is not None and pairing.pairs.get(target) == places[name]:
                pairing.ways[target] = owner.names, frozenset(owner.kinds)
    pairing.by_themselves(lambda target, other: pairing.pairs.get(target) == other)


def _by_layers(pairing: Pairing) -> None:
    """Pair in the order of layers."""
    ordered = ordered_layers.ordered(pairing.live.source, pairing.stored.saved)
    pairing.problem = ordered.problem if pairing.required() else ""
    for variable, place, names in ordered.pairs:
        target = pairing.live.places.get(id(variable))
        if target is not None:
            pairing.propose(target, place)
            pairing.ways[target] = names, pairing.live.targets[target].kinds | pairing.live.kinds
