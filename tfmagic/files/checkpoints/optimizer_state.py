"""Which tensors of a checkpoint are the state of an optimizer: slots, counters, powers of betas, its learning rate.

An object graph says what belongs to an optimizer; a checkpoint of TensorFlow 1 has names alone. Not for: what a graph
does with its variables (``transforms/slim``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfmagic.files.checkpoints.entries import Entry
    from tfmagic.files.protos import Message

#: How the key of a slot of Keras 2's older optimizers, and of TensorFlow 1's in an object graph, goes on.
_SLOT = "/.OPTIMIZER_SLOT/"
#: How Keras files, and the objects that Keras saves, call what an optimizer keeps.
_OF_KERAS = "optimizer/"
#: Lists of an optimizer: of the weights that it trains, and of all that it keeps itself.
_TRAINED, _KEPT = "_trainable_variables", "_variables"
#: What optimizers call their counter and their rate, of which one alone might be anybody's.
_COUNTERS = frozenset({"_iterations", "iterations", "iter", "_iter"})
_RATES = frozenset({"_learning_rate", "learning_rate", "_current_learning_rate"})
#: What optimizers of TensorFlow 1 call their slots; the second of a name gets a number.
_NAMED_SLOT = re.compile(
    r"(?:Adam|Adamax|Nadam|AdaMax|AdamW|LazyAdam|LAMB|Momentum|RMSProp|Adagrad|AdagradDA|Adadelta|Ftrl|"
    r"ProximalAdagrad|AddSign|PowerSign|SGD|ExponentialMovingAverageSlot)(?:_\d+)?\Z"
)
#: Behind the name of an optimizer of Keras in TensorFlow 1, ``training/Adam/dense/kernel/m``.
_KERAS_SCOPE = re.compile(
    r"(?:training(?:_\d+)?/)?(?:Adam|Adamax|Nadam|RMSprop|RMSProp|SGD|Adagrad|Adadelta|Ftrl)(?:_\d+)?/"
)
_KERAS_SLOT = re.compile(r"(?:m|v|vhat|rms|mg|momentum|accumulator|accum_grad|accum_var|linear)(?:_\d+)?\Z")
_KERAS_SCALAR = re.compile(
    r"(?:iterations?|iter|lr|learning_rate|decay|beta_1|beta_2|rho|momentum|m_schedule)(?:_\d+)?\Z"
)
_POWER = re.compile(r"(?:.*/)?beta[12]_power(?:_\d+)?\Z", re.DOTALL)


class Stored(Protocol):
    """What is known of a stored value."""

    @property
    def dtype(self) -> Any:  # noqa: ANN401 - entries have numbers, rows names
        """The dtype, the same for equal ones."""

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """The shape, None where it is not known."""


def keys(entries: Mapping[str, Entry], graph: Message | None) -> set[str]:
    """Return the keys of the tensors that are an optimizer's own.

    Parameters
    ----------
    entries : mapping of str to Entry
        The tensors of a checkpoint.
    graph : TrackableObjectGraph or None
        Its object graph; without, names tell.
    """
    if graph is None:
        return set(_by_name(entries))
    states = _states(graph)
    held = {each.checkpoint_key for node in states for each in graph.nodes[node].attributes}
    return (held | {key for key in entries if _SLOT in key}) & entries.keys()


def names(variables: Mapping[str, Stored]) -> set[str]:
    """Return which variables are an optimizer's own, by the names under which any form shows them.

    Parameters
    ----------
    variables : mapping of str to Stored
        All that are stored together, by name: a slot is one beside the variable that it is for.
    """
    return {*_by_name(variables), *(name for name in variables if _SLOT in name or name.startswith(_OF_KERAS))}


def optimizer_nodes(graph: Message) -> set[int]:
    """Return the nodes of a TrackableObjectGraph, or a SavedObjectGraph, that are optimizers."""
    return {number for number, node in enumerate(graph.nodes) if node.slot_variables or _is_optimizer(node)}


def _is_optimizer(node: Message) -> bool:
    names = {child.local_name for child in node.children}
    return {_TRAINED, _KEPT} <= names or bool(names & _COUNTERS and names & _RATES)


def _states(graph: Message) -> set[int]:
    """Return the nodes that only optimizers have, less the weights that they train."""
    optimizers = optimizer_nodes(graph)
    references = [graph.nodes[number] for number in sorted(optimizers)]
    slots = {slot.slot_variable_node_id for node in references for slot in node.slot_variables}
    trained = {child.node_id for node in references for child in node.children if child.local_name == _TRAINED}
    elsewhere = _hanging(graph, {0} - optimizers, optimizers) | _hanging(graph, trained)
    there = set(range(len(graph.nodes)))
    return ((_hanging(graph, optimizers) - elsewhere - {0}) | slots) & there


def _hanging(graph: Message, roots: Collection[int], stops: Collection[int] = ()) -> set[int]:
    """Return the nodes that hang on some, less what hangs on others only; ids that lead nowhere are passed over."""
    there = range(len(graph.nodes))
    nodes: set[int] = set()
    waiting = list(roots)
    while waiting:
        number = waiting.pop()
        if number in nodes or number not in there or number in stops:
            continue
        nodes.add(number)
        waiting.extend(child.node_id for child in graph.nodes[number].children)
    return nodes


def _by_name(entries: Mapping[str, Stored]) -> Iterator[str]:
    for key, entry in entries.items():
        variable, _, last = key.rpartition("/")
        is_slot = bool(_NAMED_SLOT.match(last)) and variable in entries and entries[variable].dtype == entry.dtype
        if is_slot or (_POWER.match(key) and entry.shape == ()):
            yield key
        elif scope := _KERAS_SCOPE.match(key):
            inner, _, name = key[scope.end() :].rpartition("/")
            if (inner in entries and _KERAS_SLOT.match(name)) or (not inner and _KERAS_SCALAR.match(name)):
                yield key


def remove(graph: Message, gone: Collection[str]) -> None:
    """Take keys out of a TrackableObjectGraph that the checkpoint has no longer.

    Nodes and edges stay, as they go by number; a slot goes with its value.
    """
    lost = set()
    for number, node in enumerate(graph.nodes):
        kept = [each for each in node.attributes if each.checkpoint_key not in gone]
        if len(kept) < len(node.attributes):
            lost.add(number)
            del node.attributes[:]
            node.attributes.extend(kept)
            if not kept and not node.children:
                node.has_checkpoint_values.value = False
    for node in graph.nodes:
        slots = [slot for slot in node.slot_variables if slot.slot_variable_node_id not in lost]
        if len(slots) < len(node.slot_variables):
            del node.slot_variables[:]
            node.slot_variables.extend(slots)
