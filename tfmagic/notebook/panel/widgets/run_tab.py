"""The tab Run: values for the inputs of a signature, the model run on them, what it gives.

Not for: running (:mod:`tfmagic.verbs.run`) or what a value is made of (:mod:`tfmagic.notebook.panel.input_values`).
"""

from __future__ import annotations

import builtins
import keyword
import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import errors
from tfmagic.commands import words as command_words
from tfmagic.graphs import signatures
from tfmagic.notebook.panel import input_values
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.notebook.panel.widgets.input_fields import FILE, PATH, InputFields
from tfmagic.notebook.panel.widgets.panel import problem_line, said
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.run import run as run_verb

if TYPE_CHECKING:
    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place
    from tfmagic.verbs.run_results import Run

_UNSIGNED = (
    "Nobody signed this SavedModel: freeze it between tensors of its graph (the tab Convert), and run the result."
)
_ENDLESS = "No output is to be seen in the graph: name one among Outputs, a tensor of it."
_PROPOSED = "proposed: nothing in the graph says where it begins and ends"


def build(model: Model, panel: Place) -> RunTab:
    """Build the tab."""
    return RunTab(model, panel)


class RunTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The form and what the model gives.

    Parameters
    ----------
    model : Model
        What is run.
    panel : Place
        The panel around the tab.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._model = model
        self._panel = panel
        self._lock = threading.RLock()
        self._signed: dict[str, plan_names.Ends] = {}
        self._last_run: Run | None = None
        #: A variable that would be replaced, until the person says so once more.
        self._in_the_way = ""
        self.signature = forms.field(ipywidgets.Dropdown, "Signature")
        self.inputs = ipywidgets.VBox()
        self.outputs = forms.field(ipywidgets.Text, "Outputs", placeholder="those of the signature; or tensors, …")
        self.labels = forms.field(ipywidgets.Text, "Labels", placeholder="the model's own; or labels.txt, a variable")
        self.repeat = forms.field(ipywidgets.BoundedIntText, "Warm calls", value=1, min=0, max=1000)
        self.timeout = forms.field(ipywidgets.Text, "Time limit", placeholder="none; or seconds")
        self.trust = forms.tick("Trust the model: it may act outside itself")
        self.work = Work("Run", panel)
        self.result = ipywidgets.HTML()
        self.variable = forms.field(ipywidgets.Text, "Variable", value="outputs")
        self.keep = forms.Act("Put outputs into it")
        self.kept = said("")
        self.keeping = ipywidgets.VBox([forms.row(self.variable, self.keep), self.kept])
        fields = (self.signature, self.inputs, self.outputs, self.labels, self.repeat, self.timeout, self.trust)
        super().__init__(children=(*fields, *self.work.controls, self.result, self.keeping))
        self.add_class("tfm-form")
        forms.show(self.trust, shown=model.trusting is not None)
        forms.show(self.keeping, shown=False)
        self.signature.observe(lambda _: self._show_inputs(), "value")
        self.trust.observe(lambda _: self._trusted(), "value")
        self.work.start.on_click(lambda _: self._run())
        self.work.vouch.on_click(lambda _: self._vouched())
        self.keep.on_click(lambda _: self._keep())
        self._read(model)

    def arrive(self, signature: str | None = None, **_others: object) -> None:
        """Choose a signature that another tab speaks of."""
        if signature in self._signed:
            self.signature.value = signature

    # The form

    @property
    def fields(self) -> tuple[InputFields, ...]:
        """The fields of the inputs."""
        return tuple(self.inputs.children)

    def _read(self, model: Model) -> None:
        """Learn the signatures; those that only the loaded model has may need leave to run its code."""
        try:
            signed = plan_names.signed(model)
        except Exception as error:  # noqa: BLE001 - a model raises whatever its code does; a person gets one line
            self.work.tell(problem_line(error), "danger")
            self.work.refused(error)
            return
        self.work.refused(None)
        with self._lock:
            self._signed = signed
            self.signature.options = [(_PROPOSED if key == signatures.PROPOSED else key, key) for key in signed]
            self.signature.value = plan_names.default_key(signed) or next(iter(signed), None)
            self._show_inputs()
        if not signed:
            self.work.tell(_ENDLESS if model.reader.is_open else _UNSIGNED)
            self.work.allow(allowed=model.reader.is_open)

    def _vouched(self) -> None:
        """Go on with what was refused: a run, or learning what the inputs are."""
        self.trust.value = True
        if self._signed:
            self.work.start.click()

    def _trusted(self) -> None:
        """Learn what could not be learned without leave."""
        trusting = self._model.trusting
        if self.trust.value and not self._signed and trusting is not None:
            self.work.tell("Reading …")
            threads.begin(lambda: self._read_again(trusting()), "signatures")

    def _read_again(self, model: Model) -> None:
        self.work.tell("")
        self._read(model)

    def _show_inputs(self) -> None:
        with self._lock:
            ends = self._signed.get(self.signature.value)
            self.inputs.children = [InputFields(end, self._panel.namespace) for end in ends.inputs] if ends else []

    # The run

    def _run(self) -> None:
        fields, outputs = self.fields, [each.strip() for each in self.outputs.value.split(",") if each.strip()]
        key = self.signature.value
        options = {
            "signature": None if key == signatures.PROPOSED else key,
            "outputs": outputs or None,
            "repeat": self.repeat.value,
            "trust": self.trust.value,
        }
        pixels = {each.end.key: each.pixels.value for each in fields if each.how.value in (FILE, PATH)}
        limit, labels = self.timeout.value.strip(), self.labels.value.strip()

        def call() -> Run:
            values = {each.end.key: each.value() for each in fields if each.is_given}
            more: dict[str, Any] = {"timeout": _seconds(limit), "labels": self._labels(labels), "pixels": pixels}
            return run_verb(_source(self._model), values, **options, **more)

        self.work.begin(call, self._done)

    def _labels(self, text: str) -> object:
        """Return the labels that a person names: a variable of the notebook, an expression over them, else a file."""
        names = command_words.names_in(text) if text else None
        known = [name for name in names or () if name in self._panel.namespace or hasattr(builtins, name)]
        if names is not None and len(known) == len(names) and not Path(text).expanduser().exists():
            return input_values.evaluated(text, "labels", self._panel.namespace)
        return Path(command_words.unquote(text)).expanduser() if text else None

    def _done(self, run: Run) -> str:
        with self._lock:
            self._last_run, self._in_the_way = run, ""
            self.result.value = forms.result(run)
            forms.show(self.keeping, shown=True)
        return "Done."

    def _keep(self) -> None:
        """Put the outputs into a variable of the notebook; another one is replaced at a second word only."""
        name = self.variable.value.strip()
        with self._lock:
            if self._last_run is None:
                return
            if not name.isidentifier() or keyword.iskeyword(name):
                self.kept.value = said(f"{name!r} is no name for a variable").value
                return
            present = self._panel.namespace.get(name)
            if present is not None and not isinstance(present, Outputs) and self._in_the_way != name:
                self._in_the_way = name
                warning = f"there is a variable {name!r} already: press again to replace it, or choose another name"
                self.kept.value = said(warning).value
                return
            self._panel.namespace[name] = Outputs(self._last_run.outputs)
            self.kept.value = said(f"{name} holds {errors.listed(self._last_run.outputs)}").value


class Outputs(dict[str, Any]):
    """Outputs by key, in a variable of the notebook: the next ones may take their place."""


def _source(model: Model) -> object:
    """Return what is run: a live model that is one call stays loaded by itself, a file by what was read of it."""
    return model.live if model.reader.is_one_call and model.live is not None else model


def _seconds(text: str) -> float | None:
    """Return the time limit that is written in the form, None without one.

    Raises
    ------
    ConversionError
        If it is no number of seconds above 0.
    """
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise errors.ConversionError(
            f"the time limit is a number of seconds above 0, not {text!r}; leave it empty for none"
        )
    return seconds
