"""What can follow on the line of a magic: options, variables that hold models, paths, signature keys, names of ops.

A completion must answer at once and may not disturb: models are read only if that is cheap, and nothing raises.
Not for: asking IPython or answering it (:mod:`tfmagic.notebook.magics`).
"""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import readers
from tfmagic.commands import arguments, declarations
from tfmagic.commands import words as command_words
from tfmagic.graphs import signatures
from tfmagic.models.model import TABLE_PARTS, Model, Part
from tfmagic.verbs import forms, nearby

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MAGIC = re.compile(r"(?:^|=|;)\s*%(?P<cell>%?)tf_(?P<name>\w+)\s(?P<rest>.*)\Z", re.DOTALL)
#: More proposals than this are no help.
_MOST = 200
#: A file larger than this is not read for a completion.
_LARGEST = 64 << 20
_PATH = "path"
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
    try:
        proposals = [
            each for each in _proposals(command, before, word, variables) if _bare(each.text).startswith(_bare(word))
        ]
    except Exception:  # noqa: BLE001 - a completion must not disturb, whatever a half-typed line means
        proposals = []
    # Models before paths.
    return word, sorted(set(proposals), key=lambda each: (each.kind == _PATH, each.text))[:_MOST]


def _bare(word: str) -> str:
    """Strip the quote that opens a word."""
    return word[1:] if word[:1] in _QUOTES else word


def _proposals(
    command: arguments.Command, before: list[str], word: str, variables: Mapping[str, object]
) -> Iterator[Completion]:
    """Yield all that could stand in this place."""
    option = _option(command, before[-1]) if before else None
    if option is not None and option.kind is not None:
        yield from _values(option.kind, word, variables, partial(_source, command, before, variables))
        return
    if word.startswith("-"):
        yield from (Completion(flag, "option") for each in command.arguments for flag in each.flags if each.is_option)
        return
    positional = [each for each in command.arguments if not each.is_option]
    place = len(_positional(command, before))
    if positional and positional[-1].kind == arguments.FEED:
        place = min(place, len(positional) - 1)
    if place < len(positional):
        yield from _values(positional[place].kind or "", word, variables, partial(_source, command, before, variables))


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


def _values(kind: str, word: str, variables: Mapping[str, object], source: Callable[[], Model]) -> Iterator[Completion]:
    """Yield what an argument of this kind can be."""
    if kind == arguments.SOURCE:
        yield from (Completion(name, "model") for name in nearby.model_names(variables))
        yield from _paths(word)
    elif kind == arguments.PATH:
        yield from _paths(word)
    elif kind == arguments.FORM:
        yield from (Completion(reader.form, "form") for reader in readers.READERS)
    elif kind == arguments.FORMAT:
        yield from (Completion(name, "format") for name in forms.format_names())
    elif kind == arguments.METHOD:
        yield from (Completion(name, "method") for name in signatures.METHODS)
    elif kind in (arguments.FEED, arguments.BOUND):
        yield from (Completion(f"{_quoted_name(key)}=", kind) for key in _inputs(source()))
    else:
        yield from _names(kind, source(), word)


def _paths(word: str) -> Iterator[Completion]:
    """Yield the files and folders that a path can become, in quotes where they need them."""
    folder, slash, beginning = _bare(word).rpartition("/")
    where = Path(folder + slash or ".").expanduser()
    for entry in os.scandir(where):
        if entry.name.startswith(beginning) and (beginning.startswith(".") or not entry.name.startswith(".")):
            is_folder = entry.is_dir()
            path = folder + slash + entry.name + ("/" if is_folder else "")
            yield Completion(_quoted(path, word[:1] if word[:1] in _QUOTES else "", closed=not is_folder), _PATH)


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


def _source(command: arguments.Command, words: list[str], variables: Mapping[str, object]) -> Model:
    """Return the model that the line speaks of; nothing of it is read yet, no expression evaluated."""
    word = _positional(command, words)[0]
    return readers.read(variables.get(word, Path(command_words.unquote(word))))


def _names(kind: str, model: Model, word: str) -> Iterator[Completion]:
    """Yield names within a model; those of a list joined by commas, or behind KEY=, continue it."""
    prefix = _LISTED.match(word)
    names = (name for table, column in _COLUMNS[kind] for name in _column(model, table, column))
    # Tags are joined by commas themselves.
    written = (name if kind == arguments.TAGS else _quoted_name(name) for name in names if name)
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
    is_small = file is None or not file.is_file() or file.stat().st_size <= _LARGEST
    return is_small and part not in model.reader.costly
