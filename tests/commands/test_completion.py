from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.completer import provisionalcompleter

import tfmagic
from tests.wire_samples import attr, field, node
from tfmagic.commands import completion, declarations
from tfmagic.files import protos
from tfmagic.models import reader as reader_base

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from tests.samples import Built

GRAPH = (
    field(1, node("image", "Placeholder", attrs=attr("dtype", b"\x30\x01")))
    + field(1, node("conv/w", "Const"))
    + field(1, node("conv/y", "Conv2D", "image", "conv/w"))
)


@pytest.fixture
def files(in_tmp_path: Path) -> Path:
    """A directory with a few models, which is the working directory."""
    (in_tmp_path / "graph.pb").write_bytes(GRAPH)
    (in_tmp_path / "my graph.pb").write_bytes(GRAPH)
    (in_tmp_path / ".hidden").write_bytes(b"")
    served = in_tmp_path / "served" / "1"
    served.mkdir(parents=True)
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    meta_graph = saved.meta_graphs.add(graph_def=protos.parse("GraphDef", GRAPH))
    meta_graph.meta_info_def.tags.extend(["serve", "gpu"])
    for key in ("serving_default", "predict_images", "__saved_model_init_op"):
        meta_graph.signature_def[key].inputs["pixels"].name = "image:0"
        meta_graph.signature_def[key].outputs["scores"].name = "conv/y:0"
    (served / "saved_model.pb").write_bytes(saved.SerializeToString())
    return in_tmp_path


def texts(line: str, **variables: object) -> list[str]:
    return [each.text for each in completion.complete(line, variables)[1]]


def test_samples_are_variables_that_hold_many_values(files: Path) -> None:
    del files
    variables = {"photos": [1.0], "_hidden": [1.0], "count": 3, "pairs": {"x": []}}
    assert texts("%tf_export graph.pb m.tflite --samples ", **variables) == ["pairs", "photos"]
    assert texts("%tf_export graph.pb m.tflite --samples ph", **variables) == ["photos"]
    assert texts("%tf_export graph.pb m.tflite --quantize ") == ["dynamic", "float16", "int8"]


def test_other_lines_are_none_of_ours() -> None:
    for line in (
        "",
        "x = 1",
        "%time x",
        "tf_inspect ",
        "%tf_nothing ",
        "%tf_inspect",
        "a %tf_inspect x",
        "# %tf_inspect ",
    ):
        assert completion.complete(line, {}) == ("", [])


@pytest.mark.parametrize("line", ["%tf_inspect g", "  %tf_inspect g", "df = %tf_inspect g", "a, b = %tf_inspect g"])
def test_a_magic_is_ours_wherever_it_stands(line: str, files: Path) -> None:
    assert completion.complete(line, {}) == ("g", [completion.Completion("graph.pb", "path")])
    assert files.is_dir()


@pytest.mark.parametrize("name", declarations.COMMANDS)
def test_options_are_those_of_the_command(name: str) -> None:
    flags = sorted(flag for each in declarations.COMMANDS[name].arguments for flag in each.flags if each.is_option)
    assert texts(f"%tf_{name} -") == [flag for flag in flags if flag.startswith("-")]
    assert texts(f"%tf_{name} x --ov") == ([flag for flag in flags if flag.startswith("--ov")])


def test_sources_are_variables_that_hold_a_model_and_paths(files: Path) -> None:
    model = tfmagic.inspect(files / "graph.pb")
    variables = {
        "model": model,
        "message": model.graph_def,
        "number": 1,
        "text": "graph.pb",
        "_private": model,
        "kind": type,
    }
    assert texts("%tf_inspect ", **variables) == ["message", "model", '"my graph.pb"', "graph.pb", "served/"]
    assert texts("%tf_inspect m", **variables) == ["message", "model", '"my graph.pb"']


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("g", ["graph.pb"]),
        ("./g", ["./graph.pb"]),
        ("served/", ["served/1/"]),
        ("served/1/s", ["served/1/saved_model.pb"]),
        (".", [".hidden"]),
        ("'g", ["'graph.pb'"]),
        ('"my gr', ['"my graph.pb"']),
        ("'my ", ["'my graph.pb'"]),
        ("'ser", ["'served/"]),
        ("missing/", []),
        ("graph.pb/", []),
    ],
)
def test_paths(word: str, found: list[str], files: Path) -> None:
    assert completion.complete(f"%tf_inspect {word}", {}) == (
        word,
        [completion.Completion(each, "path") for each in found],
    )
    assert (
        completion.complete(f"%tf_freeze model -o {word}", {})[1] == completion.complete(f"%tf_inspect {word}", {})[1]
    )
    assert texts(f"%tf_inspect {files}/g") == [f"{files}/graph.pb"]


def test_paths_below_the_users_home(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(files))
    assert texts("%tf_inspect ~/gr") == ["~/graph.pb"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%tf_inspect served --signature ", ["predict_images", "serving_default"]),
        ("%tf_inspect served --signature p", ["predict_images"]),
        ("%tf_inspect --signatures served --signature p", ["predict_images"]),
        ("%tf_inspect --form saved_model served/1 --signature p", ["predict_images"]),
        ("%tf_inspect 'served/1' --signature p", ["predict_images"]),
        ("%tf_inspect served --tags ", ["serve,gpu"]),
        ("%tf_inspect served --op ", ["Const", "Conv2D", "Placeholder"]),
        ("%tf_inspect graph.pb --op C", ["Const", "Conv2D"]),
        ("%tf_inspect graph.pb --name conv", ["conv/w", "conv/y"]),
        ("%tf_inspect served --form sa", ["saved_model"]),
        ("%tf_freeze served --inputs pix", ["pixels"]),
        ("%tf_freeze served --outputs scores,co", ["scores,conv/y:0"]),
        ("%tf_freeze graph.pb --outputs c", ["conv/y", "conv/y:0"]),
        ("%tf_export served out --input x=im", ["x=image:0"]),
        ("%tf_export served out --format s", ["saved_model"]),
        ("%tf_export served out --method c", ["classify"]),
        ("%tf_export served se", ["served/"]),
        ("%tf_export served out x", []),
        ("%tf_inspect missing --op ", []),
        ("%tf_inspect --op ", []),
        ("%tf_inspect served --overwrite ", []),
    ],
)
def test_what_an_option_can_be(line: str, found: list[str], files: Path) -> None:
    assert files.is_dir()
    assert texts(line) == found


def test_names_come_from_a_variable_too(files: Path) -> None:
    assert texts("%tf_inspect it --op C", it=tfmagic.inspect(files / "graph.pb")) == ["Const", "Conv2D"]
    assert texts("%tf_inspect it --op C", it=str(files / "graph.pb")) == ["Const", "Conv2D"]


class Touchy:
    """An object that objects to being looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_one_odd_variable_does_not_hide_the_others(files: Path) -> None:
    model = tfmagic.inspect(files / "graph.pb")
    assert texts("%tf_inspect m", odd=Touchy(), model=model, my=Touchy()) == ["model", '"my graph.pb"']


def test_expressions_are_not_evaluated() -> None:
    called: list[int] = []
    assert texts("%tf_inspect call() --op ", call=lambda: called.append(1)) == []
    assert texts("%tf_inspect models[0] --signature ", models=[Touchy()]) == []
    assert called == []


def test_a_large_file_is_not_read(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_LARGEST", 10)
    for source in ("graph.pb", "served", "served/1"):
        assert texts(f"%tf_inspect {source} --op ") == []
    # What has been read already costs nothing.
    model = tfmagic.inspect(files / "graph.pb")
    assert texts("%tf_inspect it --op C", it=model) == []
    assert len(model.ops) == 3
    assert texts("%tf_inspect it --op C", it=model) == ["Const", "Conv2D"]


def test_nothing_of_a_source_is_read_for_its_path(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "graph.pb").write_bytes(b"damaged")
    monkeypatch.setattr(reader_base.Candidate, "head", property(lambda _: pytest.fail("was read")))
    assert texts("%tf_inspect gr") == ["graph.pb"]


@pytest.mark.tensorflow
def test_a_live_model_is_not_traced(samples: Built) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only this test should take

    traced: list[int] = []

    @tf.function(input_signature=[tf.TensorSpec([None])])  # type: ignore[untyped-decorator]
    def function(x: Any) -> Any:
        traced.append(1)
        return x

    keras = samples["keras_model"]
    for source in ("function", "keras"):
        for option in ("--op", "--signature", "--name"):
            texts(f"%tf_inspect {source} {option} ", function=function, keras=keras)
    assert traced == []
    assert texts("%tf_inspect ", function=function, keras=keras)[:2] == ["function", "keras"]
    assert "hidden/kernel" in texts("%tf_inspect keras --name ", keras=keras)
    read = tfmagic.inspect(function)
    assert len(read.ops) > 0
    assert "Placeholder" in texts("%tf_inspect read --op ", read=read)


def test_a_completion_never_raises(files: Path) -> None:
    rng = random.Random(0)
    words = [
        "served",
        "graph.pb",
        "--op",
        "--signature",
        "-o",
        "'",
        '"',
        "(",
        "[",
        ",",
        "=",
        "~",
        "/",
        "..",
        "$x",
        "{y}",
        "\0",
        "x" * 300,
        "-",
    ]
    for name in declarations.COMMANDS:
        for _ in range(150):
            line = f"%tf_{name} " + rng.choice(("", " ")).join(rng.choices(words, k=rng.randrange(6)))
            word, found = completion.complete(line, {"x": Touchy()})
            assert line.endswith(word)
            assert len(found) <= 200
    assert files.is_dir()


def test_no_more_is_proposed_than_helps(files: Path) -> None:
    for index in range(300):
        (files / f"file_{index}").touch()
    assert len(texts("%tf_inspect file_")) == 200


def completed(shell: InteractiveShell, code: str) -> list[str]:
    """Complete as JupyterLab does: the code with each proposal in its place."""
    with provisionalcompleter():
        return [
            code[: each.start] + each.text + code[each.end :] for each in shell.Completer.completions(code, len(code))
        ]


def test_in_a_shell(shell: InteractiveShell) -> None:
    Path("my graph.pb").write_bytes(GRAPH)
    Path("graph.pb").write_bytes(GRAPH)
    shell.user_ns["mine"] = tfmagic.inspect("graph.pb")
    assert completed(shell, "%tf_inspect mi") == ["%tf_inspect mine"]
    assert completed(shell, "ops = %tf_inspect mi") == ["ops = %tf_inspect mine"]
    assert completed(shell, "x = 1\n%tf_inspect graph.pb --op Conv") == ["x = 1\n%tf_inspect graph.pb --op Conv2D"]
    assert completed(shell, '%tf_inspect "my g') == ['%tf_inspect "my graph.pb"']
    assert completed(shell, "%tf_freeze mine --overw") == ["%tf_freeze mine --overwrite"]
    assert completed(shell, "%tf_inspect mine --sig") == [
        "%tf_inspect mine --signature",
        "%tf_inspect mine --signatures",
    ]
    # In the terminal the same, by another way.
    assert shell.complete("mi", "%tf_inspect mi", 14) == ("mi", ["mine"])


def test_the_other_completions_stay(shell: InteractiveShell) -> None:
    shell.user_ns["some_variable"] = 1
    assert "some_variable" in completed(shell, "some_v")
    assert "%tf_inspect" in completed(shell, "%tf_insp")
    assert any(text.startswith("print(some_variable") for text in completed(shell, "print(some_v"))
    shell.run_line_magic("unload_ext", "tfmagic")
    assert "some_variable" in completed(shell, "some_v")
    assert not any("tf_inspect" in text for text in completed(shell, "%tf_insp"))


def test_models_come_before_pictures_and_the_like(files: Path) -> None:
    for name in ("a.png", "a notes.txt", "a.keras", "a_ckpt.index", "A"):
        (files / name).write_bytes(b"")
    (files / "a folder").mkdir()
    assert texts("%tf_inspect a") == ['"a folder/', "a.keras", "a_ckpt.index", '"a notes.txt"', "a.png"]
    assert texts("%tf_inspect a", a_model=tfmagic.inspect(files / "graph.pb"))[0] == "a_model"
