"""Answers to a shell that asks what can follow: bash, zsh and fish, by argcomplete.

``eval "$(register-python-argcomplete tfmagic)"`` makes bash and zsh ask, ``register-python-argcomplete --shell fish
tfmagic | source`` fish. Not for: what can follow (:mod:`tfmagic.commands.completion`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfmagic import optional
from tfmagic.commands import completion, declarations
from tfmagic.shell import command_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def proposals(before: Sequence[str], word: str) -> list[str]:
    """Return what a word of a line can become.

    Parameters
    ----------
    before : sequence of str
        The words between the program's name and the one that is being typed, without quotes.
    word : str
        The beginning of that.
    """
    commands = {name: each for name, each in declarations.COMMANDS.items() if not each.shell.absent}
    if not before:
        words = [*commands, "--help", "--version"] if word.startswith("-") else list(commands)
        return [each for each in words if each.startswith(word)]
    verb, *rest = before
    if verb not in commands or "://" in " ".join(rest):
        # Nobody waits for a network while a line is typed.
        return []
    command = replace(commands[verb], arguments=command_line.options(commands[verb]))
    # A name out of a model must not act on the terminal where it is proposed.
    return [each.text for each in completion.complete_words(command, rest, word) if each.text.isprintable()]


def answer() -> None:
    """Write what can follow to where the shell reads it, and end the process."""
    argcomplete = optional.library("argcomplete", "completion in a shell", "'tfmagic[shell]'")

    class Finder(argcomplete.CompletionFinder):  # type: ignore[misc, name-defined] # a library that may be missing
        """What argcomplete asks, answered from the declarations instead of a parser."""

        def _get_completions(
            self, comp_words: list[str], cword_prefix: str, cword_prequote: str, last_wordbreak_pos: int | None
        ) -> list[str]:
            words = proposals(comp_words[1:], cword_prefix)
            quoted: list[str] = self.quote_completions(words, cword_prequote, last_wordbreak_pos)
            # What zsh shows beside each.
            self._display_completions = dict.fromkeys(quoted, "")
            return quoted

    finder: Any = Finder()
    finder(argparse.ArgumentParser(add_help=False), append_space=True)
