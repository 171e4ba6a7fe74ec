"""The state of two graphs that were joined under scopes of their own: each half's lies where it was.

Not for: joining them (:mod:`tfmagic.transforms.merge_graphs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfmagic.functions.state.saved_models import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tfmagic.files import protos
    from tfmagic.functions.state.initial_values import Stored
    from tfmagic.functions.state.live_tables import TableContent
    from tfmagic.runtime.tensorflow import Live

#: Where each half stands.
SCOPES = ("first", "second")


@dataclass(frozen=True)
class MergedStore(Store):
    """The state of two graphs in one.

    Attributes
    ----------
    first, second : Store
        The halves; their names are those here without the scope.
    """

    first: Store | None = None
    second: Store | None = None

    @property
    def _halves(self) -> tuple[tuple[str, Store], ...]:
        assert self.first is not None  # noqa: S101 - a merge has two halves
        assert self.second is not None  # noqa: S101 - as above
        return tuple(zip(SCOPES, (self.first, self.second), strict=True))

    def _half(self, name: str) -> tuple[Store, str]:
        """Return the half that a name belongs to, and the name there."""
        scope, _, own = name.partition("/")
        return dict(self._halves)[scope], own

    def _joined(self, names: Iterable[str], ask: Callable[[Store, list[str]], Mapping[str, Live]]) -> dict[str, Live]:
        """Ask each half about its own names."""
        listed = list(names)
        values: dict[str, Live] = {}
        for scope, store in self._halves:
            own = [name.removeprefix(f"{scope}/") for name in listed if name.startswith(f"{scope}/")]
            values.update((f"{scope}/{name}", value) for name, value in ask(store, own).items() if own)
        return {name: values[name] for name in listed}

    @property
    def asset_paths(self) -> Mapping[str, Path]:
        """The asset files of both."""
        return dict(self._scoped(lambda store: store.asset_paths))

    @property
    def asset_variables(self) -> Mapping[str, Path]:
        """The asset files of both whose names are kept in variables."""
        return dict(self._scoped(lambda store: store.asset_variables))

    def _scoped(self, ask: Callable[[Store], Mapping[str, Path]]) -> Iterator[tuple[str, Path]]:
        for scope, store in self._halves:
            yield from ((f"{scope}/{name}", path) for name, path in ask(store).items())

    def asset_file(self, node: str, name: str) -> Path:
        """Return a file that one of the graphs names."""
        store, own = self._half(node)
        return store.asset_file(own, name)

    def has_value(self, name: str) -> bool:
        """Say whether a half has a value for a variable."""
        store, own = self._half(name)
        return store.has_value(own)

    def table_content(self, table: str, export: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys and values of a table."""
        store, own = self._half(table)
        return store.table_content(own, export.partition("/")[2])

    def values(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the values of variables of both."""
        return self._joined(names, lambda store, own: store.values(own))

    def values_before(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read what belongs beside the initialisers of both."""
        return self._joined(names, lambda store, own: store.values_before(own))

    def stored(self, names: Sequence[str]) -> dict[str, Stored]:
        """Describe the values of variables of both."""
        return self._joined(names, lambda store, own: store.stored(own))

    def tables(self, names: Sequence[str]) -> dict[str, Live]:
        """Make tables with what the halves' own tables hold."""
        return self._joined(names, lambda store, own: store.tables(own))

    def table_contents(self, names: Sequence[str]) -> dict[str, TableContent]:
        """Return what the halves' own tables hold."""
        return self._joined(names, lambda store, own: store.table_contents(own))

    def clean(self, graph_def: protos.Message) -> None:
        """Take out of a graph, in place, what did not come with its halves from the user."""
        for _, store in self._halves:
            store.clean(graph_def)
