from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.notebook.panel.widgets.test_panel import joined
from tests.verbs.cataloguing import trees
from tfmagic import errors
from tfmagic.notebook.panel import catalog_words
from tfmagic.notebook.panel.widgets import catalog_panel
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


def test_models_at_addresses_are_opened_and_compared() -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for name in ("a", "b"):
        files.pipe(f"/panelled/{name}.pbtxt", b'node { name: "x" op: "NoOp" }')
    shown = tfmagic.panel(tfmagic.catalog("memory://panelled"))
    assert isinstance(shown, CatalogPanel)
    assert shown.show_model(0)
    shown.work.wait()
    assert isinstance(shown.result, Panel)
    assert shown.compare(0, 1)
    shown.work.wait()
    assert isinstance(shown.result, Diff)
    assert shown.result.equal
    files.rm("/panelled", recursive=True)


def test_what_asks_for_trust_goes_on_with_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = of(place)
    asked_with: list[bool] = []

    def refusing(*_: object, trust: bool) -> Diff:
        asked_with.append(trust)
        if not trust:
            raise errors.UntrustedCodeError("it carries code")
        return tfmagic.diff(place / "a", place / "a")

    monkeypatch.setattr(catalog_panel, "diff", refusing)
    assert shown.compare(1, 2)
    joined()
    assert shown.work.vouch.layout.display is None
    shown.work.vouch.click()
    joined()
    assert asked_with == [False, True]
    assert isinstance(shown.result, Diff)
    assert shown.work.vouch.layout.display == "none"


def test_json_is_shown_in_words_and_kept_as_it_is(place: Path) -> None:
    shown = of(place)
    words = shown.table.frame.iloc[1]
    assert words["signatures"] == "serving_default: x 4 float32 → y any shape float32"
    assert words["tags"] == "serve"
    assert words["formats"].startswith("saved_model, graph_def")
    assert "1 matrix" in words["families"].split(", ")
    kept: dict[str, Any] = {}
    shown.table._namespace = kept
    asked(shown, "keep", text="rows", query={"text": "broken"})
    assert kept["rows"].equals(tfmagic.catalog(place).iloc[[0]].reset_index(drop=True))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '[{"signature": 1}]', "[" * 100_000])
def test_what_is_no_json_of_that_kind_is_shown_as_it_is(text: str) -> None:
    assert catalog_words.in_words("signatures", text) == text


def test_headings_and_numbers_have_room(place: Path) -> None:
    frame = tfmagic.catalog(place).assign(parameters=3_538_984_000)
    shown = tfmagic.panel(frame)
    assert isinstance(shown, CatalogPanel)
    least = {column["name"]: column.get("least", 0) for column in shown.table.columns}
    assert least["parameters"] >= 7 * len("3,538,984,000")
    assert least["tensorflow_version"] >= 7 * len("tensorflow_version")
