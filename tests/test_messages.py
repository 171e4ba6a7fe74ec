"""Every message that the package raises, in one table: it says what was given, what is wrong and what would work.

The table is read from the source: each call of one of our exceptions with its text, in which what is filled in at run
time stands in braces. A text that a variable holds is looked up where the function assigns it. Not for: whether a
message is true, which the tests of what raises it say.
"""

from __future__ import annotations

import ast
import math
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.test_architecture import TREES, last_name
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Our exceptions, and the line's own.
OURS = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)} | {
    "CommandError"
}
#: Those that say themselves what there is; what they are told to do besides is a part of the message.
LISTING = {"UnknownNameError", "MissingDependencyError", "MissingPartError", "UnsupportedConversionError"}
#: Texts that are handed on as a whole: they are in the table, or beside it, where they are made.
HANDED_ON = re.compile(r"\{[\w.]+\}|\{str\(error\)\}|\{_\w+\(.*\)\}|\{\w+\(.*\)\} \(prefix .*\)", re.DOTALL)
#: Reasons that a note or a panel quotes within its own sentence, which says what follows.
REASONS = (
    "transforms.inlining", "transforms.freeze_stored", "verbs.conversion.freeze_untraced",
    "models.variable_values", "verbs.snippets", "verbs.differences",
)  # fmt: skip
#: What a message has that helps: something to type, to do, or what would have been right.
HELPS = re.compile(
    r"\b(add|allow|ask|build|call|change|check|choose|compare|connect|convert|copy|did you mean|do not|download|"
    r"export|fetch|fix|freeze|give|given as|import|inspect|install|is to (be|hold)|leave|list|load|look|make|mend|"
    r"move|name|needs|open|print|put|read|redirect|register|remove|rename|replace|restarting|restore|run|save|"
    r"see|set|sign|takes?|tick|try|unpack|use|wants?|write)\b|, not (\{|as|by)|verify=|at a time|"
    r"_?advice|stands for one thing|disk sound|_problem|near\(|unchecked\}|^\{_?\w+(\.\w+)?\(",
    re.IGNORECASE,
)
#: What says what was given: its repr, a list of names, or what words it in a function of its own.
NAMES_IT = re.compile(r"!r\}|listed\(|repr|shown|origin|described|_given|_wanted|names\[|_names|--\w+|=")
#: Messages that are about the only thing that there is to speak of: the session, the graph, the cell.
ABOUT_ONE = 50
#: Longer than this, nobody reads to the end.
LONGEST = 420


class Message(NamedTuple):
    """A row of the table."""

    where: str
    error: str
    text: str


def text_of(node: ast.expr, known: dict[str, ast.expr]) -> str:  # noqa: PLR0911 - a case each
    """Write an expression as the text that it gives, what is filled in in braces."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(text_of(each, known) for each in values)
        case ast.FormattedValue(value=ast.Name(id=name)) if name in known and node.conversion == -1:
            return text_of(known[name], {key: each for key, each in known.items() if key != name})
        case ast.FormattedValue(value=value, conversion=conversion):
            return f"{{{ast.unparse(value)}{'!r' if conversion == ord('r') else ''}}}"
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            return text_of(left, known) + text_of(right, known)
        case ast.IfExp(body=body, orelse=other):
            return max(text_of(body, known), text_of(other, known), key=len)
        case ast.Name(id=name) if name in known:
            return text_of(known[name], {key: each for key, each in known.items() if key != name})
    return f"{{{ast.unparse(node)}}}"


def assigned(scope: ast.AST, line: float) -> dict[str, ast.expr]:
    """Return what a function has assigned to its names by some line; what is added to a text is a part of it."""
    known: dict[str, ast.expr] = {}
    places = [node for node in ast.walk(scope) if isinstance(node, ast.Assign | ast.AugAssign) and node.lineno <= line]
    for node in sorted(places, key=lambda each: each.lineno):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = value
            case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value) if name in known:
                known[name] = ast.BinOp(known[name], ast.Add(), value)
    return known


def messages() -> Iterator[Message]:
    """Yield the table."""
    for module, tree in TREES.items():
        if module == "errors":
            continue
        constants = assigned(ast.Module([node for node in tree.body if isinstance(node, ast.Assign)], []), math.inf)
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
            for call in [node for node in ast.walk(function) if isinstance(node, ast.Call)]:
                name = last_name(call.func)
                if name in OURS and call.args:
                    known = constants | assigned(function, call.lineno)
                    texts = [text_of(each, known) for each in call.args]
                    yield Message(f"{module}:{call.lineno}", name, max(texts, key=len))


@cache
def table() -> list[Message]:
    """Return the table, sorted."""
    return sorted(set(messages()))


def sentences() -> list[Message]:
    """Return those that are whole sentences of ours."""
    return [
        row
        for row in table()
        if row.error not in LISTING and not HANDED_ON.fullmatch(row.text) and not row.where.startswith(REASONS)
    ]


def shown(rows: list[Message]) -> str:
    return "\n".join(f"{row.where} {row.error}: {row.text}" for row in rows)


def test_the_table_is_the_package_s() -> None:
    assert len(table()) > 350
    assert {row.error for row in table()} >= {"ConversionError", "WriteError", "CorruptSourceError", "CommandError"}


def test_a_message_says_what_would_work() -> None:
    silent = [row for row in sentences() if not HELPS.search(row.text)]
    assert not silent, f"say what to do, or what would have been right:\n{shown(silent)}"


def test_a_message_is_one_line_that_somebody_reads_to_its_end() -> None:
    long = [row for row in table() if "\n" in row.text or len(row.text) > LONGEST]
    assert not long, f"shorten:\n{shown(long)}"


def test_a_message_does_not_end_in_the_words_of_another_library() -> None:
    """What TensorFlow or h5py says is quoted, and what would work comes behind it."""
    foreign = [row for row in table() if re.search(r"(gist|first_line)\([^{}]*\)\}$|[:;,.] ?$", row.text)]
    assert not foreign, f"go on behind it:\n{shown(foreign)}"


def test_a_message_names_what_was_given() -> None:
    """But for those about the one thing that there is: the session, the graph, the line."""
    nameless = [row for row in sentences() if not NAMES_IT.search(row.text)]
    assert len(nameless) <= ABOUT_ONE, f"name what was given, by repr:\n{shown(nameless)}"


@pytest.mark.parametrize("text", ["forms are:", "(none)"])
def test_no_message_holds_a_list_that_tells_nothing(text: str) -> None:
    holders = [
        row for row in table() if text in row.text.lower() and row.where.partition(":")[0] != "models.recognition"
    ]
    assert not holders, shown(holders)
