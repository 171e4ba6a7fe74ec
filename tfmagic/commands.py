"""The verbs as commands: name, summary, arguments, options, and the call that each stands for.

A front (a magic today) parses a line by this table, evaluates what stands for an object, and calls ``run``. Not for:
IPython (:mod:`tfmagic.magics`) or the work itself (:mod:`tfmagic.api`).
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from tfmagic import errors, frames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from tfmagic import api
    from tfmagic.model import Model

#: What a value of an argument or option is, for completion and for evaluation.
SOURCE, PATH, SIGNATURE, TENSOR, TAGS, FORM, FORMAT, METHOD, OP, NAME = (
    "source", "path", "signature", "tensor", "tags", "form", "format", "method", "op", "name",
)  # fmt: skip
#: NAME=EXPR: a value for an input, an expression over the notebook's variables.
FEED, COUNT = "feed", "count"
FEEDS = "NAME=EXPR"
#: Under this name, the value of a cell's body comes with the values of its line.
BODY = "BODY"
_QUOTED = re.compile(r"""(['"])(.*)\1\Z""", re.DOTALL)
_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""


class CommandError(ValueError):
    """A line that does not follow its command; the message is for the user."""


class HelpRequest(Exception):  # noqa: N818 - not an error
    """The line asks for help, which is the message."""


@dataclass(frozen=True)
class Argument:
    """A positional argument or, with dashes, an option.

    Attributes
    ----------
    flags : tuple of str
        Its name, or its spellings with dashes.
    help : str
        What it is for.
    kind : str or None
        What its value is; None for a switch.
    repeats : bool
        Whether an option may be given several times or with commas.
    optional : bool
        Whether a positional argument may be left out.
    """

    flags: tuple[str, ...]
    help: str
    kind: str | None
    repeats: bool = False
    optional: bool = False

    @property
    def is_option(self) -> bool:
        """Whether it is given with dashes."""
        return self.flags[0].startswith("-")


@dataclass(frozen=True)
class Command:
    """A verb.

    Attributes
    ----------
    name : str
        ``inspect`` for ``%tf_inspect`` and ``tfmagic.inspect``.
    summary : str
        One line.
    arguments : tuple of Argument
        Positional arguments first.
    run : callable
        Takes the parsed values by name, sources evaluated, and returns the verb's result.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    run: Callable[[argparse.Namespace], object]

    def parse(self, line: str) -> argparse.Namespace:
        """Parse a line into values by name; text stays as it was typed, quotes and all.

        Raises
        ------
        CommandError
            If the line does not follow the command.
        HelpRequest
            If it asks for help.
        """
        tokens = split(line)
        if {"-h", "--help"}.intersection(tokens):
            raise HelpRequest(self.parser().format_help())
        # Values for inputs may stand before, between and after options.
        return self.parser().parse_intermixed_args(tokens)

    def parser(self) -> argparse.ArgumentParser:
        """Build the parser of the command's line."""
        parser = _Parser(f"%tf_{self.name}", description=self.summary, add_help=False, allow_abbrev=False)
        for argument in self.arguments:
            parser.add_argument(*argument.flags, **_parser_options(argument))
        parser.add_argument("-h", "--help", action="store_true", help="show this help")
        return parser


class _Parser(argparse.ArgumentParser):
    """A parser that raises where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        problem = f"{message}{self._advice(message)}; {self.prog} --help lists what there is"
        raise CommandError(problem)

    def _advice(self, message: str) -> str:
        """Say which option is near one that there is not."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        wrong = [word for word in message.split() if word.startswith("-")]
        near = [found for word in wrong for found in difflib.get_close_matches(word, flags, n=2)]
        return f"; did you mean {errors.listed(near)}?" if near else ""


def _parser_options(argument: Argument) -> dict[str, Any]:
    """Translate an argument into argparse's words."""
    help_text = argument.help.replace("%", "%%")
    if argument.kind is None:
        return {"action": "store_true", "help": help_text}
    if argument.kind == FEED:
        return {"nargs": "*", "help": help_text}
    if not argument.is_option:
        return {"nargs": "?" if argument.optional else None, "help": help_text}
    action = "append" if argument.repeats else "store"
    return {"action": action, "metavar": argument.kind.upper(), "help": help_text}


def split(line: str) -> list[str]:
    """Split a line at blanks that are outside quotes and brackets; quotes stay.

    Raises
    ------
    CommandError
        If a quote or a bracket does not close.
    """
    tokens, last, unclosed = cut(line.strip())
    if unclosed:
        what = "quote" if unclosed in _QUOTES else "bracket"
        problem = f"a {what} {unclosed} does not close in {line.strip()!r}; put the word that it is part of into quotes"
        raise CommandError(problem)
    return [token for token in [*tokens, last] if token]


def cut(line: str) -> tuple[list[str], str, str]:
    """Cut a line at blanks that are outside quotes and brackets.

    Returns
    -------
    (list of str, str, str)
        The words that a blank ends, the last word, and the quote or the bracket in it that does not close.
    """
    tokens: list[str] = []
    current, quote, brackets = "", "", ""
    for char in line:
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote = char
        elif char in _OPENING:
            brackets += char
        elif char in _CLOSING:
            brackets = brackets[:-1]
        if char.isspace() and not quote and not brackets:
            tokens += [current] if current else []
            current = ""
        else:
            current += char
    return tokens, current, quote or brackets[-1:]


def unquote(token: str) -> str:
    """Strip the quotes that enclose a token."""
    found = _QUOTED.match(token)
    return found[2] if found else token


def names_in(expression: str) -> set[str] | None:
    """Return the variables that a Python expression reads, None if it is no expression."""
    try:
        with warnings.catch_warnings():
            # Nobody who types a path wants to hear of its backslashes.
            warnings.simplefilter("ignore")
            tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _many(values: Sequence[str] | None) -> list[str] | None:
    """Flatten an option that repeats or holds commas; None if it was not given."""
    if values is None:
        return None
    return [part.strip() for value in values for part in unquote(value).split(",") if part.strip()]


def _pairs(values: Sequence[str] | None, option: str, shape: str = "KEY=TENSOR") -> dict[str, str] | None:
    """Read pairs such as KEY=TENSOR."""
    if values is None:
        return None
    pairs = [unquote(value).partition("=") for value in values]
    for key, equals, value in pairs:
        if not (key and equals and value):
            problem = f"{option} wants {shape}, not {key + equals + value!r}"
            raise CommandError(problem)
        if [other for other, _, _ in pairs].count(key) > 1:
            problem = f"{option} names {key!r} twice; in {shape}, each {shape.partition('=')[0]} stands for one thing"
            raise CommandError(problem)
    return {key.strip(): value.strip() for key, _, value in pairs}


def feeds(words: Sequence[str]) -> dict[str, str]:
    """Read NAME=EXPR words into expressions by name.

    Raises
    ------
    CommandError
        If one is no such word, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, expression = (part.strip() for part in unquote(word).partition("="))
        if not (name and equals and expression):
            problem = f"an input's value is given as {FEEDS}, not {word!r}"
            raise CommandError(problem)
        if name in found:
            problem = f"the input {name!r} is given twice"
            raise CommandError(problem)
        found[name] = expression
    return found


def _connections(values: Sequence[str] | None) -> dict[str, list[str]] | None:
    """Read OUT=IN pairs; an output may feed several inputs."""
    found: dict[str, list[str]] = {}
    for value in values or ():
        output, equals, target = (part.strip() for part in unquote(value).partition("="))
        if not (output and equals and target):
            problem = f"--connect wants OUT=IN, not {value!r}"
            raise CommandError(problem)
        found.setdefault(output, []).append(target)
    return found or None


def _count(value: str | None, option: str) -> int:
    if value is None:
        return 1
    if not unquote(value).isdecimal():
        problem = f"{option} wants a whole number, not {value!r}"
        raise CommandError(problem)
    return int(unquote(value))


def _text(value: str | None) -> str | None:
    return None if value is None else unquote(value)


def _inspect(values: argparse.Namespace) -> Model | pd.DataFrame:
    """Run %tf_inspect: the model, or the one table that was asked for."""
    from tfmagic import api, selection  # noqa: PLC0415 - with the first command: loading the extension must stay light

    model = api.inspect(values.SOURCE, form=_text(values.form), tags=_text(values.tags), trust=values.trust)
    wanted = [table for table in frames.ROW_TYPES if getattr(values, table)]
    if len(wanted) > 1:
        problem = f"one table at a time, not {errors.listed(f'--{table}' for table in wanted)}"
        raise CommandError(problem)
    filters = {"op": _text(values.op), "name": _text(values.name), "signature": _text(values.signature)}
    if not wanted and not any(filters.values()):
        return model
    table = wanted[0] if wanted else ("signatures" if values.signature and not (values.op or values.name) else "ops")
    return selection.select(model, table, all=values.all, **filters)


def _freeze(values: argparse.Namespace) -> Model:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.freeze(
        values.SOURCE,
        signature=_text(values.signature),
        inputs=_many(values.inputs),
        outputs=_many(values.outputs),
        tags=_text(values.tags),
        output=_text(values.output),
        overwrite=values.overwrite,
        verify=not values.no_verify,
        trust=values.trust,
    )


def _export(values: argparse.Namespace) -> api.Export:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.export(
        values.SOURCE,
        unquote(values.DEST),
        format=_text(values.format),
        tags=_text(values.tags),
        signature=_text(values.signature),
        method=_text(values.method),
        inputs=_pairs(values.input, "--input"),
        outputs=_pairs(values.output, "--output"),
        overwrite=values.overwrite,
        verify=not values.no_verify,
        trust=values.trust,
    )


def _run(values: argparse.Namespace) -> api.Run:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.run(
        values.SOURCE,
        vars(values)[FEEDS] or None,
        signature=_text(values.signature),
        outputs=_many(values.outputs),
        repeat=_count(values.repeat, "--repeat"),
        trust=values.trust,
    )


def _verify(values: argparse.Namespace) -> pd.DataFrame:
    from tfmagic import api  # noqa: PLC0415 - as above

    signature = _text(values.signature)
    return api.verify(values.A, values.B, vars(values)[FEEDS] or None, signature=signature, trust=values.trust)


def _merge(values: argparse.Namespace) -> Model:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.merge(
        values.FIRST,
        values.SECOND,
        connect=_connections(values.connect),
        signature=_text(values.signature),
        output=_text(values.output),
        freeze=values.freeze,
        map=values.map,
        overwrite=values.overwrite,
        verify=not values.no_verify,
        trust=values.trust,
    )


def _forms(_values: argparse.Namespace) -> pd.DataFrame:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.forms()


def _sign(values: argparse.Namespace) -> Model:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.sign(
        values.DIR,
        _text(values.DEST),
        signatures=getattr(values, BODY, None),
        rename=_pairs(values.rename, "--rename", "OLD=NEW"),
        remove=_many(values.remove),
        rename_tags=_pairs(values.rename_tags, "--rename-tags", "OLD=NEW"),
        overwrite=values.overwrite,
        verify=not values.no_verify,
    )


def _restore(values: argparse.Namespace) -> pd.DataFrame:
    from tfmagic import api  # noqa: PLC0415 - as above

    return api.restore(values.SOURCE, unquote(values.CHECKPOINT))


_SOURCE = Argument(("SOURCE",), "a Python expression over the notebook's variables, else a path", SOURCE)
_SIGNATURE = Argument(("--signature",), "key of the signature that is meant", SIGNATURE)
_TAGS = Argument(("--tags",), "tag-set, joined by commas", TAGS)
_OVERWRITE = Argument(("--overwrite",), "replace what is there, once the new one is complete", None)
_NO_VERIFY = Argument(("--no-verify",), "do not run source and result on the same inputs", None)
_FEEDS = Argument((FEEDS,), "values for inputs: keys or tensors, and Python expressions; others are generated", FEED)
_TRUST = Argument(("--trust",), "let Python code in a Keras file run, such as a Lambda layer's", None)

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        Command(
            "inspect",
            "Show what is inside a model, or one of its tables as a DataFrame.",
            (
                _SOURCE,
                Argument(("--signatures",), "inputs and outputs of each SignatureDef", None),
                Argument(("--ops",), "nodes of the main graph and of all functions", None),
                Argument(("--functions",), "the function library", None),
                Argument(("--variables",), "variables, without their values", None),
                Argument(("--metagraphs",), "MetaGraphDefs by tag-set", None),
                Argument(("--assets",), "asset files", None),
                Argument(("--layers",), "Keras layers", None),
                Argument(("--op",), "only ops whose type matches this regular expression", OP),
                Argument(("--name",), "only rows whose name matches this regular expression", NAME),
                Argument(("--signature",), "only this signature, or the ops that it needs", SIGNATURE),
                _TAGS,
                Argument(("--form",), "take the source for this form instead of recognising it", FORM),
                Argument(("--all",), "include what only saves, restores or is TensorFlow's bookkeeping", None),
                _TRUST,
            ),
            _inspect,
        ),
        Command(
            "freeze",
            "Freeze a model into one graph without variables, and write it if a file is given.",
            (
                _SOURCE,
                Argument(("-o", "--output"), "file to write: .pb or .pbtxt", PATH),
                _SIGNATURE,
                Argument(("--inputs",), "names of the inputs, joined by commas", TENSOR, repeats=True),
                Argument(("--outputs",), "names of the outputs, joined by commas", TENSOR, repeats=True),
                _TAGS,
                _OVERWRITE,
                _NO_VERIFY,
                _TRUST,
            ),
            _freeze,
        ),
        Command(
            "export",
            "Write a model in another format, and check the result against the source.",
            (
                _SOURCE,
                Argument(("DEST",), "where to write; the suffix chooses the format, none means a SavedModel", PATH),
                Argument(("--format",), "format, where the suffix does not say it", FORMAT),
                _TAGS,
                Argument(("--signature",), "key of the signature to export", SIGNATURE),
                Argument(("--method",), "predict, classify, regress or a method name's URI", METHOD),
                Argument(("--input",), "KEY=TENSOR: an input of the signature", TENSOR, repeats=True),
                Argument(("--output",), "KEY=TENSOR: an output of the signature", TENSOR, repeats=True),
                _OVERWRITE,
                _NO_VERIFY,
                _TRUST,
            ),
            _export,
        ),
        Command(
            "run",
            "Run a model, and say how long loading, the first call and a warm one take.",
            (
                _SOURCE,
                _FEEDS,
                _SIGNATURE,
                Argument(("--outputs",), "keys or tensors to compute, joined by commas", TENSOR, repeats=True),
                Argument(("--repeat",), "how many warm calls are timed (1)", COUNT),
                _TRUST,
            ),
            _run,
        ),
        Command(
            "verify",
            "Run two models on the same inputs, and compare what they give.",
            (
                Argument(("A",), "a model, as SOURCE elsewhere", SOURCE),
                Argument(("B",), "the other one", SOURCE),
                _FEEDS,
                _SIGNATURE,
                _TRUST,
            ),
            _verify,
        ),
        Command(
            "merge",
            "Make one model of two: outputs of the first feed inputs of the second.",
            (
                Argument(("FIRST",), "a model, as SOURCE elsewhere", SOURCE),
                Argument(("SECOND",), "the one that goes on from there", SOURCE),
                Argument(
                    ("--connect",), "OUT=IN: an output of the first, an input of the second", TENSOR, repeats=True
                ),
                _SIGNATURE,
                Argument(("-o", "--output"), "where to write; the suffix chooses the format", PATH),
                Argument(("--freeze",), "make variables and tables constants", None),
                Argument(("--map",), "run the first for each element of a batch by itself", None),
                _OVERWRITE,
                _NO_VERIFY,
                _TRUST,
            ),
            _merge,
        ),
        Command(
            "sign",
            "Give a SavedModel other signatures, keys, methods or tags, in place or as a copy.",
            (
                Argument(("DIR",), "the SavedModel's directory", SOURCE),
                Argument(
                    ("DEST",), "where to write a copy; without, the SavedModel is changed in place", PATH, optional=True
                ),
                Argument(("--rename",), "OLD=NEW: another key for a signature", SIGNATURE, repeats=True),
                Argument(("--remove",), "keys of signatures to take away, joined by commas", SIGNATURE, repeats=True),
                Argument(("--rename-tags",), "OLD=NEW: another tag-set, tags joined by commas", TAGS, repeats=True),
                _OVERWRITE,
                Argument(("--no-verify",), "do not run the changed signatures before and after", None),
            ),
            _sign,
        ),
        Command(
            "restore",
            "Put the values of a checkpoint or a file of weights into a live model, module or session.",
            (
                _SOURCE,
                Argument(("CHECKPOINT",), "a checkpoint, a .weights.h5, .h5 or .keras file, or a SavedModel", PATH),
            ),
            _restore,
        ),
        Command(
            "forms",
            "Show which forms can be read, and in which formats each can be written.",
            (),
            _forms,
        ),
    )
}
