"""The file systems that several tests of addresses read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system in fsspec's memory, empty again afterwards."""
    files = pytest.importorskip("fsspec").filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]
