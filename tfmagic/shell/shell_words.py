"""The words of a shell's line that stand for values: sources, literals, files; nothing in them is evaluated.

Not for: parsing a line into words (:mod:`tfmagic.commands.arguments`).
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors, progress
from tfmagic.commands import arguments
from tfmagic.commands import words as command_words
from tfmagic.files.addresses import urls

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from tfmagic.commands.arguments import Argument, Command

#: Stands for standard input as a source, for standard output as a destination.
STANDARD = "-"
#: Begins the name of a file whose content is the value.
_FILE = "@"
_SUFFIXES = (".npy", ".npz", ".json", ".txt", ".png", ".jpg")
_LITERALS = f"a Python literal, such as 1.0, [[1, 2]] or '\"text\"', or {_FILE}FILE ({', '.join(_SUFFIXES)})"
#: What the words of a kind are in the shell, where the declaration's own words are for a notebook.
HELP = {
    arguments.SOURCE: f"a path, or {STANDARD} for standard input",
    arguments.FEED: f"values for inputs: keys or tensors, and for each {_LITERALS}; others are generated",
    arguments.VALUE: _LITERALS,
}


class ShellWords:
    """What words mean in one call.

    Parameters
    ----------
    scratch : callable
        Returns a directory for what this call needs and nobody keeps.
    """

    def __init__(self, scratch: Callable[[], Path]) -> None:
        self._scratch = scratch
        self._has_read_input = False
        #: A form that the line names: what comes on standard input is then not recognised, but taken for that.
        self._form: str | None = None

    def evaluate(self, command: Command, values: Namespace) -> None:
        """Put values in the place of the words of a line that stand for some.

        Raises
        ------
        CommandError
            If a word is neither a literal nor a file's name.
        """
        setattr(values, arguments.NAMES, [])
        self._form = getattr(values, "form", None)
        for argument in command.arguments:
            word = getattr(values, argument.attribute)
            if argument.kind in (arguments.FEED, arguments.BOUND):
                feeds = command_words.feeds(word or [])
                value: object = {name: self._value(text, argument) for name, text in feeds.items()}
            elif word is None or argument.kind is None:
                continue
            elif argument.kind == arguments.SOURCE:
                value = self._source(word)
            elif argument.kind == arguments.VALUE:
                value = word if word in argument.choices else self._value(word, argument)
            elif not argument.repeats:
                value = _kept(word)
            elif not argument.is_option:
                value = list(map(_kept, word))
            else:
                continue
            setattr(values, argument.attribute, value)

    def _source(self, word: str) -> object:
        """Return the path of a source; what comes on standard input is put into a file, and read from there."""
        if word != STANDARD:
            return word if urls.is_address(word) else Path(urls.here(word))
        if self._has_read_input:
            raise command_words.CommandError("only one source can come on standard input; give a path for the other")
        self._has_read_input = True
        path = self._scratch() / "standard input"
        with path.open("wb") as file:
            progress.copy(sys.stdin.buffer, file)
        readers = importlib.import_module("tfmagic.readers")
        return path if self._form else replace(readers.read(path), origin="standard input")

    def _value(self, text: str, argument: Argument) -> object:
        """Return what a literal says or a file holds; the input that a file is for decides how it is taken."""
        if text.startswith(_FILE):
            # Imported with the first file: it brings what runs models.
            input_files = importlib.import_module("tfmagic.verbs.input_files")
            path = Path(text.removeprefix(_FILE))
            if path.is_dir() and argument.kind == arguments.FEED:
                return input_files.at(path)
            file = input_files.File(str(path), path.read_bytes())
            if argument.kind == arguments.FEED:
                return file
            content = input_files.content(file)
            return next(iter(content.values())) if file.suffix == ".npz" and len(content) == 1 else content
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            if argument.choices:
                listed = ", ".join(map(repr, argument.choices))
                problem = f"{argument.flags[0]} takes {listed} in the shell, not {text!r}"
                raise command_words.CommandError(problem) from None
            # What ends like a file is meant for one.
            is_file = Path(text).suffix in _SUFFIXES
            problem = f"{text!r} is no value: {f'a file is given as {_FILE}{text}' if is_file else f'give {_LITERALS}'}"
            raise command_words.CommandError(problem) from None


def _kept(word: str) -> str:
    """Keep quotes that the shell left: a command takes off those that enclose a word."""
    if command_words.unquote(word) == word:
        return word
    quote = next((each for each in "\"'" if each not in word), "")
    return quote + word + quote


def body(path: str) -> object:
    """Read a map of signatures from a JSON file.

    Raises
    ------
    CommandError
        If it holds no JSON object.
    """
    try:
        signatures = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        problem = f"{path!r} is to hold one JSON object of signatures, and it does not parse: {error}"
        raise command_words.CommandError(problem) from error
    if not isinstance(signatures, dict):
        problem = f"{path!r} is to hold one JSON object of signatures by their keys, not {type(signatures).__name__!r}"
        raise command_words.CommandError(problem)
    return signatures


def near(verb: str, verbs: list[str]) -> str:
    """Word that there is no such verb."""
    import difflib  # noqa: PLC0415 - for this error alone

    close = difflib.get_close_matches(verb, verbs, n=2, cutoff=0.5)
    return f"did you mean {errors.listed(close)}?" if close else f"the verbs are {', '.join(verbs)}"
