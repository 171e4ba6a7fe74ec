"""What the browser is told of one row of a table: its facts, names that lead elsewhere, buttons, a histogram.

Not for: finding it out, which the tab does that the table is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NotRequired


class Link(TypedDict):
    """A name that leads to a row; without one it is only said."""

    text: str
    row: NotRequired[int]


class Act(TypedDict):
    """A button: the name that is told to the kernel, and what stands on it."""

    name: str
    text: str


class Group(TypedDict):
    """Names under a title; ``more`` are not listed."""

    title: str
    links: Sequence[Link]
    more: NotRequired[int]


class Chart(TypedDict):
    """A histogram: a height between 0 and 1 for each bar, what stands at both ends, and all of it in words."""

    bars: Sequence[float]
    low: str
    high: str
    text: str


class Details(TypedDict):
    """What is shown of one row below the table."""

    row: int
    title: str
    facts: Sequence[tuple[str, str]]
    note: NotRequired[str]
    groups: NotRequired[Sequence[Group]]
    acts: NotRequired[Sequence[Act]]
    chart: NotRequired[Chart]
