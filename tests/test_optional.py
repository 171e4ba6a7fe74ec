from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfmagic import errors
from tfmagic.optional import library

if TYPE_CHECKING:
    from pathlib import Path


def test_a_library_that_is_not_installed_says_how_to_install_it() -> None:
    for name in ("no_such_library", "no_such_library.inner"):
        with pytest.raises(errors.MissingDependencyError, match="running a model") as raised:
            library(name, "running a model", '"tfmagic[more]"')
        assert 'pip install "tfmagic[more]"' in str(raised.value)


def test_a_library_that_is_broken_keeps_its_own_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_library.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library") as raised:
        library("broken_library", "running a model", "broken")
    assert not isinstance(raised.value, errors.MissingDependencyError)
