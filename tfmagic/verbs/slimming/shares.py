"""The rows of slim's table: what takes bytes, how many, whether a copy has it, and why.

Not for: finding them.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

#: Kinds that a copy is without unless they are retained, in the order in which they are named.
KINDS = ("duplicates", "optimizer", "unreached", "functions", "debug", "constants", "assets")
RETAINED = "retained, as you said"


class Share(NamedTuple):
    """What takes bytes: its kind, where it is, how much it takes, whether a copy has it, and why."""

    kind: str
    where: str
    bytes: int
    retained: bool
    why: str

    @classmethod
    def kept(cls, kind: str, where: str, size: int, why: str) -> Share:
        """Return a row of what a copy has."""
        return cls(kind, where, size, retained=True, why=why)

    @classmethod
    def dropped(cls, kind: str, where: str, size: int, why: str) -> Share:
        """Return a row of what a copy is without."""
        return cls(kind, where, size, retained=False, why=why)


def checked(retain: Sequence[str] | str) -> frozenset[str]:
    """Return the kinds that are to stay.

    Raises
    ------
    UnknownNameError
        If one is no kind.
    """
    kinds = (retain,) if isinstance(retain, str) else tuple(retain)
    for kind in kinds:
        if kind not in KINDS:
            raise errors.UnknownNameError(str(kind), "kind", KINDS)
    return frozenset(kinds)


def by_layer(variables: Iterable[tuple[str, int]], why: str) -> Iterator[Share]:
    """Yield what the variables of each layer take, from their names and bytes."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for name, size in variables:
        sizes[name.rpartition("/")[0] or name].append(size)
    for layer, taken in sizes.items():
        yield Share.kept("variables", layer, sum(taken), why)


def table(shares: Iterable[Share]) -> pd.DataFrame:
    """Return the table, what takes most first."""
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    rows = sorted(shares, key=lambda share: (-share.bytes, share.kind, share.where))
    columns = {name: [row[place] for row in rows] for place, name in enumerate(Share._fields)}
    kinds = {"bytes": "int64", "retained": "bool"}
    frame = pd.DataFrame({name: pd.Series(values, dtype=kinds.get(name, "object")) for name, values in columns.items()})
    return frames.shown_safely(frame)
