"""The form ``keras_file``: ``.keras`` archives and HDF5, whole models and weights only, of Keras 1, 2 and 3.

What reads them is loaded with the first file that may be one: it is a quarter of all that recognition would import.
Not for: their parts (:mod:`tfmagic.readers.keras_file_parts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tfmagic.files import message_files
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tfmagic.display.shown_model import ShownModel
    from tfmagic.findings.scan import Finding
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate

#: How a zip archive and an HDF5 file begin, and where TFLite has a mark of its own.
_MAGICS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")
_TFLITE = slice(4, 8), b"TFL3"


def _may_stand_before(candidate: Candidate) -> bool:
    """Say whether the first bytes of a file are no model themselves, so that one may begin behind them."""
    place, mark = _TFLITE
    return candidate.head[place] != mark and message_files.kind(candidate) is None


class KerasFileReader(Reader):
    """Reads what ``model.save`` and ``model.save_weights`` write."""

    form: ClassVar[str] = "keras_file"
    title: ClassVar[str] = "Keras file"
    parts: ClassVar[frozenset[Part]] = frozenset(
        {Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION, Part.KERAS}
    )
    costly: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH})
    has_free_key: ClassVar[bool] = True
    holds_more: ClassVar[bool] = True
    holds_keras_weights: ClassVar[bool] = True
    looks_like: ClassVar[str] = "a `.keras` archive, an `.h5` model, a `.weights.h5` (variables only)"

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the candidate is a Keras archive, or HDF5 with Keras's marks, behind what is no model itself."""
        path = candidate.path
        if path is None or not candidate.is_file:
            return False
        if not candidate.head.startswith(_MAGICS) and not _may_stand_before(candidate):
            return False
        from tfmagic.files.keras import archive as keras_archive  # noqa: PLC0415 - see above

        return keras_archive.is_keras(candidate.head, path)

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; a file of weights only has variables and nothing else.

        Raises
        ------
        CorruptSourceError
            If the container or its config does not parse.
        """
        del tags
        from tfmagic.readers import keras_file_parts  # noqa: PLC0415 - see above

        return keras_file_parts.read(candidate)

    def findings(self, model: ShownModel) -> Iterator[Finding]:
        """Yield what the graph could do, if it is there; the model knows what its file says."""
        if model.is_at_hand(Part.GRAPH):
            from tfmagic.findings import graph_scan  # noqa: PLC0415 - with the first graph

            yield from graph_scan.findings(model.meta_graphs)

    def keras_version(self, model: ShownModel) -> str:
        """Return the version that the file records."""
        from tfmagic.files.keras import archive as keras_archive  # noqa: PLC0415 - see above

        return "" if model.path is None else keras_archive.contents(model.path).keras_version

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the code that loads the model and traces it."""
        load = f"model = keras.saving.load_model({source.place}, compile=False)"
        return ["import keras", "", load, *source.serving("model")]

    def call(self, source: CodeSource) -> list[str] | None:
        """Return the code that loads the model and calls it; if the file says what it takes, nothing is traced."""
        if Part.SIGNATURES in source.computed:
            return None
        values = dict(source.fed())
        is_text = any("text" in value for value in values.values())
        values = {key: f"tf.constant({value})" if is_text else value for key, value in values.items()}
        arguments = ", ".join(f"{key!r}: {value}" for key, value in values.items())
        (only, *others) = values.values()
        return [
            "import keras",
            "",
            f"model = keras.saving.load_model({source.place}, compile=False)",
            f"outputs = model({f'{{{arguments}}}' if others else only}, training=False)",
        ]

    def holder(self, source: CodeSource) -> str:
        """Return the model."""
        del source
        return "model"
