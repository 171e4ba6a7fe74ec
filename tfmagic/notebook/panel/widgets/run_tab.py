"""The tab Run: values for the inputs of a signature, the model run on them, what it gives.

Not for: running (:mod:`tfmagic.verbs.run`) or what a value is made of (:mod:`tfmagic.notebook.panel.input_values`).
"""

from __future__ import annotations

import base64
import keyword
import threading
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from tfmagic import errors
from tfmagic.graphs import signatures
from tfmagic.notebook.panel import pictures as picture_files
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.notebook.panel.widgets.input_fields import InputFields
from tfmagic.notebook.panel.widgets.panel import problem_line, said
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.run import Run
from tfmagic.verbs.run import run as run_verb

if TYPE_CHECKING:
    import numpy.typing as npt

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

#: Of a vector at least this long the largest values are shown, so many.
_VECTOR, _TOP = 6, 5
#: Pictures that are shown of an output.
_PICTURES = 4
#: The longer side of a picture on the page, in pixels, at most.
_SEEN = 192
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
        self.repeat = forms.field(ipywidgets.BoundedIntText, "Warm calls", value=1, min=0, max=1000)
        self.trust = forms.tick("Trust the model: it may act outside itself")
        self.work = Work("Run", panel)
        self.result = ipywidgets.HTML()
        self.variable = forms.field(ipywidgets.Text, "Variable", value="outputs")
        self.keep = forms.Act("Put outputs into it")
        self.kept = said("")
        self.keeping = ipywidgets.VBox([forms.row(self.variable, self.keep), self.kept])
        children = (self.signature, self.inputs, self.outputs, self.repeat, self.trust, *self.work.controls)
        super().__init__(children=(*children, self.result, self.keeping))
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

        def call() -> Run:
            values = {each.end.key: each.value() for each in fields if each.is_given}
            return run_verb(_source(self._model), values, **options)

        self.work.begin(call, self._done)

    def _done(self, run: Run) -> str:
        with self._lock:
            self._last_run, self._in_the_way = run, ""
            self.result.value = forms.result(run) + "".join(_shown(key, each) for key, each in run.outputs.items())
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


def _shown(key: str, array: npt.NDArray[Any]) -> str:
    """Show more of an output than its first values: the largest of a vector, pictures."""
    if picture_files.is_picture(array):
        return _pictures(key, array)
    vector = array[0] if array.ndim == 2 and len(array) else array  # noqa: PLR2004 - a batch of vectors
    if vector.ndim == 1 and len(vector) >= _VECTOR and vector.dtype.kind in "fiu":
        return _largest(key, array.ndim, vector)
    return ""


def _largest(key: str, rank: int, vector: npt.NDArray[Any]) -> str:
    places = np.argsort(-np.nan_to_num(vector.astype(np.float64), nan=-np.inf), kind="stable")[:_TOP]
    rows = "".join(f"<tr><td>{place}</td><td>{float(vector[place]):.4g}</td></tr>" for place in places)
    title = f"{forms.text(key)}: the largest {_TOP}{', of the first row' if rank > 1 else ''}"
    return (
        f'<table><caption style="text-align:left;white-space:nowrap">{title}</caption>'
        f'<thead><tr><th scope="col">place</th><th scope="col">value</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _pictures(key: str, array: npt.NDArray[Any]) -> str:
    shown_pictures = picture_files.pictures(array, _PICTURES)
    images = "".join(_image(f"{key}, picture {number}", each) for number, each in enumerate(shown_pictures, 1))
    return f"<figure style='margin:8px 0'><figcaption>{forms.text(key)}</figcaption>{images}</figure>"


def _image(alternative: str, picture: npt.NDArray[Any]) -> str:
    data = base64.b64encode(picture_files.png(picture)).decode()
    # Of a small picture each pixel is seen; a large one is made to fit.
    height, width = picture.shape[:2]
    times = min(_SEEN / max(height, width), max(1, _SEEN // max(height, width)))
    return (
        f'<img alt="{forms.text(alternative)}" src="data:image/png;base64,{data}" width="{width * times:.0f}" '
        f'height="{height * times:.0f}" style="margin:0 8px 8px 0;image-rendering:pixelated">'
    )
