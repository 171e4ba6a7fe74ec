"""What the panel begins with where no model was named: the notebook's models, the files around it, a path.

Not for: finding them (:mod:`tfmagic.verbs.nearby`) or the panel itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets
import pandas as pd

from tfmagic import readers
from tfmagic.display import render
from tfmagic.display.render import Section
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.heading import Heading
from tfmagic.notebook.panel.widgets.panel import Panel, problem_line, said
from tfmagic.runtime import keras as keras_runtime
from tfmagic.verbs import nearby

if TYPE_CHECKING:
    from collections.abc import MutableMapping

#: No widget: one of the module could be closed by somebody, or belong to another kernel.
_LAYOUT = {"width": "min(640px, 100%)"}
_QUESTION = "Which model?"
#: Lines of a list that are seen at once.
_LINES = 8


class Chooser(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A choice of models; the one that is opened takes its place.

    Parameters
    ----------
    variables : mutable mapping of str to object
        The notebook's variables.
    trust : bool
        Whether code in the chosen model may run.
    directory : Path, optional
        Where files are looked for; the working directory if not given.

    Attributes
    ----------
    panel : Panel or None
        The panel, once a model was opened.
    """

    def __init__(
        self, variables: MutableMapping[str, object], *, trust: bool = False, directory: Path | None = None
    ) -> None:
        self.panel: Panel | None = None
        self._variables = variables
        self._trust = trust
        self._settings = keras_runtime.thread_settings()
        self._directory = directory or Path.cwd()
        self.models = ipywidgets.Select(description="Variables", rows=_LINES, layout=_LAYOUT)
        self.files = ipywidgets.Select(description="Files", rows=_LINES, layout=_LAYOUT)
        self.path = ipywidgets.Text(description="Path", placeholder="./served/1", layout=_LAYOUT)
        self.opener = forms.Act("Open", is_primary=True)
        self.refresh = ipywidgets.Button(description="Look again")
        self.status = said("")
        buttons = ipywidgets.HBox([self.opener, self.refresh])
        self.heading = Heading(text=_QUESTION)
        super().__init__(children=(self.heading, self.models, self.files, self.path, buttons, self.status))
        self.add_class("tfm-panel")
        self._look()
        # Whichever was touched last is what is opened: the others are emptied.
        for control in (self.models, self.files, self.path):
            control.observe(self._touched, "value")
        self.opener.on_click(lambda _: self._begin())
        self.refresh.on_click(lambda _: self._look())

    def _look(self) -> None:
        """List what is at hand."""
        names = nearby.model_names(self._variables)
        nearby_files = nearby.files(self._directory)
        self.models.options = [(f"{name}  ({type(self._variables[name]).__name__})", name) for name in names]
        self.files.options = [(f"{each.path}  ({each.form})", each.path) for each in nearby_files]
        self.models.value = names[0] if names else None
        self.files.value = nearby_files[0].path if nearby_files and not names else None
        self.status.value = said("" if names or nearby_files else "No model is at hand: give a path.").value

    def _touched(self, change: dict[str, object]) -> None:
        if not change["new"]:
            return
        for control in (self.models, self.files):
            if control is not change["owner"]:
                control.value = None
        if change["owner"] is not self.path:
            self.path.value = ""

    @property
    def chosen(self) -> object:
        """What would be opened: a variable's value, a path, or None."""
        if self.path.value.strip():
            # Unlike Path.expanduser, this leaves a file named "~x" alone where there is no user x.
            return self._directory / os.path.expanduser(self.path.value.strip())  # noqa: PTH111
        if self.models.value is not None:
            return self._variables.get(self.models.value)
        return None if self.files.value is None else self._directory / self.files.value

    def _begin(self) -> None:
        source = self.chosen
        if source is None:
            self.status.value = said("Choose a variable or a file, or give a path.").value
            return
        self.opener.is_off = True
        self.status.value = said("Reading …").value
        threads.begin(lambda: self._open(source), "chooser")

    def _open(self, source: object) -> None:
        """Put the panel into this widget's place, or say why there is none."""
        self._settings()
        try:
            self.panel = Panel(readers.read(source, trust=self._trust), self._variables)
        except Exception as error:  # noqa: BLE001 - a model raises whatever its code does; a person gets one line
            self.status.value = said(problem_line(error)).value
        else:
            # The heading stays: by it the static form is off the page.
            self.heading.text = ""
            self.children = (self.heading, self.panel)
        finally:
            self.opener.is_off = False

    # Display

    def _sections(self) -> list[Section]:
        listed = [("variable", name) for _, name in self.models.options] + [
            ("file", path) for _, path in self.files.options
        ]
        table = pd.DataFrame(listed, columns=["kind", "name"], dtype=object)
        return [Section("At hand", (("advice", "%tf_panel NAME shows one of them"),), table)]

    def __repr__(self) -> str:
        """Show as text what there is to choose from."""
        return render.text(_QUESTION, self._sections())

    def _repr_html_(self) -> str:
        """Show it as static HTML."""
        return render.wanted_markup(_QUESTION, self._sections())

    def _repr_mimebundle_(self, **_options: object) -> dict[str, object]:
        """Show the choice live, and below it what stands where no kernel lives."""
        return render.bundle(self, self)
