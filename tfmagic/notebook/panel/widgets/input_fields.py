"""The fields of one input of a model: an expression, uploaded files, a path, or a generated value; and what it is.

Not for: what a value is made of (:mod:`tfmagic.notebook.panel.input_values`, :mod:`tfmagic.verbs.input_files`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets

from tfmagic import errors
from tfmagic.display import card_ends
from tfmagic.escaping import html_text
from tfmagic.notebook.panel import file_previews, input_values
from tfmagic.notebook.panel.widgets import forms
from tfmagic.verbs import input_files

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from tfmagic.graphs.signatures import Endpoint

GENERATE, EXPRESSION, FILE, PATH = "generate", "expression", "file", "path"
_CHOICES = (
    ("generated", GENERATE),
    ("a Python expression", EXPRESSION),
    ("an uploaded file, or pictures", FILE),
    ("a path: a file, or a folder of pictures", PATH),
)
#: More than this an upload through a notebook's socket does not bear.
_ACCEPTED = ".npy,.npz,.json,.txt,.wav,.png,.jpg,.jpeg,.bmp,.gif"
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
        self.file = ipywidgets.FileUpload(accept=_ACCEPTED, description="Choose files", multiple=True)
        self.path = forms.field(ipywidgets.Text, "Path", placeholder="./pictures", continuous_update=False)
        self.pixels = forms.field(ipywidgets.Dropdown, "Pixels", options=list(input_files.PIXELS))
        self.said = ipywidgets.HTML()
        # A screen reader hears of which input each control is.
        self.preview = ipywidgets.HTML()
        for control in (self.how, self.expression, self.file, self.path, self.pixels):
            control.tooltip = f"{control.description}: {end.key}"
        size, rest = card_ends.shape_words(end.shape, end.dtype)
        quiet = f"<span class='tfm-quiet'>{html_text(rest)}</span>"
        heading = ipywidgets.HTML(f"<strong>{html_text(end.key)}</strong> {html_text(size)} {quiet}")
        fields = (self.how, self.expression, self.file, self.path, self.pixels)
        super().__init__(children=(heading, *fields, self.said, self.preview))
        self.add_class("tfm-input")
        for control in (self.how, self.expression, self.file, self.path):
            control.observe(lambda _: self._refresh(), "value")
        self._refresh()

    @property
    def files(self) -> list[input_files.File]:
        """The files that were uploaded, or that the path leads to.

        Raises
        ------
        ConversionError
            If the path leads to none.
        """
        if self.how.value == PATH:
            text = self.path.value.strip()
            return input_files.at(Path(text).expanduser()) if text else []
        return [input_files.File(str(each["name"]), bytes(each["content"])) for each in self.file.value]

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
        files = self.files
        if not files:
            raise errors.ConversionError(f"no file is chosen for {self.end.key!r}; choose one, or have it generated")
        return files if len(files) > 1 else files[0]

    def _refresh(self) -> None:
        forms.show(self.expression, shown=self.how.value == EXPRESSION)
        forms.show(self.file, shown=self.how.value == FILE)
        forms.show(self.path, shown=self.how.value == PATH)
        forms.show(self.pixels, shown=self.how.value in (FILE, PATH) and _takes_pixels(self.end))
        text, preview = "", ""
        if self.how.value == EXPRESSION:
            text = input_values.problem(self.expression.value, self.end, self._variables)
        elif self.how.value in (FILE, PATH):
            text, preview = self._about_files()
        self.said.value = f'<span role="status">{html_text(text)}</span>'
        self.preview.value = preview

    def _about_files(self) -> tuple[str, str]:
        """Say what was chosen, and show it as what it is."""
        try:
            files = self.files
        except errors.ConversionError as error:
            return str(error), ""
        if not files:
            return "", ""
        name = files[0].name.replace("\\", "/").rpartition("/")[2]
        chosen = f"{name} is chosen" if len(files) == 1 else f"{len(files):,} files are chosen, a batch"
        return input_values.file_problem(files[0], self.end) or chosen, file_previews.preview(files, self.end)


def _takes_pixels(end: Endpoint) -> bool:
    """Say whether a picture's pixels have to be given another range."""
    return "float" in end.dtype and (end.shape is None or len(end.shape) in _PICTURE_RANKS)
