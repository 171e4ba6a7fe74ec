from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfmagic.commands import arguments, declarations
from tfmagic.commands import words as command_words
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
        ("model.pb", Path("model.pb")),
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
