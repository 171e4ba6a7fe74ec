"""One thing to know before trusting a model, as data, and what the checks that find such things may ask of a model.

Not for: the checks, nor their list (:mod:`tfmagic.findings.cautions`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np

from tfmagic.graphs import constants, function_uses, node_columns, plumbing, signatures
from tfmagic.graphs.ops import of_kind
from tfmagic.graphs.walks import reached

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tfmagic.files import protos
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.frames import LayerRow, SignatureRow, VariableRow
    from tfmagic.graphs.function_uses import FunctionUse
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.node_columns import NodeColumns

LOW, MEDIUM, HIGH = "low", "medium", "high"
#: The gravest last.
SEVERITIES: Final = (LOW, MEDIUM, HIGH)
#: Letters of what and where that a line shows: a cell of a table has as many.
_SHOWN = 110
#: Nodes of a graph in which the way to each signature is followed.
MOST_FOLLOWED = 300_000
#: Nodes of one kind whose attributes are read: a display does not wait for more.
MOST_READ = 2_000
#: Ops that run one of several functions: what is in one of them need not run.
_BRANCHING = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_SWITCHES = frozenset({"Switch", "RefSwitch"})
_JOINS = frozenset({"Merge", "RefMerge", "Exit", "RefExit"})


@dataclass(frozen=True)
class Caution:
    """One thing to know.

    Attributes
    ----------
    code : str
        What kind of thing it is, in words with hyphens: ``"moving-averages"``.
    severity : str
        ``"low"``, ``"medium"`` or ``"high"``: how wrong a result may be.
    where : str
        The nodes, variables, layers or keys that it is about.
    advice : str
        What to do, or what follows; no full stop.
    what : str
        What is the matter; no full stop.
    ops : tuple of str
        The types of the ops that it is about, if it is about ops.
    names : tuple of str
        The nodes or variables that it is about, where there are not too many.
    """

    code: str
    severity: str
    where: str
    advice: str
    what: str
    ops: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it in a sentence, without its full stop."""
        return f"{self.facts()[0][1]}; {self.advice}"

    def facts(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return it as two lines of a result."""
        # What is the matter comes first, and what is cut is the end of a list of names.
        most = max(_SHOWN - len(self.what), 3)
        shown = self.where if len(self.where) <= most else f"{self.where[: most - 1]}…"
        where = f" ({shown})" if shown else ""
        return (f"caution ({self.severity})", f"{self.what}{where}"), ("what to do", self.advice)


class CautionedModel(Protocol):
    """What checks may ask of a model."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that it has, read or not."""

    @property
    def meta_graph(self) -> MetaGraph:
        """The MetaGraphDef whose ops are shown."""

    @property
    def has_no_signature(self) -> bool:
        """Whether there is a graph, and nothing says where it begins and ends."""

    @property
    def ends(self) -> plumbing.Ends:
        """Where the main graph seems to begin and end."""

    @property
    def has_own_ops(self) -> bool:
        """Whether its graph is of ops that TensorFlow does not have."""

    @property
    def variables_are_constants(self) -> bool:
        """Whether what are called its variables are constants of the graph."""

    @property
    def resizes_inputs(self) -> bool:
        """Whether whoever runs it may give its inputs other sizes than it states."""

    @property
    def is_live(self) -> bool:
        """Whether it is an object of the user's, not a file."""

    def is_at_hand(self, part: str) -> bool:
        """Whether there is such a part, and a display may ask for it."""

    def layer_settings(self, name: str) -> Mapping[str, object]:
        """Return what a layer was made with, nothing where that is not known."""

    def signature_rows(self) -> Sequence[SignatureRow]:
        """Return the rows of the table of signatures, those proposed left out."""

    def layer_rows(self) -> Sequence[LayerRow]:
        """Return the rows of the table of layers; raises MissingPartError where the form has none."""

    def variable_rows(self) -> Sequence[VariableRow]:
        """Return the rows of the table of variables, none where there is none."""

    def checkpoint_files(self) -> CheckpointFiles | None:
        """Return the checkpoint with the values of its variables, None if it has none."""

    def layers_in_training(self) -> Collection[str]:
        """Return the layers that are called with ``training=True``, whatever the model is called with."""

    def captured_tables(self) -> tuple[str, ...]:
        """Return the classes of the tables that can be written and that a live function captured."""

    def without_value(self, names: Collection[str]) -> list[str]:
        """Return those variables of the main graph, by their nodes, that have no value."""

    def first_values(self, row: VariableRow, most: int) -> list[float]:
        """Return the first values of a variable; raises ReadError where they cannot be read."""

    @property
    def ema(self) -> bool:
        """Whether its weights are their moving averages."""

    def optimizer_averages(self) -> list[str]:
        """Return the weights whose moving averages, which an optimizer keeps, are other values."""

    def averaged(self, names: Collection[str]) -> list[str]:
        """Return those variables of the main graph, by their nodes, beside which a moving average lies."""


class Place(NamedTuple):
    """A node of the table of ops: its row, some of its columns, and what it takes by data."""

    row: int
    function: str
    name: str
    op: str
    dtype: str
    inputs: tuple[str, ...]


class Subject:
    """A model under the eyes of the checks, and what several of them want to know of it.

    Parameters
    ----------
    model : CautionedModel
        The model.
    """

    def __init__(self, model: CautionedModel) -> None:
        self.model = model

    @cached_property
    def has_graph(self) -> bool:
        """Whether its graph can be looked at: of other ops than TensorFlow's nothing is known here."""
        return self.model.is_at_hand("graph") and not self.model.has_own_ops

    @cached_property
    def columns(self) -> NodeColumns:
        """The columns of the whole table of ops; the table itself needs pandas, which takes longer than the checks."""
        return node_columns.read(self.model.meta_graph.graph, {})

    @cached_property
    def present(self) -> frozenset[str]:
        """The types of ops that there are, none where no graph is at hand."""
        return frozenset(self.columns.op.labels) if self.has_graph else frozenset()

    def those(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Return those of some types of ops that there are."""
        return tuple(sorted(self.present.intersection(wanted)))

    @cached_property
    def is_followed(self) -> bool:
        """Whether the graph is small enough to follow its edges."""
        return self.has_graph and len(self.columns.name) <= MOST_FOLLOWED

    @cached_property
    def definitions(self) -> list[protos.Message]:
        """The SignatureDefs that users call."""
        signed = self.model.meta_graph.signature_def if self.has_graph else {}
        return [each for key, each in signed.items() if not signatures.is_hidden(key)]

    @cached_property
    def outputs(self) -> list[str]:
        """The tensors that the signatures give, those proposed where there is none."""
        tensors = [end.tensor for each in self.definitions for end in signatures.endpoints(each.outputs)]
        return [part for tensor in tensors for part in tensor.split(",") if part] or (
            list(self.model.ends.outputs) if self.model.has_no_signature and self.is_followed else []
        )

    @cached_property
    def inputs(self) -> dict[str, str]:
        """The keys of the signatures' inputs, by the node of each."""
        ends = (end for each in self.definitions for end in signatures.endpoints(each.inputs))
        known = {end.tensor.partition(":")[0]: end.key for end in ends}
        if known or not (self.model.has_no_signature and self.is_followed):
            return known
        return {name: name for name in (tensor.partition(":")[0] for tensor in self.model.ends.inputs)}

    @cached_property
    def uses(self) -> list[FunctionUse]:
        """The functions of the library, and what calls them."""
        return function_uses.read(self.model.meta_graph.graph)

    @cached_property
    def nodes(self) -> dict[str, plumbing.Node]:
        """The nodes of the main graph, by name."""
        return plumbing.main_graph_of(self.columns)

    @cached_property
    def _needed(self) -> tuple[set[str], set[str]] | None:
        """The nodes and functions that the outputs need: a Keras model is saved with its training step beside them.

        None where all count.
        """
        if not self.outputs or not self.is_followed:
            return None
        return plumbing.needed(self.nodes, self.uses, self.outputs)

    def rows(self, wanted: Collection[str]) -> list[Place]:
        """Return the nodes of some types of ops that the outputs need, so many as are read."""
        if not self.those(wanted):
            return []
        places = self._places(np.flatnonzero(self.columns.op.among(wanted)).tolist())
        if self._needed is not None:
            nodes, called = self._needed
            places = (each for each in places if (each.function in called if each.function else each.name in nodes))
        return list(itertools.islice(places, MOST_READ))

    def _places(self, rows: Iterable[int]) -> Iterator[Place]:
        columns = self.columns
        for row in rows:
            named = columns.function[row], columns.name[row], columns.op[row], columns.dtype[row]
            yield Place(row, *named, columns.inputs[row])

    def node_def(self, row: int) -> protos.Message:
        """Return the NodeDef of a row of the table of ops."""
        return self.model.meta_graph.graph.node_def(row)

    @cached_property
    def branches(self) -> set[str]:
        """The functions that need not run: branches, and what only branches call."""
        branches: set[str] = set()
        for place in self.rows(_BRANCHING):
            for value in self.node_def(place.row).attr.values():
                branches.update(filter(None, (value.func.name, *(each.name for each in value.list.func))))
        grown = bool(branches)
        while grown:
            more = {use.name for use in self.uses if use.called_by and branches.issuperset(use.called_by)} - branches
            branches |= more
            grown = bool(more)
        return branches

    def always_run(self, places: Iterable[Place]) -> list[Place]:
        """Return those of some nodes that run whatever is fed, as far as can be seen."""
        outside = [each for each in places if each.function not in self.branches]
        if not outside or not self.those(_SWITCHES) or not self.is_followed:
            return outside
        return [each for each in outside if each.function or each.name not in self._decided]

    @cached_property
    def _decided(self) -> set[str]:
        """The nodes of the main graph between a Switch and where its branches, or its loop, come together again."""
        nodes, used = self.nodes, plumbing.consumers(self.nodes)
        switches = (name for name, node in nodes.items() if node.op in _SWITCHES)
        return reached(switches, lambda name: (each for each in used.get(name, ()) if nodes[each].op not in _JOINS))

    def constant(self, function: str, text: str) -> np.ndarray | None:
        """Return the value of a constant that an input of a function's node, or of the main graph's, names."""
        place = self.nodes_of(function).get(text.partition(":")[0])
        if place is None or place.op != "Const":
            return None
        node = self.node_def(place.row)
        return constants.tensor_value(node.attr["value"].tensor) if "value" in node.attr else None

    def nodes_of(self, function: str) -> Mapping[str, Place]:
        """Return the nodes of a function, or of the main graph, by name."""
        if function not in self._by_function:
            rows = np.flatnonzero(self.columns.function.among({function})).tolist()
            self._by_function[function] = {each.name: each for each in self._places(rows)}
        return self._by_function[function]

    @cached_property
    def _by_function(self) -> dict[str, dict[str, Place]]:
        return {}

    def following(self, function: str, roots: Iterable[str], ops: Collection[str]) -> set[str]:
        """Return what consumes some nodes of a function, through ops of some types, these included."""
        if function not in self._consumers:
            used: dict[str, list[tuple[str, str]]] = {}
            for name, place in self.nodes_of(function).items():
                for text in place.inputs:
                    used.setdefault(text.partition(":")[0], []).append((name, place.op))
            self._consumers[function] = used
        used = self._consumers[function]
        return reached(roots, lambda name: (user for user, op in used.get(name, ()) if op in ops))

    @cached_property
    def _consumers(self) -> dict[str, dict[str, list[tuple[str, str]]]]:
        return {}

    @cached_property
    def layers(self) -> Sequence[LayerRow] | None:
        """The Keras layers, None where there are none to be seen."""
        return self.model.layer_rows() if self.model.is_at_hand("keras") else None

    def settings(self, classes: Collection[str]) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Yield the name of each layer of some classes, and what it was made with."""
        if self.layers is None:
            return
        rows = (row for row in self.layers if not classes or row.class_ in classes)
        for row in itertools.islice(rows, MOST_READ):
            yield row.name, self.model.layer_settings(row.name)


#: Nodes that stand for what whoever runs the graph feeds.
PLACEHOLDERS: Final = of_kind("placeholder", "default placeholder")
