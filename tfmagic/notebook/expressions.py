"""The words of a magic's line that stand for objects of the notebook: sources, values of inputs, the body of a cell.

Not for: parsing a line into words (:mod:`tfmagic.commands.declarations`), or IPython (:mod:`tfmagic.notebook.magics`).
"""

from __future__ import annotations

import difflib
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.commands import arguments
from tfmagic.commands import words as command_words
from tfmagic.files.addresses import urls
from tfmagic.files.places import what_is_near

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    from tfmagic.commands.arguments import Argument, Command

_ABSENT = object()


def _is_word(argument: Argument, values: Namespace) -> bool:
    """Say whether an option was left out, or has a value that is no expression: one of the words that it knows."""
    value = getattr(values, argument.attribute)
    return value is None or command_words.unquote(value) in argument.choices


class NotebookWords:
    """What words mean in one notebook.

    Parameters
    ----------
    variables : mapping of str to object
        The notebook's.
    value_of : callable
        Evaluates an expression over them.
    """

    def __init__(self, variables: Mapping[str, object], value_of: Callable[[str], object]) -> None:
        self._variables = variables
        self._value_of = value_of

    def evaluate(self, command: Command, values: Namespace, cell: str | None) -> None:
        """Put objects in the place of the words of a line that stand for some; its words are kept beside them.

        Raises
        ------
        CommandError
            If an expression raises, or a name is that of no variable and no path but near to one.
        """
        sources = [each.attribute for each in command.arguments if each.kind == arguments.SOURCE]
        setattr(values, arguments.NAMES, [str(getattr(values, each)) for each in sources])
        for argument in command.arguments:
            name = argument.attribute
            if argument.kind == arguments.SOURCE and getattr(values, name) is not None:
                setattr(values, name, self.source(getattr(values, name)))
            elif argument.kind in (arguments.FEED, arguments.BOUND):
                setattr(values, argument.attribute, self.feeds(getattr(values, argument.attribute) or []))
            elif argument.kind == arguments.VALUE and not _is_word(argument, values):
                word = f"{argument.flags[-1].lstrip('-')}={getattr(values, argument.attribute)}"
                setattr(values, argument.attribute, next(iter(self.feeds([word]).values())))
        if cell is not None:
            setattr(values, arguments.BODY, self.body(cell))

    def feeds(self, words: list[str]) -> dict[str, object]:
        """Evaluate the values of inputs."""
        values = {}
        for name, expression in command_words.feeds(words).items():
            try:
                values[name] = self._value_of(expression)
            except Exception as error:
                message = f"the value {expression!r} for {name!r} raises {_said(error)}"
                raise command_words.CommandError(message) from error
        return values

    def body(self, cell: str) -> object:
        """Evaluate the body of a cell, which is one expression."""
        try:
            return self._value_of(cell.strip())
        except Exception as error:
            message = f"the cell's body is to be one Python dict, and it raises {_said(error)}"
            raise command_words.CommandError(message) from error

    def source(self, token: str) -> object:
        """Take a token for an expression over the notebook's variables if it evaluates, else for a path.

        Raises
        ------
        CommandError
            If it is written as an expression is, does not evaluate, and leads to no model as a path.
        """
        text = command_words.unquote(token)
        if urls.is_address(text):
            return text
        path = Path(urls.here(text))
        try:
            value = self._evaluated(token)
        except Exception as error:
            # `./model/1` as an expression divides: if there is such a file, it was meant as a path.
            if os.path.lexists(path):
                return path
            if not isinstance(error, (NameError, AttributeError)):
                message = f"{token!r} is no path, and as an expression it raises {_said(error)}; check either"
                raise command_words.CommandError(message) from error
            self._require_path(token, path, f"as an expression it raises {_said(error)}")
            return path
        if value is not _ABSENT:
            return value
        if command_words.names_in(token) and not os.path.lexists(path):
            self._require_path(token, path)
        return path

    def _evaluated(self, token: str) -> object:
        """Evaluate an expression in which the notebook has at least one name, or a quoted text."""
        names = command_words.names_in(token)
        literal = names is not None and not names
        if names is None or literal or not self._variables.keys() & set(names):
            return _ABSENT
        return self._value_of(token)

    def _require_path(self, token: str, path: Path, said: str = "") -> None:
        """Raise for what is no variable, and a path of nothing, if it is not written as paths are: say what is near."""
        # Imported with the first such name: it brings the readers.
        nearby = importlib.import_module("tfmagic.verbs.nearby")
        if nearby.is_model_path(path) or not (said or command_words.is_name_or_call(token)):
            return
        models = nearby.model_names(self._variables)
        near = difflib.get_close_matches(token, models, n=3)
        advice = f"did you mean {errors.listed(near)}?" if near else what_is_near(path) or _at_hand(models)
        problem = f"{token!r} is no path, and {said}" if said else f"there is neither a variable nor a path {token!r}"
        raise command_words.CommandError(f"{problem}; {advice}")


def _at_hand(models: list[str]) -> str:
    """Say which models the notebook holds."""
    return f"the notebook's models are {errors.listed(models)}" if models else "check the name, or give a path"


def _said(error: Exception) -> str:
    """Return the first line of what an exception of the notebook's own says."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
