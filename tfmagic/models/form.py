"""What sources of a form may have, and what they are able to do.

Not for: recognising and reading them (:mod:`tfmagic.models.reader`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.findings.scan import Finding
    from tfmagic.models.plain_code import CodeSource


class Part(StrEnum):
    """What a source may have; a form declares which (DESIGN section 4)."""

    GRAPH = "graph"
    SIGNATURES = "signatures"
    VARIABLES = "variables"
    FUNCTION = "function"
    KERAS = "keras"


class Form:
    """What sources of one form are able to do: class attributes, of which a reader states what differs."""

    form: ClassVar[str] = ""
    #: What a person calls it.
    title: ClassVar[str] = ""
    #: What sources of this form have at most; a single source may have less.
    parts: ClassVar[frozenset[Part]] = frozenset()
    #: Parts that cost more than a look: TensorFlow would trace, which runs the user's code.
    costly: ClassVar[frozenset[Part]] = frozenset()
    #: Whether its signature got its key from us, so that the user may give it another one.
    has_free_key: ClassVar[bool] = False
    #: Whether it is one call, whose key need not be asked for: it would have to be traced for it.
    is_one_call: ClassVar[bool] = False
    #: TensorFlow's message that its file holds, none where it is none.
    message: ClassVar[str] = ""
    #: Whether its file is one of Keras' weights, with a model or without.
    holds_keras_weights: ClassVar[bool] = False
    #: Whether its function is made between any two tensors of the graph that are asked for.
    is_open: ClassVar[bool] = False
    #: Whether it may have several MetaGraphDefs, told apart by tag-sets; other forms are refused tags that choose none.
    has_tag_sets: ClassVar[bool] = False
    #: Whether plain code works with it as with a session of TensorFlow 1.
    is_session: ClassVar[bool] = False
    #: Whether what it calls variables are constants of its graph: then its graph says whether all values are in it.
    variables_are_constants: ClassVar[bool] = False
    #: What would work instead of a source that lacks a part.
    instead: ClassVar[str] = ""
    #: Whether its graph is of ops that TensorFlow does not have: it can be looked at, compared and run as a whole, and
    #: what is known of TensorFlow's ops does not hold of it.
    has_own_ops: ClassVar[bool] = False
    #: Whether whoever runs it may give its inputs other sizes than it states.
    resizes_inputs: ClassVar[bool] = False
    #: Whether it may hold more variables than its outputs need: a training's copies and counts.
    holds_more: ClassVar[bool] = False
    #: What makes a smaller one where slim, which copies files of some forms only, cannot.
    smaller: ClassVar[str] = "export it to a SavedModel or freeze it first, and slim that"

    @classmethod
    def written_parts(cls, parts: Iterable[Part]) -> frozenset[Part]:
        """Return those of some parts of which something else can be written: a graph of ops of its own is none."""
        return frozenset(parts) - ({Part.GRAPH, Part.VARIABLES} if cls.has_own_ops else set())

    def findings(self, model: ShownModel) -> Iterator[Finding]:
        """Yield the rows of a scan of a source: what it could do to who uses it, read without loading anything."""
        # What reads files and graphs for it is loaded with the first scan.
        from tfmagic.findings import file_scan, graph_scan  # noqa: PLC0415

        if model.is_at_hand(Part.GRAPH.value):
            yield from graph_scan.findings(model.meta_graphs)
        if model.path is not None:
            yield from file_scan.of_file(model.path)

    def constant_sizes(self, path: Path) -> tuple[list[tuple[str, int]], int]:
        """Return name and bytes of each constant in a file that has constants for variables, and the bytes of others.

        The others are what no tensor of it has.
        """
        del path
        return [], 0

    def keras_version(self, model: ShownModel) -> str:
        """Return the version of Keras that wrote a source, empty where it does not say."""
        del model
        return ""

    def code(self, source: CodeSource) -> list[str] | None:
        """Return stock TensorFlow that makes ``function``, or ``session``, of a source; None if it has no way."""
        del source
        return None

    def holder(self, source: CodeSource) -> str:
        """Return the code of what holds the function's variables and tables, to be saved with it."""
        del source
        return "list(function.graph.variables)"

    def call(self, source: CodeSource) -> list[str] | None:
        """Return stock TensorFlow that calls a source on example values; None: as what ``code`` makes is called."""
        del source
        return None
