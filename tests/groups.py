"""How pytest-xdist deals tests out to its workers: one by one, but groups that share what is costly as a whole.

So does a file with a fixture of its module, which each worker that runs a test of it would make again.

pytest-xdist's own groups are lost on pytest 9.2, and where a worker dies it deals out too little to the one that takes
its place, so that the run never ends.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

#: What a worker runs as a whole, by how its tests begin and a word in their brackets: a front end with its kernels, the
#: bare pages, one reading of the corpus or of the package's source. They are dealt out first, in this order.
GROUPS = {
    "lab": ("tests/browser/", "lab"),
    "notebook": ("tests/browser/", "notebook"),
    "corpus": ("tests/test_corpus.py", ""),
    "architecture": ("tests/test_architecture.py", ""),
    "messages": ("tests/test_messages.py", ""),
    "pages": ("tests/browser/", ""),
}
ROOT = Path(__file__).resolve().parents[1]
#: A worker begins a test when it knows of the next one.
_AHEAD = 2


def group_of(nodeid: str) -> str:
    """Return the group of a test, its file where that shares a fixture, or the test itself."""
    words = re.split(r"[\[\]-]", nodeid)[1:]
    mentions = ((group, nodeid.startswith(begin) and word in ("", *words)) for group, (begin, word) in GROUPS.items())
    file = nodeid.partition("::")[0]
    return next((group for group, is_meant in mentions if is_meant), file if shares_a_fixture(file) else nodeid)


def turn(nodeid: str) -> int:
    """Return when a test is dealt out: what takes a worker longest comes first, so that all end together."""
    group = group_of(nodeid)
    return list(GROUPS).index(group) if group in GROUPS else len(GROUPS) + (group == nodeid)


@cache
def shares_a_fixture(file: str) -> bool:
    """Say whether a file has a fixture that its tests share."""
    path = ROOT / file
    return path.is_file() and 'scope="module"' in path.read_text(encoding="utf-8")


class Groups(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Deals out single tests, and the groups as a whole, in the order in which the workers list them."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _reschedule(self, node: Any) -> None:
        """Deal out until a worker has enough, also to one that begins late: nothing else would ask for it."""
        super()._reschedule(node)
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) <= _AHEAD:
            self._assign_work_unit(node)

    def _assign_work_unit(self, node: Any) -> None:
        """Deal out one unit; one that has died meanwhile gets none, and what it had is taken back once that is told."""
        with suppress(OSError):
            super()._assign_work_unit(node)

    def remove_node(self, node: Any) -> str | None:
        """Take back what a worker did not do; the test in which it died is done, or it would end the next one."""
        units = self.assigned_work.pop(node)
        left = [test for unit in units.values() for test, is_done in unit.items() if not is_done]
        if not left:
            return None
        for scope, unit in units.items():
            if left[0] in unit:
                unit[left[0]] = True
            if not all(unit.values()):
                self.workqueue[scope] = unit
        for other in self.assigned_work:
            self._reschedule(other)
        return str(left[0])
