from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import tfmagic
from tests.samples import SAMPLES
from tfmagic.verbs import nearby
from tfmagic.verbs.nearby import Found

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

NAMES = ("saved_model_tf1", "graph_def", "checkpoint_v2", "keras_archive", "tflite")


def test_models_below_a_directory_are_found_by_their_content(samples: Built, tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copytree(samples[name].parent, tmp_path / "deep" / name)
    (tmp_path / "notes.pb").write_text("no model")
    found = nearby.files(tmp_path)
    assert {each.form for each in found} == {SAMPLES[name].form for name in NAMES}
    assert all(each.path.startswith("deep/") for each in found)
    assert Found("deep/saved_model_tf1/model", "saved_model") in found


def test_links_to_folders_are_not_followed(samples: Built, tmp_path: Path) -> None:
    """They may lead in circles, or to all of a disk."""
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "elsewhere").symlink_to(samples["graph_def"].parent.parent)
    assert nearby.files(tmp_path) == []


def test_a_model_is_listed_as_a_whole(samples: Built) -> None:
    model = samples["saved_model_tf1"]
    inside = [each for each in nearby.files(model.parent) if each.path.startswith(f"{model.name}/")]
    assert inside == []


def test_hidden_folders_and_those_of_environments_are_passed_over(samples: Built, tmp_path: Path) -> None:
    content = samples["graph_def"].read_bytes()
    for folder in (".hidden", "site-packages", "kept", "a/b/c/d/too_deep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "m.pb").write_bytes(content)
    assert [each.path for each in nearby.files(tmp_path)] == ["kept/m.pb"]


def test_a_search_ends_when_patience_does(samples: Built, tmp_path: Path) -> None:
    (tmp_path / "m.pb").write_bytes(samples["graph_def"].read_bytes())
    assert nearby.files(tmp_path, patience=-1) == []


def test_variables_that_hold_models(samples: Built) -> None:
    model = tfmagic.inspect(samples["graph_def"])
    variables = {"net": model, "number": 3, "text": "net.pb", "_hidden": model, "graph": model.graph_def}
    assert nearby.model_names(variables) == ["net", "graph"]
