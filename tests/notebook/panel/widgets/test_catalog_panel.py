from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.notebook.panel.widgets.test_panel import joined
from tests.verbs.cataloguing import trees
from tfmagic.notebook.panel.widgets.catalog_panel import CatalogPanel
from tfmagic.notebook.panel.widgets.panel import Panel
from tfmagic.verbs.diff import Diff

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def place(tmp_path: Path) -> Path:
    trees.saved_model(tmp_path / "a", seed=1)
    trees.saved_model(tmp_path / "b", seed=2)
    trees.saved_model(tmp_path / "copy", seed=1, scope="other")
    (tmp_path / "<b>broken.keras").write_bytes(b"")
    return tmp_path


def of(place: Path) -> CatalogPanel:
    shown = tfmagic.panel(tfmagic.catalog(place))
    assert isinstance(shown, CatalogPanel)
    return shown


def asked(shown: CatalogPanel, do: str, **what: Any) -> dict[str, Any]:
    answers: list[Any] = []
    shown.table.send = lambda content, buffers=None: answers.append(content)  # noqa: ARG005 - as the widget's
    shown.table._handle_custom_msg({"do": do, **what}, [])
    found: dict[str, Any] = json.loads(json.dumps(answers[-1], allow_nan=False)) if answers else {}
    return found


def window(shown: CatalogPanel, **query: Any) -> dict[str, Any]:
    return asked(shown, "window", id=1, start=0, count=10, query=query, facets=True)


def test_rows_are_sought_sorted_and_chosen_by_what_they_share(place: Path) -> None:
    shown = of(place)
    assert window(shown)["total"] == 4
    assert window(shown, text="broken")["numbers"] == [0]
    facets = {facet["column"]: facet["values"] for facet in window(shown)["facets"]}
    code, _, count = facets["weights"][0]
    assert count == 2
    assert window(shown, chosen={"weights": [code]})["numbers"] == [1, 3]
    largest = window(shown, sort="bytes", descending=True)["numbers"]
    sizes = tfmagic.catalog(place)["bytes"].tolist()
    assert [sizes[row] for row in largest] == sorted(sizes, reverse=True)


def test_a_row_is_opened(place: Path) -> None:
    shown = of(place)
    asked(shown, "open", row=1)
    assert [act["text"] for act in shown.table.details["acts"]] == ["Open", "Compare with another"]
    asked(shown, "act", name="open")
    joined()
    assert isinstance(shown.result, Panel)
    assert shown.below.children == (shown.result,)
    assert shown.result.source == str(place / "a")


def test_two_rows_are_compared(place: Path) -> None:
    shown = of(place)
    asked(shown, "open", row=1)
    asked(shown, "act", name="first")
    for row, equal in ((2, False), (3, True)):
        asked(shown, "open", row=row)
        assert shown.table.details["acts"][-1]["text"].startswith("Compare with ")
        asked(shown, "act", name="compare")
        joined()
        assert isinstance(shown.result, Diff)
        assert shown.result.equal is equal


def test_what_cannot_be_opened_is_said(place: Path) -> None:
    shown = of(place)
    asked(shown, "open", row=0)
    asked(shown, "act", name="open")
    joined()
    assert shown.result is None
    assert "is no model" in html.unescape(shown.work.status.value)
    assert "<b>" not in shown.work.status.value


def test_its_static_forms_say_the_same(place: Path) -> None:
    shown = of(place)
    assert "4 models, 1 of them with an error" in repr(shown)
    assert "<b>broken" not in shown._repr_html_()
    assert "&lt;b&gt;broken" in shown._repr_html_()


def test_a_magic_shows_rows_that_were_chosen(place: Path, shell: InteractiveShell) -> None:
    frame = tfmagic.catalog(place)
    shell.user_ns["chosen"] = frame[frame["error"].isna()]
    done = shell.run_cell("shown = %tf_panel chosen")  # type: ignore[no-untyped-call]
    assert done.success
    assert shell.user_ns["shown"].table.total == 3


def test_an_empty_catalogue_is_shown(tmp_path: Path) -> None:
    assert window(of(tmp_path))["total"] == 0
    assert "0 models" in repr(of(tmp_path))
