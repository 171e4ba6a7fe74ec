"""What can follow on the line of a magic: options, variables that hold models, paths, signature keys, names of ops.

A completion must answer at once and may not disturb: models are read only if that is cheap, and nothing raises.
Not for: asking IPython or answering it (:mod:`tfmagic.magics`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import api, commands, readers, recognition
from tfmagic.model import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_MAGIC = re.compile(r"(?:^|=|;)\s*%(?P<cell>%?)tf_(?P<name>\w+)\s(?P<rest>.*)\Z", re.DOTALL)
#: More proposals than this are no help.
_MOST = 200
#: A file larger than this is not read for a completion.
_LARGEST = 64 << 20


class Completion(NamedTuple):
    """A proposal and what it is."""

    text: str
    kind: str


def complete(line: str, variables: Mapping[str, object]) -> tuple[str, list[Completion]]:
    """Propose what can follow at the end of a line.

    Parameters
    ----------
    line : str
        The line up to the cursor.
    variables : mapping of str to object
        The notebook's variables.

    Returns
    -------
    (str, list of Completion)
        The word that is being typed, and what it can become; nothing if the line is not one of ours.
    """
    found = _MAGIC.search(line)
    command = commands.COMMANDS.get(found["name"]) if found else None
    if found is None or command is None:
        return "", []
    word, before = _last_word(found["rest"])
    try:
        proposals = [each for each in _proposals(command, before, word, variables) if each.text.startswith(word)]
    except Exception:  # noqa: BLE001 - a completion must not disturb, whatever a half-typed line means
        proposals = []
    return word, sorted(set(proposals))[:_MOST]


def _last_word(rest: str) -> tuple[str, list[str]]:
    """Return the word that is being typed and the words before it."""
    before, blank, word = rest.rpartition(" ")
    try:
        words = commands.split(before) if blank else []
    except commands.CommandError:
        words = before.split()
    return word, words


def _proposals(
    command: commands.Command, before: list[str], word: str, variables: Mapping[str, object]
) -> Iterator[Completion]:
    """Yield all that could stand in this place."""
    option = _option(command, before[-1]) if before else None
    if option is not None and option.kind is not None:
        yield from _values(option.kind, before, word, variables)
        return
    if word.startswith("-"):
        yield from (Completion(flag, "option") for each in command.arguments for flag in each.flags if each.is_option)
        return
    positional = [each for each in command.arguments if not each.is_option]
    given = len(_positional(command, before))
    if given < len(positional):
        yield from _values(positional[given].kind or commands.TEXT, before, word, variables)


def _option(command: commands.Command, token: str) -> commands.Argument | None:
    return next((each for each in command.arguments if each.is_option and token in each.flags), None)


def _positional(command: commands.Command, words: list[str]) -> list[str]:
    """Return the words that are neither options nor their values."""
    found, previous = [], None
    for word in words:
        takes_value = previous is not None and previous.kind is not None
        previous = None if takes_value else _option(command, word)
        if not takes_value and previous is None:
            found.append(word)
    return found


def _values(kind: str, before: list[str], word: str, variables: Mapping[str, object]) -> Iterator[Completion]:
    """Yield what an argument of this kind can be."""
    if kind == commands.SOURCE:
        yield from (Completion(name, "model") for name in model_names(variables))
        yield from _paths(word)
    elif kind == commands.PATH:
        yield from _paths(word)
    elif kind == commands.FORM:
        yield from (Completion(reader.form, "form") for reader in readers.READERS)
    elif kind == commands.FORMAT:
        yield from (Completion(name, "format") for name in api.format_names())
    else:
        yield from _names(kind, _source(before, variables), word)


def model_names(variables: Mapping[str, object]) -> list[str]:
    """Return the variables that hold a model: a live one, a message, or one that was inspected."""
    shown = [(name, value) for name, value in variables.items() if not name.startswith("_")]
    return [name for name, value in shown if is_model(value)]


def is_model(value: object) -> bool:
    """Say whether a variable's value is a source of a live form; text is not taken for a path."""
    if isinstance(value, Model):
        return True
    if isinstance(value, (str, bytes, int, float, type, os.PathLike)) or callable(getattr(value, "mro", None)):
        return False
    candidate = recognition.candidate_of(value)
    return any(reader.claims(candidate) for reader in readers.READERS)


def _paths(word: str) -> Iterator[Completion]:
    """Yield the files and folders that a path can become."""
    folder, _, beginning = word.rpartition("/")
    where = Path(folder or ("/" if word.startswith("/") else ".")).expanduser()
    prefix = word[: len(word) - len(beginning)]
    for entry in os.scandir(where):
        if entry.name.startswith(beginning) and (beginning.startswith(".") or not entry.name.startswith(".")):
            yield Completion(prefix + entry.name + ("/" if entry.is_dir() else ""), "path")


def _source(words: Iterable[str], variables: Mapping[str, object]) -> Model:
    """Return the model that the line speaks of, read without running anything."""
    word = next(word for word in words if not word.startswith("-"))
    value = variables.get(word, Path(commands.unquote(word)))
    if isinstance(value, Path) and value.is_file() and value.stat().st_size > _LARGEST:
        message = f"{str(value)!r} is too large to be read for a completion"
        raise ValueError(message)
    return readers.read(value)


def _names(kind: str, model: Model, word: str) -> Iterator[Completion]:
    """Yield names within a model; those of a list joined by commas continue it."""
    prefix = word.rpartition(",")[0] + "," if "," in word else ""
    names: Iterable[str] = ()
    if kind == commands.SIGNATURE:
        names = model.signatures["signature"].unique()
    elif kind == commands.TAGS:
        names = model.metagraphs["tags"].unique()
    elif kind == commands.OP:
        names = model.ops["op"].unique()
    elif kind == commands.TENSOR:
        names = [*model.signatures["key"], *model.signatures["tensor"]]
    elif kind == commands.TEXT:
        names = _row_names(model)
    yield from (Completion(prefix + str(name), kind) for name in names if name)


def _row_names(model: Model) -> Iterable[str]:
    """Return the names of ops, else of variables."""
    frame = model.ops if "graph" in model.parts else model.variables
    return list(frame["name"])
