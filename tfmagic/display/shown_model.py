"""What the display needs of a model: its tables and messages, and nothing of how they are read.

Not for: the model itself (:mod:`tfmagic.models.model`), which this room knows nothing of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tfmagic.files import file_marks
    from tfmagic.findings.caution import Caution
    from tfmagic.findings.scan import Finding
    from tfmagic.frames import LayerRow, SignatureRow, TotalCost, VariableRow
    from tfmagic.graphs.metagraphs import MetaGraph
    from tfmagic.graphs.plumbing import Ends


class ShownModel(Protocol):
    """A model, as far as it is shown."""

    @property
    def form(self) -> str:
        """The form of the source."""

    @property
    def title(self) -> str:
        """What a person calls a source of this form."""

    @property
    def origin(self) -> str:
        """Where it came from."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it was read."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the source has, read or not."""

    def is_at_hand(self, part: str) -> bool:
        """Whether there is such a part, and a display may ask for it."""

    def once(self, name: str, load: Callable[[], Any]) -> Any:  # noqa: ANN401 - what is loaded
        """Return what was worked out under this name, working it out at the first call."""

    @property
    def path(self) -> Path | None:
        """The file or directory, if it is one."""

    @property
    def file(self) -> Path | None:
        """The file with the graph, where the path is a directory."""

    @property
    def marks(self) -> Mapping[Path, file_marks.Mark]:
        """How the files looked when the model was recognised."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the model could do to who uses it."""

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What a person should know before trusting it."""

    @property
    def has_own_ops(self) -> bool:
        """Whether its graph is of ops that TensorFlow does not have."""

    @property
    def variables_are_constants(self) -> bool:
        """Whether what are called its variables are constants of the graph."""

    @property
    def meta_graph(self) -> MetaGraph:
        """The MetaGraphDef whose ops are shown."""

    @property
    def meta_graphs(self) -> tuple[MetaGraph, ...]:
        """All MetaGraphDefs."""

    def table(self, name: str, *, all: bool = False) -> pd.DataFrame:  # noqa: A002 - the contract's name
        """Return one of the public tables."""

    def hidden_count(self, name: str) -> int:
        """Return how many rows of a table are shown only with ``all``."""

    @property
    def plumbing_ops(self) -> list[bool]:
        """Say of each row of the whole table of ops whether it only saves or restores."""

    @property
    def has_no_signature(self) -> bool:
        """Whether there is a graph, and nothing says where it begins and ends."""

    @property
    def proposals(self) -> pd.DataFrame:
        """Inputs and outputs proposed for a graph without signatures."""

    @property
    def ends(self) -> Ends:
        """Where the main graph seems to begin and end."""

    def end_rows(self) -> Sequence[SignatureRow]:
        """Return inputs and outputs of each SignatureDef, those proposed for a graph without any."""

    def shown_variables(self) -> Sequence[VariableRow]:
        """Return the variables, without their values."""

    @property
    def layers(self) -> pd.DataFrame:
        """Keras layers."""

    def layer_rows(self) -> Sequence[LayerRow]:
        """Return the Keras layers."""

    @property
    def total_cost(self) -> TotalCost:
        """What the layers, or the scopes, cost together."""
