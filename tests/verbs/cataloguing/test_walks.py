from __future__ import annotations

import os
from pathlib import Path

import pytest

import tfmagic
from tests.verbs.cataloguing import trees
from tfmagic import errors
from tfmagic.verbs.cataloguing import patterns
from tfmagic.verbs.cataloguing.walks import Walk


def addresses(*places: object) -> list[str]:
    return [str(model.address) for model in Walk(tuple(map(str, places))).models()]


def below(place: Path, *more: object) -> list[str]:
    return [Path(address).relative_to(place).as_posix() for address in addresses(place, *more)]


def test_a_model_of_several_files_is_one(tmp_path: Path) -> None:
    trees.saved_model(tmp_path / "served" / "1")
    trees.saved_model(tmp_path / "served" / "2")
    trees.checkpoint(tmp_path / "training" / "ckpt-1")
    trees.checkpoint(tmp_path / "training" / "ckpt-2")
    (tmp_path / "training" / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"\n')
    (tmp_path / "training" / "ckpt-2.meta").write_bytes(b"graph")
    trees.frozen(tmp_path / "frozen.pb")
    assert below(tmp_path) == ["frozen.pb", "served/1", "served/2", "training/ckpt-1", "training/ckpt-2"]
    files = {model.address.name: [path for path, _ in model.files] for model in Walk((str(tmp_path),)).models()}
    assert files["1"] == ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"]
    assert files["ckpt-2"] == ["ckpt-2.data-00000-of-00001", "ckpt-2.index", "ckpt-2.meta"]


def test_directories_of_servers_and_experiments_lead_to_the_models(tmp_path: Path) -> None:
    trees.saved_model(tmp_path / "triton" / "digits" / "3" / "model.savedmodel")
    (tmp_path / "triton" / "digits" / "config.pbtxt").write_text('name: "digits"\n')
    trees.frozen(tmp_path / "triton" / "graph" / "1" / "model.graphdef")
    run = tmp_path / "mlruns" / "0" / "abc" / "artifacts" / "model"
    trees.saved_model(run / "data" / "model")
    (run / "MLmodel").write_text("flavors:\n  tensorflow: {}\nmodel_uuid: abc\n")
    (run / "conda.yaml").write_text("name: env\n")
    assert list(tfmagic.catalog(tmp_path)["address"].map(lambda each: Path(each).relative_to(tmp_path).as_posix())) == [
        "mlruns/0/abc/artifacts/model/data/model",
        "triton/digits/3/model.savedmodel",
        "triton/graph/1/model.graphdef",
    ]


def test_models_beside_and_below_a_saved_model_are_met(tmp_path: Path) -> None:
    trees.saved_model(tmp_path / "m")
    trees.frozen(tmp_path / "m" / "frozen.pb")
    trees.saved_model(tmp_path / "m" / "older")
    trees.frozen(tmp_path / "m" / "assets" / "its.pb")
    assert below(tmp_path) == ["m", "m/frozen.pb", "m/older"]


def test_links_are_not_followed_out_nor_in_circles(tmp_path: Path) -> None:
    trees.saved_model(tmp_path / "outside" / "secret")
    place = tmp_path / "place"
    trees.saved_model(place / "a")
    (place / "circle").symlink_to(place, target_is_directory=True)
    (place / "a" / "up").symlink_to(place, target_is_directory=True)
    (place / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    (place / "linked").mkdir()
    (place / "linked" / "saved_model.pb").symlink_to(tmp_path / "outside" / "secret" / "saved_model.pb")
    (place / "broken.keras").symlink_to(tmp_path / "nowhere")
    assert below(place) == ["broken.keras", "a", "linked"]
    frame = tfmagic.catalog(place)
    told = dict(zip(frame["address"], frame["error"], strict=True))
    assert told[str(place / "a")] is None
    assert "leads out of the place" in told[str(place / "linked")]
    assert str(tmp_path / "nowhere") in told[str(place / "broken.keras")]
    (note,) = frame.attrs["notes"]
    assert str(tmp_path / "outside") in note


def test_a_hub_cache_shows_its_snapshots(tmp_path: Path) -> None:
    hub = tmp_path / "models--team--net"
    (hub / "blobs").mkdir(parents=True)
    real = trees.frozen(hub / "blobs" / "1f2e")
    snapshot = hub / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "model.pb").symlink_to(os.path.relpath(real, snapshot))
    frame = tfmagic.catalog(tmp_path)
    assert list(frame["address"]) == [str(snapshot / "model.pb")]
    assert list(frame["error"]) == [None]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_looked_into_is_noted(tmp_path: Path) -> None:
    trees.frozen(tmp_path / "a.pb")
    (tmp_path / "shut").mkdir(mode=0)
    try:
        frame = tfmagic.catalog(tmp_path)
        with pytest.raises(errors.ReadError, match="cannot be looked into"):
            tfmagic.catalog(tmp_path / "shut")
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert len(frame) == 1
    assert "shut" in frame.attrs["notes"][0]


def test_hidden_folders_and_environments_are_passed_over(tmp_path: Path) -> None:
    for folder in (".git", "node_modules", "__pycache__", "site-packages", ".tfmagic-0a1b2c3d-0123456789ab"):
        trees.frozen(tmp_path / folder / "m.pb")
    trees.frozen(tmp_path / ".hidden.pb")
    assert below(tmp_path) == []


def test_a_place_may_be_a_model(tmp_path: Path) -> None:
    served, prefix = trees.saved_model(tmp_path / "served"), trees.checkpoint(tmp_path / "t" / "ckpt-1")
    trees.checkpoint(tmp_path / "t" / "ckpt-10")
    graph = trees.frozen(tmp_path / "t" / "g.pb")
    for place in (served, prefix, graph):
        assert addresses(place) == [str(place)]
    (tmp_path / "link.pb").symlink_to(graph)
    assert tfmagic.catalog(tmp_path / "link.pb")["error"].tolist() == [None]
    assert addresses(f"{prefix}.index") == [str(prefix)]
    assert addresses(served / "saved_model.pb") == [str(served)]
    with pytest.raises(FileNotFoundError, match=r"g\.pbx"):
        addresses(tmp_path / "t" / "g.pbx")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(errors.ReadError, match="no model by its name"):
        addresses(tmp_path / "notes.txt")


def test_no_model_is_met_twice(tmp_path: Path) -> None:
    trees.saved_model(tmp_path / "a" / "m")
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    assert addresses(tmp_path / "a", tmp_path, tmp_path / "a" / "m", tmp_path / "link") == [str(tmp_path / "a" / "m")]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", ["a/prod/m.pb", "a/test/m.pb", "b/c/prod/m.pb", "b/prod.pb"]),
        ("*/prod", ["a/prod/m.pb"]),
        ("**/prod", ["a/prod/m.pb", "b/c/prod/m.pb"]),
        ("**/prod/**", ["a/prod/m.pb", "b/c/prod/m.pb"]),
        ("b/*.pb", ["b/prod.pb"]),
        ("?/prod*", ["a/prod/m.pb", "b/prod.pb"]),
        ("[ab]", ["a/prod/m.pb", "a/test/m.pb", "b/c/prod/m.pb", "b/prod.pb"]),
        ("c*", []),
    ],
)
def test_patterns_choose(pattern: str, expected: list[str], tmp_path: Path) -> None:
    for path in ("a/prod/m.pb", "a/test/m.pb", "b/c/prod/m.pb", "b/prod.pb"):
        trees.frozen(tmp_path / path)
    found = [Path(address).relative_to(tmp_path).as_posix() for address in addresses(f"{tmp_path}/{pattern}")]
    assert sorted(found) == expected


def test_a_pattern_enters_only_folders_that_may_lead_to_a_match() -> None:
    pattern = patterns.Pattern(("*", "prod"))
    assert pattern.may_lead(("a",))
    assert not pattern.may_lead(("a", "test"))
    assert pattern.may_lead(("a", "prod", "deeper"))
    assert patterns.parted("models/*/prod") == ("models", pattern)
    assert patterns.parted("*.pb") == (".", patterns.Pattern(("*.pb",)))
    assert patterns.parted("/*") == ("/", patterns.Pattern(("*",)))


def test_a_name_with_the_letters_of_a_pattern_is_a_name(tmp_path: Path) -> None:
    trees.frozen(tmp_path / "a[1]" / "m.pb")
    trees.frozen(tmp_path / "a1" / "m.pb")
    assert addresses(tmp_path / "a[1]") == [str(tmp_path / "a[1]" / "m.pb")]
