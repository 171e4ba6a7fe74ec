"""Part and Model: what every reader returns and every writer takes.

A part of a model is absent, unread or read: a reader gives a loader for each part its form has, a loader runs
once, when the part is first asked for. Not for: how a table is made of a part (:mod:`tfmagic.models.tables`), or
knowing any form, format or TensorFlow.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfmagic import errors, frames
from tfmagic.display.summary import Displayed
from tfmagic.files import file_marks, protos, wire
from tfmagic.findings import cautions
from tfmagic.graphs import function_uses, plumbing, signatures
from tfmagic.graphs import variables as graph_variables
from tfmagic.models import costs as model_costs
from tfmagic.models import tables as model_tables
from tfmagic.models.form import Form, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.findings.caution import Caution
    from tfmagic.findings.scan import Finding
    from tfmagic.frames import VariableRow
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.graphs.function_uses import FunctionUse
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.models.value_blocks import Values


__all__ = ["TABLE_PARTS", "Form", "Model", "Part"]

#: The part that each table shows.
TABLE_PARTS: Mapping[str, Part] = {
    "signatures": Part.SIGNATURES,
    "ops": Part.GRAPH,
    "functions": Part.GRAPH,
    "variables": Part.VARIABLES,
    "metagraphs": Part.GRAPH,
    "assets": Part.GRAPH,
    "layers": Part.KERAS,
    "costs": Part.GRAPH,
}
#: Under this name a model keeps the rows of its scan.
_FINDINGS = "findings"
_MISSING_ADVICE = "Convert the source to a form that has it, or give the model that it came from"


@dataclass(frozen=True, repr=False, eq=False)
class Model(Displayed):
    """A source that was recognised, its parts read when they are asked for.

    Attributes
    ----------
    form : str
        The form that claimed the source (a row of ``tfmagic.forms()``).
    origin : str
        Where it came from: a path, or the type and name of a live object.
    loaders : mapping of Part to callable
        What reads each part that there is. GRAPH gives a tuple of :class:`MetaGraph`, SIGNATURES
        :data:`TaggedSignatures`, VARIABLES a tuple of :class:`VariableRow`, KERAS a tuple of :class:`LayerRow`,
        FUNCTION a callable from a signature's key to a :class:`NamedFunction`.
    notes : tuple of str
        What a person should know of how it was read: the version chosen, a piece that is missing.
    path : Path or None
        The file or directory, if it is one.
    file : Path or None
        The file with the graph, where ``path`` is a directory.
    computed : frozenset of Part
        Parts that the source does not hold: a library makes them, in seconds. No display asks for them.
    trusting : callable or None
        Returns the same model, read with the user's word that it may act outside itself; None if that was given, or the
        model is the user's own.
    averaging : callable or None
        Returns the same model with the moving averages of its weights in their place; None where the form has none.
    averages_apart : callable or None
        Returns the weights whose moving averages, which an optimizer keeps, are other values; None without optimizers.
    ema : bool
        Whether its weights are their moving averages.
    narrowed : callable or None
        Returns the model of one MetaGraphDef, by its tag-set; None if there is but one.
    live : object
        What the user gave, if that is a live object; else None.
    state : callable or None
        Returns the :class:`Store` of what is a graph: its messages, and a way to the values of its variables. None, or
        returns None, for what can only be called.
    checkpoint : callable or None
        Finds the checkpoint with the values of its variables, as it lies on disk; None if the form has none there.
    values : callable or None
        Returns the :class:`Values` of a variable, by its row in the table, where they lie in no checkpoint.
    settings : callable or None
        Returns the arguments of a layer's constructor, by the layer's name in the table; None where no layers are.
    reader : Form
        What its form is able to do. Recognition puts the reader here that claimed the source.
    advice : str
        Why parts are absent that the form in general has, and what to do; a sentence, or nothing.
    marks : mapping of Path to Mark
        How the files looked when the model was recognised.
    carried : tuple of Caution
        What is to be known of it for how it was made: of what it was frozen from.
    """

    form: str
    origin: str
    loaders: Mapping[Part, Callable[[], Any]]
    notes: tuple[str, ...] = ()
    path: Path | None = None
    file: Path | None = None
    computed: frozenset[Part] = frozenset()
    trusting: Callable[[], Model] | None = None
    averaging: Callable[[], Model] | None = None
    averages_apart: Callable[[], list[str]] | None = None
    ema: bool = False
    narrowed: Callable[[Collection[str]], Model] | None = None
    live: Any = None
    state: Callable[[], Store | None] | None = None
    checkpoint: Callable[[], CheckpointFiles | None] | None = None
    values: Callable[[VariableRow], Values] | None = None
    settings: Callable[[str], Mapping[str, object]] | None = None
    reader: Form = field(default_factory=Form)
    advice: str = ""
    marks: Mapping[Path, file_marks.Mark] = field(default_factory=dict)
    carried: tuple[Caution, ...] = ()
    _read: dict[str, Any] = field(default_factory=dict, init=False, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, compare=False)
    _scan_lock: threading.RLock = field(default_factory=threading.RLock, init=False, compare=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that this source has, read or not."""
        return tuple(part.value for part in Part if part in self.loaders)

    @property
    def title(self) -> str:
        """What a person calls a source of this form."""
        return self.reader.title or self.form

    @property
    def variables_are_constants(self) -> bool:
        """Whether what are called its variables are constants of the graph."""
        return self.reader.variables_are_constants

    def part(self, part: Part) -> Any:  # noqa: ANN401 - each part has a type of its own
        """Return a part, reading it at the first call.

        Raises
        ------
        MissingPartError
            If the form has no such part.
        CorruptSourceError
            If the part does not parse.
        """
        if part not in self.loaders:
            raise errors.MissingPartError(part.value, self.form, self.parts, self.advice or _MISSING_ADVICE)
        return self.once(part.value, self.loaders[part])

    @property
    def is_trusted(self) -> bool:
        """Whether nobody is asked before the model acts outside itself: the user vouched for it, or made it."""
        return self.trusting is None

    def layer_settings(self, name: str) -> Mapping[str, object]:
        """Return what a layer was made with, nothing where that is not known."""
        return self.settings(name) if self.settings is not None else {}

    def is_read(self, part: Part) -> bool:
        """Whether a part has been read already."""
        return part.value in self._read

    def is_at_hand(self, part: str) -> bool:
        """Whether there is such a part, and a display may ask for it."""
        return part in self.parts and (part not in self.computed or part in self._read)

    def once(self, name: str, load: Callable[[], Any]) -> Any:  # noqa: ANN401 - as part()
        """Return what was worked out under this name, working it out at the first call."""
        # Two tabs of a panel may ask at the same time: the second waits for what the first reads.
        return self._once(name, load, self._lock)

    def _once(self, name: str, load: Callable[[], Any], lock: threading.RLock) -> Any:  # noqa: ANN401 - as above
        with lock:
            if name not in self._read:
                self._load(name, load)
            value = self._read[name]
        if isinstance(value, errors.CorruptSourceError):
            raise value
        return value

    def _load(self, name: str, load: Callable[[], Any]) -> None:
        try:
            with self.well_formed():
                self._read[name] = load()
        except errors.CorruptSourceError as error:
            # A damaged file is not read again for each line of a display.
            self._read[name] = error

    @contextmanager
    def well_formed(self) -> Iterator[None]:
        """Say which file it is that does not parse, where what is done with the model's messages meets it.

        What fails because a file was written again meanwhile, or is gone, is told as that.
        """
        try:
            yield
        except Exception as error:
            is_told = isinstance(error, errors.TfMagicError | FileNotFoundError)
            if isinstance(error, errors.VerificationError) or not is_told:
                self.require_unchanged(error)
                self._require_there(error)
            if not isinstance(error, wire.WireError):
                raise
            where = repr(str(self.file)) if self.file else repr(self.origin)
            message = (
                f"{where} is not a well-formed {self.form}: {error}; it is truncated or damaged, fetch or save it again"
            )
            raise errors.CorruptSourceError(message) from error

    @contextmanager
    def becoming(self, format: str) -> Iterator[None]:
        """Say which source it is that cannot become a format, where what works on its graph or its calls meets it."""
        try:
            with self.well_formed():
                yield
        except errors.UnsupportedConversionError as error:
            if (error.form, error.format) == (self.form, format):
                raise
            raise errors.UnsupportedConversionError(self.form, format, error.possible, error.reason) from error

    def require_unchanged(self, cause: Exception | None = None) -> None:
        """Refuse to go on with a model whose files are others by now: what was shown of it is not what they hold.

        Raises
        ------
        ReadError
            Naming a file that was replaced, or written, since the model was recognised; what failed is its cause.
        """
        for path in file_marks.changed(self.marks):
            raise errors.ReadError(
                f"{str(path)!r} was written again after this model was read from it; inspect {self.origin!r} once "
                "more, or give its path"
            ) from cause

    def _require_there(self, cause: Exception) -> None:
        """Say which file is gone, if that may be what failed."""
        for path in file_marks.gone(self.marks):
            raise errors.ReadError(
                f"{str(path)!r} went away while it was read; put it back, or give the path of a whole model"
            ) from cause

    @property
    def has_objects(self) -> bool:
        """Whether TensorFlow loads objects from it, whose variables have names and flags of their own."""
        return self.state is not None and self.state() is None

    def with_notes(self, *notes: str) -> Model:
        """Return the model with more notes, its parts unread."""
        return replace(self, notes=self.notes + notes)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the model could do to who uses it: all rows of a scan, harmless ones included."""
        # A scan goes on behind what is shown, which does not wait for it.
        rows: tuple[Finding, ...] = self._once(
            _FINDINGS, lambda: (*self.reader.findings(self), *_of_checkpoint(self)), self._scan_lock
        )
        return rows

    @property
    def is_scanned(self) -> bool:
        """Whether it is known already what the model could do; of what is alive, nobody asks."""
        return self.path is None or _FINDINGS in self._read

    # Cautions

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What a person should know before trusting it, the gravest first: facts that were read, nothing is run."""
        own: list[Caution] = self.once("cautions", lambda: cautions.cautions(self))
        codes = {caution.code for caution in own}
        return tuple(cautions.arranged((*own, *(each for each in self.carried if each.code not in codes))))

    @property
    def resizes_inputs(self) -> bool:
        """Whether whoever runs it may give its inputs other sizes than it states."""
        return self.reader.resizes_inputs

    @property
    def is_live(self) -> bool:
        """Whether it is an object of the user's, not a file or a message."""
        return self.live is not None

    def variable_rows(self) -> Sequence[VariableRow]:
        """Return the rows of the table of variables, none where there is none to be seen."""
        rows: Sequence[VariableRow] = self.part(Part.VARIABLES) if self.is_at_hand("variables") else ()
        return [row for row in rows if row.name not in self._copies] if rows and self._copies else rows

    def checkpoint_files(self) -> CheckpointFiles | None:
        """Return the checkpoint with the values of its variables, None if it has none."""
        return None if self.checkpoint is None else self.checkpoint()

    def stored_state(self) -> Store | None:
        """Return where the graph and its values lie, of objects of TensorFlow 2 too; None where nothing says it."""
        store = None if self.state is None else self.state()
        if store is None and self.state is not None:
            from tfmagic.functions.state import saved_models  # noqa: PLC0415 - with the first graph that asks for it

            store = saved_models.Store(self.meta_graph, self.checkpoint_files(), ema=self.ema)
        return store

    def without_value(self, names: Collection[str]) -> list[str]:
        """Return those variables of the main graph, by their nodes, that have no value."""
        store = self.stored_state() if names else None
        return store.without_value(names) if store is not None else []

    def averaged(self, names: Collection[str]) -> list[str]:
        """Return those variables of the main graph, by their nodes, beside which a moving average lies."""
        store = self.stored_state() if names else None
        return store.averaged(names) if store is not None else []

    def optimizer_averages(self) -> list[str]:
        """Return the weights whose moving averages, which an optimizer keeps, are other values."""
        return [] if self.averages_apart is None else self.averages_apart()

    def first_values(self, row: VariableRow, most: int) -> list[float]:
        """Return the first values of a variable.

        Raises
        ------
        ReadError
            If they cannot be read, or are no numbers.
        """
        # With it comes what reads shards, and few models are asked.
        from tfmagic.models.variable_values import VariableValues  # noqa: PLC0415

        values = self.once("values of variables", lambda: VariableValues(self)).of(row)
        return [float(number) for block in itertools.islice(values.blocks(), 1) for number in block[:most]]

    # Messages

    @property
    def meta_graphs(self) -> tuple[MetaGraph, ...]:
        """All MetaGraphDefs, in place."""
        meta_graphs: tuple[MetaGraph, ...] = self.part(Part.GRAPH)
        return meta_graphs

    @cached_property
    def meta_graph(self) -> MetaGraph:
        """The MetaGraphDef whose ops are shown: the one tagged ``serve``, else the first."""
        with self.well_formed():
            serving = [each for each in self.meta_graphs if each.tags == signatures.DEFAULT_TAGS]
        return (serving or list(self.meta_graphs))[0]

    @property
    def meta_graph_def(self) -> protos.Message:
        """The MetaGraphDef message, of TensorFlow's own class if TensorFlow is loaded."""
        with self.well_formed():
            return protos.native(self.meta_graph.meta_graph_def())

    @property
    def graph_def(self) -> protos.Message:
        """The GraphDef message, of TensorFlow's own class if TensorFlow is loaded."""
        with self.well_formed():
            return protos.native(self.meta_graph.graph_def())

    @property
    def signature_def(self) -> dict[str, protos.Message]:
        """The SignatureDef messages of the MetaGraphDef that is shown, by key, bookkeeping included."""
        tagged: signatures.TaggedSignatures = self.part(Part.SIGNATURES)
        shown = self.meta_graph.tags if Part.GRAPH in self.loaders and len(tagged) > 1 else tagged[0][0]
        return {
            key: protos.native(signature) for tags, found in tagged if tags == shown for key, signature in found.items()
        }

    # Tables

    @property
    def signatures(self) -> pd.DataFrame:
        """Inputs and outputs of each SignatureDef."""
        return self.table("signatures")

    @property
    def ops(self) -> pd.DataFrame:
        """Nodes of the main graph and of all functions."""
        return self.table("ops")

    @property
    def functions(self) -> pd.DataFrame:
        """The function library."""
        return self.table("functions")

    @property
    def variables(self) -> pd.DataFrame:
        """Variables, without their values."""
        return self.table("variables")

    @property
    def metagraphs(self) -> pd.DataFrame:
        """The MetaGraphDefs by tag-set."""
        return self.table("metagraphs")

    @property
    def assets(self) -> pd.DataFrame:
        """Asset files."""
        return self.table("assets")

    @property
    def layers(self) -> pd.DataFrame:
        """Keras layers."""
        return self.table("layers")

    @property
    def costs(self) -> pd.DataFrame:
        """What one run costs for a batch of one, by Keras layer, else by name scope; nothing runs for it.

        ``attrs["total"]`` words all FLOPs together, with "at least" where a row does not tell its own.
        """
        return self.table("costs")

    def table(self, name: str, *, all: bool = False, depth: int | None = None) -> pd.DataFrame:  # noqa: A002 - the contract's name
        """Return one of the public tables (DESIGN section 5).

        Parameters
        ----------
        name : str
            ``"signatures"``, ``"ops"``, ``"functions"``, ``"variables"``, ``"metagraphs"``, ``"assets"``, ``"layers"``
            or ``"costs"``.
        all : bool
            Whether signatures of bookkeeping and the ops that save and restore are included.
        depth : int, optional
            Of ``costs``: how many parts of a name make its scope. By default the first at which the model is more than
            one.

        Raises
        ------
        UnknownNameError
            If there is no table of that name.
        MissingPartError
            If the form has no such table.
        """
        self._require_table(name)
        if name == "signatures" and self.has_no_signature:
            return self.proposals
        frame: pd.DataFrame = self.once(f"table {name} {depth}", lambda: self._frame(name, depth))
        hidden = [False] * len(frame) if all else self._hidden(name, frame)
        kept = frame[[not hide for hide in hidden]] if any(hidden) else frame
        return kept.reset_index(drop=True)

    def rows(self, name: str, *, all: bool = False, depth: int | None = None) -> frames.Rows | None:  # noqa: A002 - the contract's name
        """Return the rows of a table, without making a DataFrame of them.

        Takes and raises what :meth:`table` does. None of a table that is made of columns, not of rows: the ops, and a
        signature that is proposed for them.
        """
        self._require_table(name)
        if name not in _ROWS or (name == "signatures" and self.has_no_signature):
            return None
        rows = self._rows(name, depth)
        if name == "signatures" and not all:
            rows = [row for row in rows if not signatures.is_hidden(str(row[1]))]
        if name == "variables" and not all and self._copies:
            rows = [row for row in rows if row[0] not in self._copies]
        return frames.Rows(name, rows)

    def _require_table(self, name: str) -> None:
        """Raise where there is no such table, or the form has not what it shows."""
        if name not in TABLE_PARTS:
            raise errors.UnknownNameError(name, "table", TABLE_PARTS, self.form)
        is_proposed = name == "signatures" and self.has_no_signature
        part = Part.KERAS if name == "costs" and Part.KERAS in self.loaders else TABLE_PARTS[name]
        if part not in self.loaders and not is_proposed:
            advice = f"The table {name!r} needs it. {self.advice or _MISSING_ADVICE}"
            raise errors.MissingPartError(part.value, self.form, self.parts, advice)

    def _frame(self, name: str, depth: int | None) -> pd.DataFrame:
        if name not in _ROWS:
            return model_tables.ops(self.meta_graph)
        frame = frames.from_rows(name, self._rows(name, depth))
        if name == "costs":
            frame.attrs["total"] = model_costs.total_text(self._rows(name, depth))
        return frame

    def _rows(self, name: str, depth: int | None) -> Sequence[tuple[object, ...]]:
        if name == "costs":
            costs: tuple[frames.CostRow, ...] = self.once(f"rows costs {depth}", lambda: tuple(self._costs(depth)))
            return costs
        rows: Sequence[tuple[object, ...]] = self.once(f"rows {name}", lambda: tuple(_ROWS[name](self)))
        return rows

    def _costs(self, depth: int | None) -> Iterable[frames.CostRow]:
        """Return the costs of a Keras model's own layers, else of the scopes of its graph."""
        if Part.KERAS in self.loaders:
            return model_costs.of_layers(self.part(Part.KERAS), depth or 1)
        if self.has_no_signature:
            ends = model_costs.Ends.of_proposals(self.proposals)
        else:
            ends = model_costs.Ends.of_signatures(self.meta_graph.signature_def or dict(self.signature_def))
        # Another depth is another sum of the same.
        nodes = self.once("costs of nodes", lambda: model_costs.of_graph(self.meta_graph, ends))
        return model_costs.by_scope(nodes, depth)

    @property
    def has_no_signature(self) -> bool:
        """Whether there is a graph, and nothing says where it begins and ends."""
        if Part.GRAPH not in self.loaders:
            return False
        tagged = self.part(Part.SIGNATURES) if Part.SIGNATURES in self.loaders else ()
        return not any(found for _, found in tagged)

    @property
    def proposals(self) -> pd.DataFrame:
        """Inputs and outputs proposed for a graph without signatures: the columns of ``signatures``, none of it sure.

        The signature's key and its method are ``"proposed"``.
        """
        frame: pd.DataFrame = self.once(
            "proposals", lambda: model_tables.proposals(self.meta_graph, self.table("ops", all=True), self.ends)
        )
        return frame.copy()

    @cached_property
    def ends(self) -> plumbing.Ends:
        """Where the main graph seems to begin and end."""
        return plumbing.propose_ends(plumbing.main_graph(self.table("ops", all=True)))

    def hidden_count(self, name: str) -> int:
        """Return how many rows of a table are shown only with ``all``."""
        return len(self.table(name, all=True)) - len(self.table(name))

    @property
    def plumbing_ops(self) -> list[bool]:
        """Say of each row of the whole table of ops whether it only saves or restores."""
        return self._hidden("ops", self.table("ops", all=True))

    def _hidden(self, name: str, frame: pd.DataFrame) -> list[bool]:
        """Say of each row whether it is bookkeeping."""
        if name == "signatures":
            return [signatures.is_hidden(key) for key in frame["signature"]]
        if name == "ops":
            hidden: list[bool] = self.once("hidden ops", lambda: plumbing.is_plumbing(frame, self._function_uses))
            return hidden
        if name == "variables" and self._copies:
            return [each in self._copies for each in frame["name"]]
        return [False] * len(frame)

    @property
    def _copies(self) -> frozenset[str]:
        """The names of rows of the table of variables that are one of them once more, as Keras 3 exports them."""
        if Part.GRAPH not in self.loaders or self.checkpoint is None:
            return frozenset()
        copies: frozenset[str] = self.once(
            "copies", lambda: graph_variables.copies(self.checkpoint_files(), self.meta_graphs)
        )
        return copies

    @property
    def _function_uses(self) -> list[FunctionUse]:
        uses: list[FunctionUse] = self.once("function uses", lambda: function_uses.read(self.meta_graph.graph))
        return uses


def _of_checkpoint(model: Model) -> Iterator[Finding]:
    """Yield the rows of a scan on the checkpoint with a model's values, if there is one."""
    # As in Form.
    from tfmagic.findings import file_scan  # noqa: PLC0415

    with suppress(errors.ReadError):
        files = model.checkpoint() if model.checkpoint is not None else None
        if files is not None:
            yield from file_scan.of_checkpoint(files)


def _variable_count(model: Model) -> int:
    rows = model.rows("variables") if Part.VARIABLES in model.loaders else None
    return 0 if rows is None else len(rows.rows)


#: What makes the rows of each table but that of the ops, which is made of columns; costs have a depth.
_ROWS: Mapping[str, Callable[[Model], Iterable[tuple[object, ...]]]] = {
    "signatures": lambda model: signatures.rows(model.part(Part.SIGNATURES)),
    "functions": lambda model: model._function_uses,  # noqa: SLF001 - this module's own
    "variables": lambda model: model.part(Part.VARIABLES),
    "metagraphs": lambda model: model_tables.metagraphs(model.meta_graphs, _variable_count(model)),
    "assets": lambda model: model_tables.assets(model.meta_graphs, model.path),
    "layers": lambda model: model.part(Part.KERAS),
    "costs": lambda model: model._costs(None),  # noqa: SLF001 - as above
}
