"""Part and Model: what every reader returns and every writer takes.

A part of a model is absent, unread or read: a reader gives a loader for each part its form has, a loader runs
once, when the part is first asked for. Not for: reading (:mod:`tfmagic.models.read_parts`), tables
(:mod:`tfmagic.models.public_tables`), or knowing any form, format or TensorFlow.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from tfmagic import errors
from tfmagic.display.summary import Displayed
from tfmagic.files import places
from tfmagic.findings import cautions
from tfmagic.models.form import Form, Part
from tfmagic.models.public_tables import PublicTables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.files import file_marks
    from tfmagic.files.addresses.entries import Fetched
    from tfmagic.files.checkpoints.location import CheckpointFiles
    from tfmagic.files.keras.config import Wiring
    from tfmagic.findings.caution import Caution
    from tfmagic.findings.scan import Finding
    from tfmagic.frames import AssetRow, SignatureRow, VariableRow
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.models.value_blocks import Values


__all__ = ["Form", "Model", "Part"]

#: Under this name a model keeps the rows of its scan.
_FINDINGS = "findings"


@dataclass(frozen=True, repr=False, eq=False)
class Model(PublicTables, Displayed):
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
    beside : tuple of Path
        Further files that it is read from, which only its content names.
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
    unread : callable or None
        Loads the FUNCTION part with the values of its variables left on the disk; None where they lie in no file.
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
    wiring : callable or None
        Returns what the layers take from one another, None where nobody tells; None where no layers are.
    packed : callable or None
        Returns the :class:`AssetRow` of each file that lies in its own file; None where they lie beside it.
    reader : Form
        What its form is able to do. Recognition puts the reader here that claimed the source.
    advice : str
        Why parts are absent that the form in general has, and what to do; a sentence, or nothing.
    marks : mapping of Path to Mark
        How the files looked when the model was recognised.
    lean : callable or None
        Returns the same model with a graph that is sooner there, and lacks what cautions do not look at: shapes, the
        content of large constants; None where the graph is as soon there as it is.
    carried : tuple of Caution
        What is to be known of it for how it was made: of what it was frozen from.
    local : callable or None
        Returns the same model read from a copy of its files on this machine; None for what does not lie at an address.
    held : object
        What has to live as long as the model does.
    scanned : callable or None
        Yields the rows of a scan of what was parsed to read it; None where the reader looks at the file for them.
    tables : callable or None
        Returns the classes of the tables that can be written and that a live function captured; None where none can be.
    in_training : callable or None
        Returns the layers that are called with ``training=True``, whatever the model is called with; None without any.
    """

    form: str
    origin: str
    loaders: Mapping[Part, Callable[[], Any]]
    notes: tuple[str, ...] = ()
    path: Path | None = None
    file: Path | None = None
    beside: tuple[Path, ...] = ()
    computed: frozenset[Part] = frozenset()
    trusting: Callable[[], Model] | None = None
    averaging: Callable[[], Model] | None = None
    averages_apart: Callable[[], list[str]] | None = None
    ema: bool = False
    unread: Callable[[], Any] | None = None
    narrowed: Callable[[Collection[str]], Model] | None = None
    live: Any = None
    state: Callable[[], Store | None] | None = None
    checkpoint: Callable[[], CheckpointFiles | None] | None = None
    values: Callable[[VariableRow], Values] | None = None
    settings: Callable[[str], Mapping[str, object]] | None = None
    wiring: Callable[[], Wiring | None] | None = None
    packed: Callable[[], Iterable[AssetRow]] | None = None
    reader: Form = field(default_factory=Form)
    advice: str = ""
    marks: Mapping[Path, file_marks.Mark] = field(default_factory=dict)
    lean: Callable[[], Model] | None = None
    carried: tuple[Caution, ...] = ()
    local: Callable[[], Model] | None = None
    held: object = None
    scanned: Callable[[], Iterable[Finding]] | None = None
    tables: Callable[[], tuple[str, ...]] | None = None
    in_training: Callable[[], Collection[str]] | None = None
    _read: dict[str, Any] = field(default_factory=dict, init=False, compare=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, compare=False)
    _scan_lock: threading.RLock = field(default_factory=threading.RLock, init=False, compare=False)

    def here(self) -> Model:
        """Return the model on this machine: itself, or, of one at an address, that of a copy which is fetched for it.

        Raises
        ------
        ReadError
            If its files cannot be fetched, or changed since.
        """
        return self if self.local is None else self.once("on this machine", self.local)

    def to_be_written(self) -> Model:
        """Return the model for whoever writes it: values of variables are read as they are written, or as it is run.

        It is the model itself where they lie in no file.
        """
        unread = self.unread
        return self if unread is None else replace(self, loaders={**self.loaders, Part.FUNCTION: unread})

    @property
    def fetched(self) -> Fetched:
        """Bytes and requests that it has cost so far, where it lies at an address."""
        return places.fetched(self.path)

    @property
    def title(self) -> str:
        """What a person calls a source of this form."""
        return self.reader.title or self.form

    @property
    def has_own_ops(self) -> bool:
        """Whether its graph is of ops that TensorFlow does not have: it is looked at and compared, not converted."""
        return self.reader.has_own_ops

    @property
    def variables_are_constants(self) -> bool:
        """Whether what are called its variables are constants of the graph."""
        return self.reader.variables_are_constants

    @property
    def is_trusted(self) -> bool:
        """Whether nobody is asked before the model acts outside itself: the user vouched for it, or made it."""
        return self.trusting is None

    def layer_settings(self, name: str) -> Mapping[str, object]:
        """Return what a layer was made with, nothing where that is not known."""
        return self.settings(name) if self.settings is not None else {}

    @property
    def layer_wiring(self) -> Wiring | None:
        """What the layers of a Keras model take from one another, None where that is not known."""
        known: Wiring | None = self.once("wiring", self.wiring) if self.wiring is not None else None
        return known

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
        rows: tuple[Finding, ...] = self._once(_FINDINGS, lambda: tuple(self._scan()), self._scan_lock)
        return rows

    def _scan(self) -> Iterator[Finding]:
        yield from self.scanned() if self.scanned is not None else ()
        yield from self.reader.findings(self)
        yield from _of_checkpoint(self)

    @property
    def is_scanned(self) -> bool:
        """Whether it is known already what the model could do; of what is alive, nobody asks."""
        return self.path is None or _FINDINGS in self._read

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What a person should know before trusting it, the gravest first: facts that were read, nothing is run."""
        return self._with_carried(self.once("cautions", lambda: cautions.cautions(self.looked_at)))

    @property
    def cautions_but_of_values(self) -> tuple[Caution, ...]:
        """The same but for values that are not there: to see whether a session's variables have some, it has to run."""
        if "cautions" in self._read:
            return self.cautions
        return self._with_carried(cautions.cautions(self.looked_at, cautions.OF_VALUES))

    def _with_carried(self, own: Sequence[Caution]) -> tuple[Caution, ...]:
        codes = {caution.code for caution in own}
        return tuple(cautions.arranged((*own, *(each for each in self.carried if each.code not in codes))))

    @property
    def looked_at(self) -> Model:
        """The model itself where its graph was read already, else the lean one: what only looks at it takes that."""
        return self if self.lean is None or Part.GRAPH in self._read else self.lean()

    @property
    def resizes_inputs(self) -> bool:
        """Whether whoever runs it may give its inputs other sizes than it states."""
        return self.reader.resizes_inputs

    @property
    def is_live(self) -> bool:
        """Whether it is an object of the user's, not a file or a message."""
        return self.live is not None

    def signature_rows(self) -> Sequence[SignatureRow]:
        """Return the rows of the table of signatures, those proposed left out."""
        listed = self.rows("signatures")
        return () if listed is None else cast("Sequence[SignatureRow]", listed.rows)

    def variable_rows(self) -> Sequence[VariableRow]:
        """Return the rows of the table of variables, none where there is none to be seen."""
        rows: Sequence[VariableRow] = self.part(Part.VARIABLES) if self.is_at_hand("variables") else ()
        return [row for row in rows if row.name not in self._copies] if rows and self._copies else rows

    def stored_state(self) -> Store | None:
        """Return where the graph and its values lie, of objects of TensorFlow 2 too; None where nothing says it."""
        store = None if self.state is None else self.state()
        if store is None and self.state is not None:
            from tfmagic.functions.state import saved_models  # noqa: PLC0415 - with the first graph that asks for it

            store = saved_models.Store(self.meta_graph, self.checkpoint_files(), ema=self.ema)
        return store

    def layers_in_training(self) -> Collection[str]:
        """Return the layers that are called with ``training=True``, whatever the model is called with."""
        return () if self.in_training is None else self.in_training()

    def captured_tables(self) -> tuple[str, ...]:
        """Return the classes of the tables that can be written and that a live function captured."""
        return () if self.tables is None else self.tables()

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


def _of_checkpoint(model: Model) -> Iterator[Finding]:
    """Yield the rows of a scan on the checkpoint with a model's values, if there is one."""
    # As in Form.
    from tfmagic.findings import file_scan  # noqa: PLC0415

    with suppress(errors.ReadError):
        files = model.checkpoint() if model.checkpoint is not None else None
        if files is not None:
            yield from file_scan.of_checkpoint(files)
