"""From the words of a command line to a status: parse, run the verb, print its result.

Not for: the verbs' options (:mod:`tfmagic.commands.declarations`), what words stand for
(:mod:`tfmagic.shell.shell_words`), or how a result is printed (:mod:`tfmagic.shell.printing`).
"""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfmagic import errors, progress
from tfmagic.commands import arguments, declarations
from tfmagic.commands import words as command_words
from tfmagic.commands.arguments import Argument
from tfmagic.escaping import visible
from tfmagic.files.temporary_files import Scratch
from tfmagic.runtime import native_log
from tfmagic.shell import printing, shell_words
from tfmagic.shell.result_tables import Written
from tfmagic.shell.shell_words import STANDARD, ShellWords

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from pathlib import Path

    from tfmagic.commands.arguments import Command

#: How a call ends.
DONE, FAILED, WRONG_CALL, DENIED, INTERRUPTED = 0, 1, 2, 3, 130
_PROGRAM = "tfmagic"
_HELP, _VERSION = ("-h", "--help"), "--version"
#: Shows where an error of ours, or of others, comes from.
_TRACEBACK = "TFMAGIC_TRACEBACK"
#: Where the format of a result is in the values of a line.
_AS = "as"
_SIGNATURES = "signatures"


def run(words: Sequence[str]) -> int:
    """Run a command line, and return its status.

    Parameters
    ----------
    words : sequence of str
        The line without the program's name.
    """
    try:
        with warnings.catch_warnings(), native_log.kept_back():
            warnings.showwarning = _warn
            status = _run(words)
            sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has enough. What is left must not be written when the interpreter ends, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (command_words.CommandError, arguments.HelpRequest) as error:
        return _refused(error)
    except KeyboardInterrupt:
        return _said("interrupted", INTERRUPTED)
    except Exception as error:
        # Whatever TensorFlow raises is one line here, too.
        if os.environ.get(_TRACEBACK):
            raise
        return _said(_worded(error), FAILED)
    return status


def _refused(error: Exception) -> int:
    """Answer a line that asks for help, or that does not follow its command."""
    if not isinstance(error, arguments.HelpRequest):
        return _said(str(error), WRONG_CALL)
    printing.write(str(error))
    return DONE


def _run(words: Sequence[str]) -> int:
    if not words:
        sys.stderr.write(_overview())
        return WRONG_CALL
    first, *rest = words
    if first in _HELP:
        printing.write(_overview())
        return DONE
    if first == _VERSION:
        printing.write(f"{_PROGRAM} {vars(sys.modules[_PROGRAM])['__version__']}\n")
        return DONE
    if first not in declarations.COMMANDS:
        advice = shell_words.near(first, [*_HELP, _VERSION] if first.startswith("-") else _verbs())
        problem = f"there is no verb {first!r}; {advice}; {_PROGRAM} --help lists what there is"
        raise command_words.CommandError(problem)
    return _run_verb(declarations.COMMANDS[first], rest)


def _verbs() -> list[str]:
    return [name for name, command in declarations.COMMANDS.items() if not command.shell.absent]


def _overview() -> str:
    """Say which verbs there are."""
    lines = [f"usage: {_PROGRAM} VERB …", "", "Inspect and convert TensorFlow models.", ""]
    lines += [f"  {name:8} {declarations.COMMANDS[name].summary}" for name in _verbs()]
    return "\n".join([*lines, "", f"{_PROGRAM} VERB --help lists a verb's options; {_PROGRAM} --version", ""])


def options(command: Command) -> tuple[Argument, ...]:
    """Return the arguments and options of a verb in the shell."""
    own = (
        replace(each, help=shell_words.HELP.get(each.kind or "", each.help))
        for each in (*command.arguments, *command.shell.arguments)
    )
    formats = printing.formats(command)
    more = [Argument((f"--{_AS}",), f"how the result is printed: {', '.join(formats)}", "format", choices=formats)]
    if command.body:
        more.append(Argument((f"--{_SIGNATURES}",), f"JSON file with {command.body}", arguments.PATH))
    return (*own, *more)


def _run_verb(command: Command, words: Sequence[str]) -> int:
    if command.shell.absent:
        raise command_words.CommandError(f"{command.name} needs a notebook: {command.shell.absent}")
    values = arguments.parsed(words, command.parser(f"{_PROGRAM} {command.name}", options(command)))
    format = _format(command, values)
    _require(command, values)
    with ExitStack() as stack:
        places: list[Path] = []

        def scratch() -> Path:
            # One directory for what comes in and what goes out.
            places.extend([] if places else [stack.enter_context(Scratch())])
            return places[0]

        ShellWords(scratch).evaluate(command, values)
        if getattr(values, _SIGNATURES, None) and command.body:
            setattr(values, arguments.BODY, shell_words.body(vars(values)[_SIGNATURES]))
        written = _standard_output(command, values, scratch)
        # Whatever is not told as a table is made of DataFrames anyway.
        setattr(values, arguments.ROWS, True)
        result: Any = command.run(values)
        if written is not None:
            _hand_on(result, written)
        else:
            printing.write(printing.printed(_without_content(command, values, result), format, command))
    denies = command.shell.denies
    return DENIED if denies is not None and denies(result, values) else DONE


def _format(command: Command, values: Namespace) -> str:
    format: str = getattr(values, _AS) or "text"
    if format not in printing.formats(command):
        problem = f"--{_AS} wants one of {', '.join(printing.formats(command))} with {command.name}, not {format!r}"
        raise command_words.CommandError(problem)
    return format


def _require(command: Command, values: Namespace) -> None:
    """Refuse a line whose result would be lost with the process."""
    if getattr(values, "code", False):
        return
    for flag in command.shell.required:
        argument = next(each for each in command.arguments if flag in each.flags)
        if getattr(values, argument.attribute) is None:
            wanted = f"{argument.flags[0]} in the shell: {argument.help}; {STANDARD} for standard output"
            raise command_words.CommandError(f"{command.name} wants {wanted}")


def _standard_output(command: Command, values: Namespace, scratch: Any) -> Path | None:  # noqa: ANN401 - see its caller
    """Have what would be written to standard output written to a file that is handed on; return its path."""
    name = command.shell.writes
    if not name or getattr(values, name) != STANDARD or getattr(values, "code", False):
        return None
    if sys.stdout.isatty():
        raise command_words.CommandError(
            "a model is nothing to read on a terminal: redirect standard output into a file"
        )
    # Imported with the first such call: it brings what writes models.
    from tfmagic import writers  # noqa: PLC0415

    wanted = command_words.text(getattr(values, "format", None))
    single = [each for each in writers.WRITERS if each.suffixes and not each.directory]
    writer = next((each for each in single if each.format == wanted), None) if wanted else single[0]
    if writer is None:
        problem = f"standard output takes a format of one file: --format {', '.join(each.format for each in single)}"
        raise command_words.CommandError(problem)
    path: Path = scratch() / f"standard output{writer.suffixes[0]}"
    setattr(values, name, str(path))
    return path


def _without_content(command: Command, values: Namespace, result: object) -> object:
    """Return of a model that was written what is known without reading it again, which may be all of its weights."""
    name = command.shell.writes
    is_text = getattr(values, _AS) in (None, "text")
    written = is_text and name and getattr(values, name) is not None and not getattr(values, "code", False)
    return Written(result) if written and hasattr(result, "loaders") else result


def _hand_on(result: Any, path: Path) -> None:  # noqa: ANN401 - whatever a verb returns
    """Copy what was written to standard output, and tell its notes beside it."""
    with path.open("rb") as file:
        progress.copy(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    for note in getattr(result, "notes", ()):
        _said(note, DONE)


def _worded(error: Exception) -> str:
    """Word an error in one line; one that is not ours by its type as well."""
    if isinstance(error, OSError):
        said = error.strerror or str(error)
        return f"{said}: {error.filename!r}" if error.strerror and error.filename else said
    if isinstance(error, errors.TfMagicError):
        return str(error)
    return f"{type(error).__name__}: {error}; set {_TRACEBACK}=1 to see where it comes from"


def _said(message: str, status: int) -> int:
    """Say something in one line on standard error, and return the status."""
    line = " ".join(message.split("\n"))
    try:
        sys.stderr.write(f"{_PROGRAM}: {visible(line)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody listens
    return status


def _warn(message: Warning | str, *_where: object, **_more: object) -> None:
    """Word a warning in one line."""
    _said(f"warning: {message}", DONE)
