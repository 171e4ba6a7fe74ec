from __future__ import annotations

import random
import re
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.conftest import ROOT
from tfmagic import frames
from tfmagic.commands import arguments
from tfmagic.commands import words as command_words
from tfmagic.commands.declarations import COMMANDS
from tfmagic.commands.words import CommandError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a   b\t c ", ["a", "b", "c"]),
        ("'a b' \"c d\"", ["'a b'", '"c d"']),
        ("models[0] --op x", ["models[0]", "--op", "x"]),
        ("models['a b'] x", ["models['a b']", "x"]),
        ("f(a, b)[1, 2] x", ["f(a, b)[1, 2]", "x"]),
        ('{"a": 1}["a"]', ['{"a": 1}["a"]']),
        ("f(')') x", ["f(')')", "x"]),
        ("--op='a b' x", ["--op='a b'", "x"]),
        ('"it\'s" x', ['"it\'s"', "x"]),
        ("a) (b c) d", ["a)", "(b c)", "d"]),
        ("größe 日本", ["größe", "日本"]),
    ],
)
def test_words_end_at_blanks_outside_quotes_and_brackets(line: str, words: list[str]) -> None:
    assert command_words.split(line) == words


@pytest.mark.parametrize(
    ("line", "what"), [("'a b", "quote '"), ('a "b', 'quote "'), ("f(a, b", "bracket ("), ("a[0 b", "bracket [")]
)
def test_what_does_not_close_is_an_error(line: str, what: str) -> None:
    with pytest.raises(CommandError, match=re.escape(what) + " does not close"):
        command_words.split(line)


def test_words_and_blanks_are_all_there_is() -> None:
    rng = random.Random(0)
    for _ in range(500):
        line = "".join(rng.choices("ab \t'\"()[]{}", k=rng.randrange(20)))
        words, last, _ = command_words.cut(line)
        assert "".join([*words, last]).replace(" ", "").replace("\t", "") == line.replace(" ", "").replace("\t", "")
        assert all(words)


@pytest.mark.parametrize(
    ("token", "text"),
    [("'a b'", "a b"), ('"a"', "a"), ("a", "a"), ("'a\"", "'a\""), ('"it\'s"', "it's"), ("''", ""), ("'", "'")],
)
def test_quotes_that_enclose_are_stripped(token: str, text: str) -> None:
    assert command_words.unquote(token) == text


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("model", {"model"}),
        ("models[0].layers", {"models"}),
        ("f(x, y)", {"f", "x", "y"}),
        ("./served", None),
        ("a b", None),
        ("'text'", set()),
        ("model.pb", {"model"}),
        ("served/1", {"served"}),
        ("C:\\data\\new.pb", None),
        ("'C:\\data'", set()),
        ("nul\0", None),
        ("(" * 500, None),
        ("-" * 100_000 + "x", None),
        ("~/model", None),
        ("-x", {"x"}),
        ("[part * scale for part in parts]", {"scale", "parts"}),
        ("list(map(lambda part: part + 1, parts))", {"list", "map", "parts"}),
    ],
)
def test_the_names_in_an_expression(expression: str, names: set[str] | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = command_words.names_in(expression)
        assert (None if found is None else set(found)) == names


def test_a_line_of_every_option() -> None:
    values = COMMANDS["export"].parse(
        "model './a b' --format saved_model --tags serve,gpu --signature s --method predict "
        "--input x=a:0 --input 'y=b c:0' --output z=d --overwrite --no-verify"
    )
    assert {
        "SOURCE": "model", "DEST": "'./a b'", "format": "saved_model", "tags": "serve,gpu", "signature": "s",
        "method": "predict", "input": ["x=a:0", "'y=b c:0'"], "output": ["z=d"], "overwrite": True, "no_verify": True,
        "help": False,
    }.items() <= vars(values).items()  # fmt: skip


def test_options_stand_anywhere() -> None:
    for line in ("--ops model --op Conv", "model --ops --op=Conv", "--op Conv --ops model"):
        values = COMMANDS["inspect"].parse(line)
        assert (values.SOURCE, values.ops, values.op) == ("model", True, "Conv")


@pytest.mark.parametrize(
    ("command", "line", "says"),
    [
        ("inspect", "", "SOURCE"),
        ("inspect", "a b", "unrecognized arguments: b; a path with a blank in it goes into quotes; %tf_inspect"),
        ("export", "my model out", "unrecognized arguments: out; a path with a blank in it goes into quotes"),
        ("inspect", "a --opps", "did you mean '--ops'"),
        ("inspect", "a --name", "argument --name: expected one argument; %tf_inspect"),
        ("freeze", "a -o", "argument -o/--output: expected one argument; %tf_freeze"),
        ("run", "", "required: SOURCE; %tf_run"),
        ("verify", "a", "required: B; %tf_verify"),
        ("inspect", "a --sign x", "--signature"),
        ("inspect", "a --op", "--op"),
        ("freeze", "a --output", "-o"),
        ("export", "a", "DEST"),
        ("forms", "a", "unrecognized arguments: a; %tf_forms"),
        ("inspect", "'a", "does not close"),
    ],
)
def test_a_line_that_does_not_follow_its_command_is_answered_in_one_line(command: str, line: str, says: str) -> None:
    with pytest.raises(CommandError, match=re.escape(says)) as raised:
        COMMANDS[command].parse(line)
    assert "\n" not in str(raised.value)
    assert "'a" in line or f"%tf_{command} --help" in str(raised.value)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("line", ["--help", "-h", "a --help", "a b c --nonsense -h"])
def test_help_lists_every_option_wherever_it_is_asked_for(name: str, line: str) -> None:
    with pytest.raises(arguments.HelpRequest) as raised:
        COMMANDS[name].parse(line)
    text = " ".join(str(raised.value).split())
    assert f"%tf_{name}" in text
    for argument in COMMANDS[name].arguments:
        assert all(flag in text for flag in argument.flags)
        assert argument.help in text


def test_every_table_has_a_switch_and_every_verb_a_function() -> None:
    flags = {flag for argument in COMMANDS["inspect"].arguments for flag in argument.flags}
    assert {f"--{table}" for table in frames.ROW_TYPES} <= flags
    assert all(callable(getattr(tfmagic, name)) for name in COMMANDS)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the verbs are called with; none does anything."""
    found: dict[str, Any] = {}

    def verb(name: str) -> Any:
        return lambda *given, **options: found.update(name=name, given=given, **options)

    for name in ("freeze", "export"):
        monkeypatch.setattr(f"tfmagic.verbs.{name}.{name}", verb(name))
    return found


def run(name: str, line: str) -> object:
    return COMMANDS[name].run(COMMANDS[name].parse(line))


def test_freeze_is_called_with_what_the_line_says(seen: dict[str, Any]) -> None:
    run("freeze", "model -o 'my model.pb' --inputs a,b --inputs c --outputs ' d , e' --tags serve --no-verify")
    assert {
        "name": "freeze", "given": ("model",), "signature": None, "inputs": ["a", "b", "c"], "outputs": ["d", "e"],
        "tags": "serve", "output": "my model.pb", "overwrite": False, "verify": False,
    }.items() <= seen.items()  # fmt: skip


def test_export_is_called_with_what_the_line_says(seen: dict[str, Any]) -> None:
    run("export", "model \"out dir\" --input 'x = a:0' --output y=b=c --overwrite")
    assert {
        "name": "export", "given": ("model", "out dir"), "format": None, "tags": None, "signature": None,
        "method": None, "inputs": {"x": "a:0"}, "outputs": {"y": "b=c"}, "overwrite": True, "verify": None,
    }.items() <= seen.items()  # fmt: skip


@pytest.mark.parametrize(
    ("words", "key"),
    [
        ("'a feature=t'", "a feature"),
        ("'a feature'=t", "a feature"),
        ('"it\'s"=t', "it's"),
        ("'key=value'=t", "key=value"),
        ("x:0=t", "x:0"),
    ],
)
def test_any_key_can_be_said_in_quotes(words: str, key: str, seen: dict[str, Any]) -> None:
    run("export", f"model out --input {words}")
    assert seen["inputs"] == {key: "t"}


def test_names_in_quotes_keep_their_commas(seen: dict[str, Any]) -> None:
    run("freeze", "model --outputs \"'a,b',c\"")
    assert seen["outputs"] == ["a,b", "c"]


@pytest.mark.parametrize("pair", ["x", "x=", "=a", "x=a --input ''"])
def test_a_pair_that_is_none_is_an_error(pair: str) -> None:
    with pytest.raises(CommandError, match="--input wants KEY=TENSOR"):
        run("export", f"model out --input {pair}")


def test_a_key_may_stand_for_one_tensor_only() -> None:
    with pytest.raises(CommandError, match="names 'x' twice"):
        run("export", "model out --input x=a --input x=b")


def test_one_table_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "graph.pbtxt").write_text('node { name: "a" op: "NoOp" }')
    with pytest.raises(CommandError, match="one table at a time, not '--ops', '--functions'"):
        run("inspect", f"{tmp_path}/graph.pbtxt --functions --ops")


@pytest.mark.parametrize(
    ("options", "columns", "rows"),
    [
        ("--ops", "ops", 2),
        ("--op NoOp", "ops", 1),
        ("--name ^b$", "ops", 1),
        ("--op 'No|Re' --name a", "ops", 1),
        ("--signature proposed", "signatures", 1),
        ("--signature proposed --op Relu", "ops", 1),
        ("--functions", "functions", 0),
    ],
)
def test_the_table_that_a_line_asks_for(options: str, columns: str, rows: int, tmp_path: Path) -> None:
    path = tmp_path / "graph.pbtxt"
    path.write_text('node { name: "a" op: "NoOp" } node { name: "b" op: "Relu" }')
    found: Any = run("inspect", f"{path} {options}")
    assert list(found.columns) == frames.columns(columns)
    assert len(found) == rows


def test_parsing_imports_neither_the_verbs_nor_pandas() -> None:
    program = """
import sys
from tfmagic.commands import declarations
declarations.COMMANDS["inspect"].parse("model --ops")
assert not {"numpy", "pandas", "tensorflow", "tfmagic.verbs.export", "tfmagic.readers"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_a_word_that_is_no_value_may_be_the_rest_of_a_path() -> None:
    with pytest.raises(CommandError, match="NAME=EXPR, not 'model'; a path with a blank in it goes into quotes"):
        command_words.feeds(["model"])
    with pytest.raises(CommandError, match=r"NAME=EXPR, not '=1'$"):
        command_words.feeds(["=1"])


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "forms"])
def test_help_ends_with_examples_that_can_be_typed(name: str) -> None:
    command = COMMANDS[name]
    assert command.examples
    assert "" in command.examples or all(command.parse(example) for example in command.examples)
    lines = command.parser(f"%tf_{name}").format_help().rstrip().splitlines()
    assert lines[-len(command.examples) - 1] == "examples:"
    assert lines[-1] == f"  %tf_{name} {command.examples[-1]}"
