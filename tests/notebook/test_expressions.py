from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import checkpoint_samples
from tfmagic.commands import arguments, declarations
from tfmagic.commands import words as command_words
from tfmagic.files import protos
from tfmagic.notebook.expressions import NotebookWords


def words(**variables: object) -> NotebookWords:
    return NotebookWords(variables, lambda expression: eval(expression, {}, variables))  # noqa: S307 - a notebook's


@pytest.mark.parametrize(
    ("token", "means"),
    [
        ("model", 1),
        ("model + 1", 2),
        ("models['a']", 3),
        ("'model'", Path("model")),
        ("./model", Path("model")),
        ("missing.pb", Path("missing.pb")),
        ("1 + 1", Path("1 + 1")),
        ("no such thing", Path("no such thing")),
    ],
)
def test_a_source_is_an_expression_if_it_evaluates_else_a_path(token: str, means: object) -> None:
    assert words(model=1, models={"a": 3}).source(token) == means


def test_a_path_that_is_there_counts_more_than_an_expression_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model").mkdir()
    Path("model/1").touch()
    assert words(model="text").source("model/1") == Path("model/1")
    with pytest.raises(command_words.CommandError, match="no path, and as an expression it raises TypeError"):
        words(model="text").source("model/2")


@pytest.mark.parametrize(
    ("word", "file"), [("model.pb", "model.pb"), ("ckpt", "ckpt.index"), ("models['b']", "models['b']")]
)
def test_what_leads_to_a_model_is_a_path_whatever_it_looks_like(
    word: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(file).write_bytes(checkpoint_samples.table({b"": b""}))
    assert words(model=1, models={}).source(word) == Path(word)


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("netwrok", "there is neither a variable nor a path 'netwrok'; did you mean 'network'?"),
        ("mdel", "there is neither a variable nor a path 'mdel'; did you mean 'model.pb'?"),
        ("my", "there is neither a variable nor a path 'my'; did you mean 'my model.pb'? A path with a blank"),
        ("other", "there is neither a variable nor a path 'other'; the notebook's models are 'network'"),
        ("others['a']", "nor a path \"others['a']\"; the notebook's models are 'network'"),
        ("network.modell", "'network.modell' is no path, and as an expression it raises AttributeError: "),
        ("network.build(other)", "is no path, and as an expression it raises NameError: name 'other' is not defined"),
    ],
)
def test_what_is_neither_a_variable_nor_a_path_says_what_is_near(
    token: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.pb", "my model.pb"):
        Path(name).touch()
    network = protos.message("GraphDef")()
    variables = {"network": type("Owner", (), {"build": abs})() if "." in token else network}
    with pytest.raises(command_words.CommandError) as raised:
        words(**variables).source(token)
    assert says in str(raised.value)


def test_a_value_that_raises_names_its_input_in_one_line() -> None:
    assert words(x=2).feeds(["a=x", "b=x * 2"]) == {"a": 2, "b": 4}

    def burst() -> None:
        raise ValueError("first\nsecond")

    with pytest.raises(command_words.CommandError) as raised:
        words(burst=burst).feeds(["a=burst()"])
    assert str(raised.value) == "the value 'burst()' for 'a' raises ValueError: first"


def test_a_body_that_raises_says_what_a_body_is() -> None:
    assert words(x=2).body("\n{'a': x}\n") == {"a": 2}
    with pytest.raises(command_words.CommandError, match="one Python dict, and it raises SyntaxError"):
        words().body("a = 1")


def test_the_words_of_a_line_are_replaced_and_kept() -> None:
    command = declarations.COMMANDS["verify"]
    values: Any = command.parse("model other.pb x=model")
    words(model=1).evaluate(command, values, None)
    given = [getattr(values, each.flags[0]) for each in command.arguments if each.kind == arguments.SOURCE]
    assert given == [1, Path("other.pb")]
    assert getattr(values, arguments.NAMES) == ["model", "other.pb"]
