"""What the tables of a graph on disk are filled with: constants, values of the checkpoint, lines of a text file.

Not for: the values of variables (:mod:`tfmagic.functions.state.saved_models`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.findings import hazards
from tfmagic.functions.state import table_objects, text_tables
from tfmagic.functions.state.live_tables import TableContent
from tfmagic.functions.state.stored_graph import StoredGraph
from tfmagic.graphs import constants, restores
from tfmagic.graphs.ops import Effect
from tfmagic.graphs.resources import resource
from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.graphs.restores import Fill, Source


@dataclass(frozen=True)
class StoredTables(StoredGraph):
    """A graph on disk, and the content of its tables."""

    def table_content(self, table: str, export: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys and values of a table that can have changed.

        Parameters
        ----------
        table : str
            Its node.
        export : str
            The node that reads it in a session.

        Raises
        ------
        ConversionError
            If nothing says what it holds.
        """
        del export
        fills = [each for each in self._restores.fills.get(table, ()) if None not in each.sources]
        if len(fills) != 1:
            raise errors.ConversionError(
                f"what the table {table!r} holds is not to be read from the files: {_why(fills)}; give the live session"
            )
        keys, values = (self._content(each) for each in fills[0].sources)
        return keys, values

    def tables(self, names: Sequence[str]) -> dict[str, runtime.Live]:
        """Make tables with what the graph's own tables are filled with, by the names of their nodes.

        Raises
        ------
        ConversionError
            If nothing fills one, or what fills it is computed.
        """
        return {name: self._table(name, content) for name, content in self.table_contents(names).items()}

    def _table(self, name: str, content: TableContent) -> runtime.Live:
        tf = runtime.tensorflow()
        try:
            return table_objects.of_content(self._nodes[name], *content)
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise errors.ConversionError(
                f"the table {name!r} cannot be filled: {error_texts.gist(error)}; give the live session"
            ) from error

    def table_contents(self, names: Sequence[str]) -> dict[str, TableContent]:
        """Return what the graph's own tables are filled with, by the names of their nodes.

        Raises
        ------
        ConversionError
            If nothing fills one, or what fills it is computed.
        """
        return {name: self._filling(name) for name in names}

    def _filling(self, name: str) -> TableContent:
        fills = self._restores.fills
        filled = fills.get(name) or fills.get(self._by_resource.get(resource(self._nodes[name]), ""), ())
        contents = [each for each in filled if None not in each.sources]
        # A dense table is stored with its empty buckets.
        if len(filled) != 1 or not contents or self._nodes[name].op.startswith("MutableDense"):
            message = (
                f"what the table {name!r} ({self._nodes[name].op}) holds is not to be read from the files: "
                f"{_why(filled)}; give the live model or session"
            )
            raise errors.ConversionError(message)
        (fill,) = contents
        self._require_own_file(fill)
        sources = [self._content(each) for each in fill.sources]
        if fill.node.op not in table_objects.TEXT_FILLERS:
            return TableContent(*sources)
        path = Path(np.asarray(sources[0]).reshape(-1)[0].decode())
        try:
            return text_tables.content(path, self._nodes[name], fill.node)
        except (OSError, ValueError) as error:
            raise errors.ConversionError(
                f"the table {name!r} cannot be filled: {error}; give the live session"
            ) from error

    def _require_own_file(self, fill: Fill) -> None:
        """Refuse to read a file elsewhere for a model that nobody vouched for."""
        source = fill.sources[0]
        is_own = isinstance(source, restores.Constant) and source.node in self.asset_paths
        if self.trust or is_own or fill.node.op not in table_objects.TEXT_FILLERS:
            return
        tensor = source.tensor if isinstance(source, restores.Constant) else None
        path = b"".join(tensor.string_val[:1]).decode(errors="replace") if tensor is not None else ""
        hazard = hazards.Hazard(Effect.READS_FILES, f"node {fill.node.name!r}", fill.node.op, path)
        directory = self.assets.parent if self.assets and self.assets.name == "assets" else self.assets
        raise hazards.refusal([hazard], str(directory or "a graph"))

    def _content(self, source: Source) -> np.ndarray:
        """Return the keys or values of a table, or the name of the file that holds them."""
        if isinstance(source, restores.Slot):
            self._entry(source)
            return self._read(source.key)
        if source is None:
            raise errors.ConversionError("what fills a table is computed by the graph; give the live model or session")
        if source.node in self.asset_paths:
            return np.array(str(self.asset_paths[source.node]).encode(), dtype=object)
        if source.tensor is None:
            raise errors.ConversionError(f"the asset file behind {source.node!r} is missing; copy it to where it was")
        return constants.tensor_value(source.tensor)


def _why(fills: Sequence[Fill]) -> str:
    if not fills:
        return "nothing in the graph fills it"
    return "several ops fill it" if len(fills) > 1 else "the graph computes it"
