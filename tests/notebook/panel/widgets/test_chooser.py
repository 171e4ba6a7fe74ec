from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.notebook.panel.widgets.test_panel import joined
from tfmagic.notebook.panel.widgets import verb
from tfmagic.notebook.panel.widgets.chooser import Chooser
from tfmagic.notebook.panel.widgets.panel import Panel
from tfmagic.notebook.panel.widgets.verb import panel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built


@pytest.fixture
def folder(samples: Built, tmp_path: Path) -> Path:
    """A directory with a graph in it, and what is none."""
    (tmp_path / "graph.pb").write_bytes(samples["graph_def"].read_bytes())
    (tmp_path / "broken.pb").write_text("no model")
    return tmp_path


def test_without_a_source_there_is_a_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verb, "notebook_variables", dict)
    found = panel()
    assert isinstance(found, Chooser)
    assert "give a path" in found.status.value


def test_one_is_whole_though_the_widgets_of_another_were_closed(tmp_path: Path) -> None:
    for _ in range(2):
        chooser = Chooser({}, directory=tmp_path)
        assert [field.layout.comm is not None for field in (chooser.models, chooser.files, chooser.path)] == [True] * 3
        chooser.files.layout.close()


def test_a_variable_is_opened(samples: Built, folder: Path) -> None:
    model = tfmagic.inspect(samples["saved_model_tf1"])
    chooser = Chooser({"net": model, "other": 3}, directory=folder)
    assert [value for _, value in chooser.models.options] == ["net"]
    chooser.opener.click()
    joined()
    assert chooser.panel is not None
    assert chooser.panel.model is model
    assert chooser.children == (chooser.heading, chooser.panel)


def test_a_file_is_opened(folder: Path) -> None:
    chooser = Chooser({}, directory=folder)
    assert [value for _, value in chooser.files.options] == ["graph.pb"]
    chooser.opener.click()
    joined()
    assert isinstance(chooser.panel, Panel)
    assert chooser.panel.source == str(folder / "graph.pb")


def test_the_last_that_was_touched_is_what_is_opened(samples: Built, folder: Path) -> None:
    model = tfmagic.inspect(samples["saved_model_tf1"])
    chooser = Chooser({"net": model}, directory=folder)
    seen: list[object] = [chooser.chosen]
    chooser.files.value = "graph.pb"
    seen.append(chooser.chosen)
    chooser.path.value = "elsewhere"
    seen.append(chooser.chosen)
    chooser.models.value = "net"
    seen.append(chooser.chosen)
    assert seen == [model, folder / "graph.pb", folder / "elsewhere", model]


@pytest.mark.parametrize(
    ("path", "word"),
    [("nowhere.pb", "nowhere.pb"), ("broken.pb", "no model"), ("~no-such-user/x", "~no-such-user"), ("", "Choose")],
)
def test_what_cannot_be_opened_is_said_and_another_can_be_chosen(folder: Path, path: str, word: str) -> None:
    chooser = Chooser({}, directory=folder)
    chooser.files.value = None
    chooser.path.value = path
    chooser.opener.click()
    joined()
    assert word in html.unescape(chooser.status.value)
    assert chooser.panel is None
    assert not chooser.opener.is_off
    chooser.files.value = "graph.pb"
    chooser.opener.click()
    joined()
    assert chooser.panel is not None


def test_looking_again_finds_what_is_new(samples: Built, folder: Path) -> None:
    variables: dict[str, object] = {}
    chooser = Chooser(variables, directory=folder)
    variables["later"] = tfmagic.inspect(samples["graph_def"])
    chooser.refresh.click()
    assert [value for _, value in chooser.models.options] == ["later"]


def test_where_no_kernel_lives_the_choice_is_listed(samples: Built, folder: Path) -> None:
    hostile = "<b>x</b>.pb"
    (folder / "graph.pb").rename(folder / hostile.replace("/", "_"))
    chooser = Chooser({"net": tfmagic.inspect(samples["graph_def"])}, directory=folder)
    found = chooser._repr_mimebundle_()
    assert set(found) == {"text/plain", "text/html"}
    assert "net" in str(found["text/plain"])
    assert "<b>" in str(found["text/plain"])
    assert "<b>" not in str(found["text/html"])
