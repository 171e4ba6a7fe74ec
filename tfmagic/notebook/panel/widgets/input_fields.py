"""The fields of one input of a model: an expression, an uploaded file, or a generated value.

Not for: what a value is made of (:mod:`tfmagic.notebook.panel.input_values`, :mod:`tfmagic.verbs.input_files`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets

from tfmagic import errors
from tfmagic.graphs import signatures
from tfmagic.notebook.panel import input_values
from tfmagic.notebook.panel.widgets import forms
from tfmagic.verbs import input_files

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tfmagic.graphs.signatures import Endpoint

GENERATE, EXPRESSION, FILE = "generate", "expression", "file"
_CHOICES = (("generated", GENERATE), ("a Python expression", EXPRESSION), ("an uploaded file", FILE))
#: More than this an upload through a notebook's socket does not bear.
_ACCEPTED = ".npy,.npz,.json,.txt,.png,.jpg,.jpeg,.bmp,.gif"
#: Ranks of inputs that may be pictures.
_PICTURE_RANKS = (3, 4)


class InputFields(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The fields of one input.

    Parameters
    ----------
    end : Endpoint
        The input.
    variables : mutable mapping of str to object
        The notebook's variables.
    """

    def __init__(self, end: Endpoint, variables: MutableMapping[str, object]) -> None:
        self.end = end
        self._variables = variables
        self.how = forms.field(ipywidgets.Dropdown, "Value", options=_CHOICES)
        self.expression = forms.field(ipywidgets.Text, "Expression", placeholder="images[:8]")
        self.file = ipywidgets.FileUpload(accept=_ACCEPTED, description="Choose a file", multiple=False)
        self.pixels = forms.field(ipywidgets.Dropdown, "Pixels", options=list(input_files.PIXELS))
        self.said = ipywidgets.HTML()
        # A screen reader hears of which input each control is.
        for control in (self.how, self.expression, self.file, self.pixels):
            control.tooltip = f"{control.description}: {end.key}"
        heading = ipywidgets.HTML(f"<strong>{forms.text(end.key)}</strong> <code>{forms.text(_wanted(end))}</code>")
        super().__init__(children=(heading, self.how, self.expression, self.file, self.pixels, self.said))
        for control in (self.how, self.expression, self.file):
            control.observe(lambda _: self._refresh(), "value")
        self._refresh()

    @property
    def upload(self) -> input_files.File | None:
        """The file that was uploaded."""
        upload = self.file.value
        return input_files.File(str(upload[0]["name"]), bytes(upload[0]["content"])) if upload else None

    @property
    def is_given(self) -> bool:
        """Whether a value is given, and not to be generated."""
        return bool(self.how.value != GENERATE)

    def value(self) -> object:
        """Return the value that is given.

        Raises
        ------
        ConversionError
            If the expression raises, or the file holds no such value.
        """
        if self.how.value == EXPRESSION:
            return input_values.evaluated(self.expression.value, self.end.key, self._variables)
        upload = self.upload
        if upload is None:
            raise errors.ConversionError(f"no file is chosen for {self.end.key!r}; choose one, or have it generated")
        return input_files.of_file(upload, self.end, self.pixels.value)

    def _refresh(self) -> None:
        forms.show(self.expression, shown=self.how.value == EXPRESSION)
        forms.show(self.file, shown=self.how.value == FILE)
        forms.show(self.pixels, shown=self.how.value == FILE and _takes_pixels(self.end))
        text = ""
        if self.how.value == EXPRESSION:
            text = input_values.problem(self.expression.value, self.end, self._variables)
        elif self.how.value == FILE and self.upload is not None:
            text = input_values.file_problem(self.upload, self.end) or f"{self.upload.name} is chosen"
        self.said.value = f'<span role="status">{forms.text(text)}</span>'


def _wanted(end: Endpoint) -> str:
    return f"{end.dtype} {signatures.shape_text(end.shape)}"


def _takes_pixels(end: Endpoint) -> bool:
    """Say whether a picture's pixels have to be given another range."""
    return "float" in end.dtype and (end.shape is None or len(end.shape) in _PICTURE_RANKS)
