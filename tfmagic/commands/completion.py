"""What can follow on the line of a command: options, variables that hold models, paths, signature keys, names of ops.

A completion must answer at once and may not disturb: models are read only if that is cheap, and nothing raises.
Not for: asking IPython or a shell, or answering it (:mod:`tfmagic.notebook.magics`,
:mod:`tfmagic.shell.shell_completion`).
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, readers
from tfmagic.commands import arguments, declarations
from tfmagic.commands import words as command_words
from tfmagic.files import folder_models, places
from tfmagic.files.addresses import urls
from tfmagic.graphs import signatures
from tfmagic.models.model import Model, Part
from tfmagic.models.public_tables import TABLE_PARTS
from tfmagic.models.recognition import recognised
from tfmagic.verbs import forms, nearby

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_MAGIC = re.compile(r"(?:^|=|;)\s*%(?P<cell>%?)tf_(?P<name>\w+)\s(?P<rest>.*)\Z", re.DOTALL)
#: More proposals than this are no help.
_MOST = 200
#: A file larger than this is not read for a completion.
_LARGEST = 64 << 20
_PATH = "path"
#: What comes between an input and the file with its value, in a shell.
_FILE = "=@"
_QUOTES = ("'", '"')
_NEEDS_QUOTES = re.compile(r"""[\s'"()\[\]{}$]""")
#: What takes a name apart that stands in a list or before an equals sign.
_PARTED = re.compile(r"""[\s'"()\[\]{}$,=]""")
#: The part of a word that is complete, of words joined by commas or of KEY=TENSOR.
_LISTED = re.compile(r".*[,=]")
#: The columns whose values an option can take.
_COLUMNS = {
    arguments.SIGNATURE: (("signatures", "signature"),),
    arguments.TENSOR: (("signatures", "key"), ("signatures", "tensor")),
    arguments.TAGS: (("metagraphs", "tags"),),
    arguments.OP: (("ops", "op"),),
    arguments.NAME: (("ops", "name"), ("variables", "name"), ("layers", "name")),
}

#: What is an expression, or holds one.
_EXPRESSIONS = (arguments.FEED, arguments.BOUND, arguments.VALUE)


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
    match = _MAGIC.search(line)
    command = declarations.COMMANDS.get(match["name"]) if match else None
    if match is None or command is None:
        return "", []
    before, word, _ = command_words.cut(match["rest"])
    return word, _sorted(partial(_proposals, _Line(command, before, word, variables)), _bare(word))


def complete_words(command: arguments.Command, before: Sequence[str], word: str) -> list[Completion]:
    """Propose what can follow where a shell has taken the quotes off the words, and puts them on again.

    Parameters
    ----------
    command : Command
        The verb, with the arguments that it has there.
    before : sequence of str
        The words of its line before the one that is being typed.
    word : str
        The beginning of that.
    """
    return _sorted(partial(_proposals, _Line(command, list(before), word, {}, in_notebook=False)), word)


class _Line(NamedTuple):
    """A line that is being typed: the words that stand there, the last one's beginning, the variables there are."""

    command: arguments.Command
    before: list[str]
    word: str
    variables: Mapping[str, object]
    in_notebook: bool = True

    def name(self, name: str) -> str:
        """Return a name as it is written on the line."""
        return _quoted_name(name) if self.in_notebook else name

    def path(self, path: str, *, closed: bool) -> str:
        """Return a path as it is written on the line."""
        quote = self.word[:1] if self.word[:1] in _QUOTES else ""
        return _quoted(path, quote, closed=closed) if self.in_notebook else path


def _sorted(proposals: Callable[[], Iterator[Completion]], beginning: str) -> list[Completion]:
    """Return the proposals that begin like a word: models, then paths that may be one, then pictures and the like."""
    try:
        fitting = {each for each in proposals() if _bare(each.text).startswith(beginning)}
    except Exception:  # noqa: BLE001 - a completion must not disturb, whatever a half-typed line means
        fitting = set()
    return sorted(fitting, key=lambda each: (_rank(each), each.text))[:_MOST]


def _rank(proposal: Completion) -> int:
    """Return what comes first, by names alone."""
    if proposal.kind != _PATH:
        return 0
    name = _bare(proposal.text).rstrip("'\"")
    return 1 if name.endswith("/") or folder_models.may_be_model(name.rpartition("/")[2]) else 2


def _bare(word: str) -> str:
    """Strip the quote that opens a word, or the last of those that one joins."""
    listed = _LISTED.match(word)
    begin = listed[0] if listed and word[:1] not in _QUOTES else ""
    last = word[len(begin) :]
    return begin + (last[1:] if last[:1] in _QUOTES else last)


def _proposals(line: _Line) -> Iterator[Completion]:
    """Yield all that could stand in this place."""
    command, before = line.command, line.before
    option = _option(command, before[-1]) if before else None
    if option is not None and option.kind is not None:
        yield from _values(option, line)
        return
    if line.word.startswith("-"):
        yield from (Completion(flag, "option") for each in command.arguments for flag in each.flags if each.is_option)
        return
    positional = [each for each in command.arguments if not each.is_option]
    place = len(_positional(command, before))
    if positional and (positional[-1].kind == arguments.FEED or positional[-1].repeats):
        place = min(place, len(positional) - 1)
    if place < len(positional):
        yield from _values(positional[place], line)


def _option(command: arguments.Command, token: str) -> arguments.Argument | None:
    return next((each for each in command.arguments if each.is_option and token in each.flags), None)


def _positional(command: arguments.Command, words: list[str]) -> list[str]:
    """Return the words that are neither options nor their values."""
    positional, previous = [], None
    for word in words:
        takes_value = previous is not None and previous.kind is not None
        previous = None if takes_value else _option(command, word)
        if not takes_value and previous is None:
            positional.append(word)
    return positional


def _values(argument: arguments.Argument, line: _Line) -> Iterator[Completion]:
    """Yield what an argument can be."""
    kind = argument.kind
    if argument.choices:
        yield from (Completion(choice, argument.flags[-1].lstrip("-")) for choice in argument.choices)
        # An expression may be one of them, or any object of that kind.
        names = line.variables.items() if kind == arguments.VALUE else ()
        yield from (Completion(name, "variable") for name, value in names if hasattr(value, "submit"))
    elif kind == arguments.SOURCE:
        yield from (Completion(name, "model") for name in nearby.model_names(line.variables))
        yield from _paths(line)
    elif kind == arguments.PATH:
        yield from _paths(line)
    elif kind == arguments.FORM:
        yield from (Completion(reader.form, "form") for reader in readers.READERS)
    elif kind == arguments.FORMAT:
        yield from (Completion(name, "format") for name in forms.format_names())
    elif kind == arguments.METHOD:
        yield from (Completion(name, "method") for name in signatures.METHODS)
    elif kind in _EXPRESSIONS:
        yield from _expressions(argument, line)
    elif kind in _COLUMNS:
        yield from _names(kind, line)


def _expressions(argument: arguments.Argument, line: _Line) -> Iterator[Completion]:
    """Yield what a value can be: the names of inputs before it, files in the shell, variables in a notebook."""
    mark = _FILE if argument.kind != arguments.VALUE else _FILE[1:]
    if not line.in_notebook and mark in line.word:
        name, _, path = line.word.partition(mark)
        yield from (Completion(name + mark + each.text, _PATH) for each in _paths(line._replace(word=path)))
    elif argument.kind == arguments.VALUE:
        yield from (Completion(name, "variable") for name, value in line.variables.items() if _is_value(name, value))
    else:
        yield from (Completion(f"{line.name(key)}=", str(argument.kind)) for key in _inputs(_source(line)))


def _is_value(name: str, value: object) -> bool:
    """Say whether a variable holds what stands for many values: arrays, lists, datasets."""
    return not name.startswith("_") and (
        isinstance(value, list | tuple | dict) or hasattr(value, "__array__") or hasattr(value, "as_numpy_iterator")
    )


def _paths(line: _Line) -> Iterator[Completion]:
    """Yield the files and folders that a path can become, in quotes where they need them."""
    folder, slash, beginning = (_bare(line.word) if line.in_notebook else line.word).rpartition("/")
    where = Path(folder + slash or ".").expanduser()
    for entry in os.scandir(where):
        if entry.name.startswith(beginning) and (beginning.startswith(".") or not entry.name.startswith(".")):
            is_folder = entry.is_dir()
            path = folder + slash + entry.name + ("/" if is_folder else "")
            yield Completion(line.path(path, closed=not is_folder), _PATH)


def _quoted(path: str, quote: str, *, closed: bool) -> str:
    """Put a path into the quotes that the user began or that it needs; a folder's stay open, as more will follow."""
    if not quote and not _NEEDS_QUOTES.search(path):
        return path
    quote = quote or ("'" if '"' in path else '"')
    return quote + path + (quote if closed else "")


def _quoted_name(name: str) -> str:
    """Put a name into quotes where the line would take it apart, and keep IPython from expanding what is in it."""
    if not _PARTED.search(name):
        return name
    kept = name.replace("{", "{{").replace("}", "}}").replace("$", "$$")
    return _quoted(kept, "'" if '"' in name else '"', closed=True)


def _source(line: _Line) -> Model:
    """Return the model that the line speaks of; nothing of it is read yet, no expression evaluated."""
    word = _positional(line.command, line.before)[0]
    text = command_words.unquote(word) if line.in_notebook else word
    source = line.variables.get(word, text)
    if isinstance(source, Model) and not places.is_here(source.path):
        # Whether its files changed would be a question to the network, and nobody waits for that at each key.
        return source
    if isinstance(source, str | os.PathLike) and places.is_address(source):
        raise errors.ReadError(f"{urls.without_credentials(str(source))!r} is not asked while a line is typed")
    model = recognised(source if word in line.variables else Path(urls.here(text)), readers.READERS)
    if model is None:
        raise errors.UnrecognizedSourceError(f"{text!r} is no model; tfmagic.forms() shows which are read")
    return model


def _names(kind: str, line: _Line) -> Iterator[Completion]:
    """Yield names within a model; those of a list joined by commas, or behind KEY=, continue it."""
    prefix = _LISTED.match(line.word)
    model = _source(line)
    names = (name for table, column in _COLUMNS[kind] for name in _column(model, table, column))
    # Tags are joined by commas themselves.
    written = (name if kind == arguments.TAGS else line.name(name) for name in names if name)
    yield from (Completion((prefix[0] if prefix else "") + text, kind) for text in written)


def _inputs(model: Model) -> list[str]:
    """Return the keys of a model's inputs."""
    if not _column(model, "signatures", "key"):
        return []
    frame = model.signatures
    return [str(key) for key in frame[frame["side"] == "input"]["key"].unique()]


def _column(model: Model, table: str, column: str) -> list[str]:
    """Return the different values of a table's column, nothing where that would take long or run something."""
    part = TABLE_PARTS[table]
    if part is Part.SIGNATURES and part not in model.loaders:
        part = Part.GRAPH  # The table proposes signatures.
    return [str(value) for value in model.table(table)[column].unique()] if _is_at_hand(model, part) else []


def _is_at_hand(model: Model, part: Part) -> bool:
    """Say whether a part was read, or can be read at once: without tracing anything, from no large file."""
    if part not in model.loaders or model.is_read(part):
        return part in model.loaders
    file = model.file or model.path
    if not places.is_here(file):
        return False
    is_small = file is None or not file.is_file() or file.stat().st_size <= _LARGEST
    return is_small and part not in model.reader.costly
