"""What a command takes: its arguments and options, and the parser that is made from them.

Not for: the commands (:mod:`tfmagic.commands.declarations`), or words and quotes (:mod:`tfmagic.commands.words`).
"""

from __future__ import annotations

import argparse
import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from tfmagic import errors
from tfmagic.commands import words as command_words
from tfmagic.files.places import IN_QUOTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What a value of an argument or option is, for completion and for evaluation.
SOURCE, PATH, SIGNATURE, TENSOR, TAGS, FORM, FORMAT, METHOD, OP, NAME = (
    "source", "path", "signature", "tensor", "tags", "form", "format", "method", "op", "name",
)  # fmt: skip
#: NAME=EXPR: a value for an input, an expression over the notebook's variables.
FEED, COUNT = "feed", "count"
#: The same as a value of an option, which may be given several times.
BOUND = "bound"
#: One value: an expression over the notebook's variables, a literal or a file in the shell.
VALUE = "value"
#: Under this name, the value of a cell's body comes with the values of its line.
BODY = "BODY"
#: Under this name, what the sources of a line are called in the notebook.
NAMES = "NAMES"
#: Where a front that has widgets puts the function that shows a panel.
PANEL = "PANEL"
#: Whether a front takes the rows of a table as they are, without pandas.
ROWS = "ROWS"


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
        Whether an option may be given several times or with commas, or a positional argument is one or more words.
    optional : bool
        Whether a positional argument may be left out.
    choices : tuple of str
        The values that there are, where they are few; of an expression, those that are words.
    """

    flags: tuple[str, ...]
    help: str
    kind: str | None
    repeats: bool = False
    optional: bool = False
    choices: tuple[str, ...] = ()

    @property
    def attribute(self) -> str:
        """Under which name its value lies in what a line was parsed to."""
        return self.flags[-1].lstrip("-").replace("-", "_") if self.is_option else self.flags[0]

    @property
    def is_option(self) -> bool:
        """Whether it is given with dashes."""
        return self.flags[0].startswith("-")


@dataclass(frozen=True)
class ShellSide:
    """What a verb is in the shell beyond what it is in a notebook.

    Attributes
    ----------
    arguments : tuple of Argument
        Options that the shell alone has.
    required : tuple of str
        Options without which the result would be lost with the process.
    writes : str
        The positional argument or option, as an attribute, whose path may be ``-`` for standard output.
    printers : mapping of str to callable
        Formats that this verb's result can be printed in beside the common ones; each takes the result.
    denies : callable or None
        Takes the result and the values of the line, and says whether the answer is no.
    absent : str
        Why there is no such verb in the shell; empty where there is.
    """

    arguments: tuple[Argument, ...] = ()
    required: tuple[str, ...] = ()
    writes: str = ""
    printers: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    denies: Callable[[Any, argparse.Namespace], bool] | None = None
    absent: str = ""


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
    details : str
        What its help says below the arguments.
    body : str
        What a cell's body is to be, or in the shell the file of ``--signatures``; empty where there is none.
    examples : tuple of str
        Lines that its help ends with, without what calls the command.
    shell : ShellSide
        What it is in the shell beyond that.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    run: Callable[[argparse.Namespace], object]
    details: str = ""
    body: str = ""
    examples: tuple[str, ...] = ()
    shell: ShellSide = field(default_factory=ShellSide)

    def parse(self, line: str) -> argparse.Namespace:
        """Parse a line into values by name; text stays as it was typed, quotes and all.

        Raises
        ------
        CommandError
            If the line does not follow the command.
        HelpRequest
            If it asks for help.
        """
        return parsed(command_words.split(line), self.parser(f"%tf_{self.name}"))

    def parser(self, program: str, arguments: Sequence[Argument] | None = None) -> argparse.ArgumentParser:
        """Build the parser of the command's line.

        Parameters
        ----------
        program : str
            How a front calls the command.
        arguments : sequence of Argument, optional
            What a front takes in the place of the command's own arguments.
        """
        parser = _Parser(
            program,
            description=self.summary,
            epilog=self.details.replace("%", "%%") or None,
            add_help=False,
            allow_abbrev=False,
        )
        parser.examples = self.examples
        for argument in self.arguments if arguments is None else arguments:
            parser.add_argument(*argument.flags, **_parser_options(argument))
        parser.add_argument("-h", "--help", action="store_true", help="show this help")
        return parser


def parsed(words: Sequence[str], parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the words of a line into values by name.

    Raises
    ------
    CommandError
        If the line does not follow the command.
    HelpRequest
        If it asks for help.
    """
    if {"-h", "--help"}.intersection(words):
        raise HelpRequest(parser.format_help())
    # Values for inputs may stand before, between and after options.
    return parser.parse_intermixed_args(words)


class _Parser(argparse.ArgumentParser):
    """A parser that raises where argparse would end the process, and whose help ends with examples."""

    examples: Sequence[str] = ()

    def format_help(self) -> str:
        # What argparse is given itself, it folds.
        lines = [f"  {self.prog} {each}".rstrip() for each in self.examples]
        return super().format_help() + ("\n".join(["", "examples:", *lines, ""]) if lines else "")

    def error(self, message: str) -> NoReturn:
        # Intermixed with options, argparse takes words that may be left out for required where another one is missing.
        said = message.removesuffix(f", {command_words.FEEDS}")
        problem = f"{said}{self._advice(message)}; {self.prog} --help lists what there is"
        raise command_words.CommandError(problem)

    def _advice(self, message: str) -> str:
        """Say which option is near one that there is not."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        words = [part for word in message.split() for part in word.rstrip(":").split("/") if part.startswith("-")]
        wrong = [word for word in words if word not in flags]
        near = [found for word in wrong for found in difflib.get_close_matches(word, flags, n=2)]
        takes_words = any(not action.option_strings for action in self._actions)
        if message.startswith("unrecognized arguments: ") and takes_words and not words:
            return f"; {IN_QUOTES}"
        return f"; did you mean {errors.listed(near)}?" if near else ""


def _parser_options(argument: Argument) -> dict[str, Any]:
    """Translate an argument into argparse's words."""
    help_text = argument.help.replace("%", "%%")
    if argument.kind is None:
        return {"action": "store_true", "help": help_text}
    if argument.kind == FEED:
        return {"nargs": "*", "help": help_text}
    if not argument.is_option:
        return {"nargs": "+" if argument.repeats else "?" if argument.optional else None, "help": help_text}
    action = "append" if argument.repeats else "store"
    return {"action": action, "metavar": argument.kind.upper(), "help": help_text}
