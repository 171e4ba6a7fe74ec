"""The tab Convert: a form, the plan of what it says, the conversion, its result.

Not for: the form (:mod:`tfmagic.notebook.panel.widgets.convert_form`), what a conversion would do
(:mod:`tfmagic.verbs.conversion.plan`) or doing it (:mod:`tfmagic.verbs.export`).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import ipywidgets

from tfmagic import errors, readers
from tfmagic.commands import magic_lines
from tfmagic.display import render
from tfmagic.escaping import html_text
from tfmagic.notebook.panel import input_values
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.notebook.panel.widgets.convert_form import ConvertForm
from tfmagic.notebook.panel.widgets.panel import Panel, problem_line, said
from tfmagic.notebook.panel.widgets.sections import Copy, SectionData, Sections
from tfmagic.verbs.conversion import checks
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.conversion import remedies as conversion_remedies
from tfmagic.verbs.conversion.plan import Plan, Problem
from tfmagic.verbs.export import export as export_verb
from tfmagic.verbs.snippets.code import code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place
    from tfmagic.verbs.conversion.job import Export
    from tfmagic.verbs.conversion.remedies import Remedy
    from tfmagic.verbs.conversion.request import Request

_CANCELLED = "Cancelled: nothing was written."
#: Buttons that help at once.
_MOST_REMEDIES = 4


def build(model: Model, panel: Place) -> ConvertTab:
    """Build the tab."""
    return ConvertTab(model, panel)


class ConvertTab(ipywidgets.Box):  # type: ignore[misc] # ipywidgets has no types
    """The form and what becomes of it.

    Parameters
    ----------
    model : Model
        The source.
    panel : Place
        The panel around the tab.
    """

    def __init__(self, model: Model, panel: Place) -> None:
        self._model = model
        self._panel = panel
        self._lock = threading.RLock()
        self._written, self._line = "", ""
        #: What the form said as the conversion was begun that runs, and that is done.
        self._begun_as: Request | None = None
        self._done_as: Request | None = None
        #: What would help now, a button each; and whether a conversion that failed is then begun once more.
        self._remedies: tuple[Remedy, ...] = ()
        self._goes_on = False
        self.plan = ipywidgets.HTML()
        self.problems = ipywidgets.HTML()
        self.size = ipywidgets.HTML()
        self.work = Work("Convert", panel, self._failed)
        self.helps = tuple(forms.Act("") for _ in range(_MOST_REMEDIES))
        self.show_code = forms.Act("Show code")
        self.open_result = forms.Act("Open result")
        self.copies = Sections([])
        self.opened = ipywidgets.VBox()
        #: What can be done with what was written; out of sight until something is.
        self.outcome = ipywidgets.VBox([forms.row(self.open_result), self.copies])
        self.code = ipywidgets.HTML()
        self.result = ipywidgets.HTML()
        self.form = ConvertForm(model, self._refresh)
        super().__init__(children=self._layout())
        self.add_class("tfm-convert")
        self._offer_help((), goes_on=False)
        forms.show(self.outcome, shown=False)
        self._connect()
        if self.form.is_possible:
            self._refresh()

    def _layout(self) -> tuple[ipywidgets.Widget, ...]:
        start, *progress = self.work.controls
        acts = [
            forms.row(start, self.size),
            # What became of it stands at the button, before what is in the way of the next one.
            *progress,
            self.outcome,
            self.problems,
            forms.row(*self.helps),
            self.show_code,
            self.code,
            self.result,
            self.opened,
        ]
        main = ipywidgets.VBox([self.form, *(acts if self.form.is_possible else ())])
        main.add_class("tfm-form")
        aside = ipywidgets.Box([self.plan])
        aside.add_class("tfm-aside")
        return (main, aside) if self.form.is_possible else (main,)

    def _connect(self) -> None:
        self.work.start.on_click(lambda _: self._convert())
        self.work.vouch.on_click(lambda _: self._vouched())
        for place, button in enumerate(self.helps):
            button.on_click(lambda _, place=place: self._help(place))
        self.show_code.on_click(lambda _: self._show_code())
        self.open_result.on_click(lambda _: self._open())

    def arrive(self, signature: str | None = None, outputs: Sequence[str] = (), **_others: object) -> None:
        """Choose a signature, or tensors to be the outputs, that another tab speaks of."""
        if signature is not None:
            self.form.fields["signature"].value = signature
        if outputs:
            self.form.choose_outputs(outputs)

    @property
    def request(self) -> Request:
        """What the form says; raises ConversionError if that cannot be read."""
        return self.form.request

    # The plan

    def _refresh(self) -> Plan:
        """Show what the form would do now, and return it."""
        with self._lock:
            plan = self._plan()
            self.plan.value = _plan_markup(plan)
            self.problems.value = _problem_markup(plan)
            self.size.value = _size_markup(plan, is_checked=self.form.ticks["verify"].value)
            self.work.allow(allowed=not plan.problems)
            self._offer_help((each for problem in plan.problems for each in problem.remedies), goes_on=False)
        return plan

    def _rest(self) -> None:
        """Say nothing more of a plan that is done: what was written is in the way of nobody who does no more."""
        with self._lock, contextlib.suppress(errors.ConversionError):
            if self.request != self._done_as:
                # Somebody has chosen otherwise meanwhile.
                return
            self.problems.value = _problem_markup(Plan())
            self.size.value = ""
            self._offer_help((), goes_on=False)

    def _plan(self) -> Plan:
        try:
            return conversion_plan.plan(self._model, self.request, self.form.names)
        except errors.ConversionError as error:
            return Plan((Problem("", str(error)),))
        except Exception as error:  # noqa: BLE001 - a damaged model; what cannot be planned can still be tried
            return Plan(cautions=(f"what it would do is not known: {problem_line(error)}",))

    # What would help

    def _offer_help(self, remedies: Iterable[Remedy], *, goes_on: bool) -> None:
        """Show a button for each thing that would help."""
        self._remedies, self._goes_on = tuple(remedies)[:_MOST_REMEDIES], goes_on
        for place, button in enumerate(self.helps):
            if place < len(self._remedies):
                button.description = self._remedies[place].text
            forms.show(button, shown=place < len(self._remedies))

    def _help(self, place: int) -> None:
        """Change the form as a button says; after a conversion that failed, begin it once more."""
        with self._lock:
            if place >= len(self._remedies):
                return
            goes_on = self._goes_on
            for name, value in self._remedies[place].changes.items():
                self.form.take(name, value)
        # The button goes, and the focus with it: what comes next has it.
        self.work.start.focus()
        if goes_on:
            self.work.start.click()

    def _failed(self, error: BaseException | None) -> None:
        """Offer what helps after a conversion that failed."""
        if error is None or isinstance(error, errors.UntrustedCodeError):
            return
        try:
            remedies = conversion_remedies.of_error(error, self._model, self.request)
        except errors.ConversionError:
            return
        self._offer_help(remedies, goes_on=True)

    # The conversion

    def _vouched(self) -> None:
        """Do what was refused for want of trust."""
        self.form.ticks["trust"].value = True
        self.work.start.click()

    def _convert(self) -> None:
        try:
            request = self.request
            # Once more as it was: what was written is in the way now, and is said before anything is done.
            if request == self._done_as and self._refresh().problems:
                return
            options = request.options()
            self._line = magic_lines.line(request, self._panel.source)
            if "samples" in options:
                options["samples"] = input_values.evaluated(request.samples, "samples", self._panel.namespace)
        except errors.ConversionError as error:
            self.work.tell(str(error), "danger")
            return
        if self.work.begin(lambda: export_verb(self._model, request.destination, **options), self._done, _CANCELLED):
            self.result.value = ""
            self.opened.children = ()
            forms.show(self.outcome, shown=False)
            self._begun_as = request

    def _done(self, export: Export) -> str:
        self.result.value = forms.result(export)
        self._written = str(export.path)
        copies = [Copy(label="Path", text=self._written), Copy(label="Code", text=self._line)]
        self.copies.sections = [SectionData(title="", copies=copies)]
        forms.show(self.outcome, shown=True)
        self._done_as = self._begun_as
        self._rest()
        return (
            f"Written: {export.called} ({render.size_text(export.bytes)} in {export.seconds:.1f} s); "
            f"{checks.in_words(export.verification)}"
        )

    def _open(self) -> None:
        """Show what was written, in a panel below."""
        self.opened.children = (said("Reading …"),)
        threads.begin(self._show_result, "result")

    def _show_result(self) -> None:
        try:
            shown: ipywidgets.Widget = Panel(readers.read(self._written), self._panel.namespace)
        except Exception as error:  # noqa: BLE001 - as in Work: one line for whatever is there by now
            shown = said(problem_line(error))
        self.opened.children = (shown,)

    def _show_code(self) -> None:
        try:
            request = self.request
            line = magic_lines.line(request, self._panel.source)
        except errors.ConversionError as error:
            self.code.value = forms.listed("There is no code for it", [error])
            return
        self.code.value = forms.code("In a cell", line)
        threads.begin(lambda: self._add_code(request, line), "code")

    def _add_code(self, request: Request, line: str) -> None:
        """Show the code that does the same without us: making it may take tracing."""
        name = self._panel.source if self._panel.source.isidentifier() else "model"
        try:
            plain = str(code("export", self._model, request.destination, name=name, **request.options()))
        except Exception as error:  # noqa: BLE001 - as in Work: one line for whatever a model raises
            plain = f"# {problem_line(error)}"
        self.code.value = forms.code("In a cell", line) + forms.code("With TensorFlow alone", plain)


def _plan_markup(plan: Plan) -> str:
    """Return what becomes of the model, as HTML."""
    parts = [
        forms.listed("Kept", plan.kept),
        forms.listed("Lost", plan.lost),
        forms.listed("To be known", plan.cautions),
    ]
    return "".join(parts)


def _problem_markup(plan: Plan) -> str:
    """Return what stands in the way, which is said aloud."""
    problems = [f"{_label(each.field)}{each.text}" for each in plan.problems]
    return f'<div role="status">{forms.listed("In the way", problems)}</div>'


def _size_markup(plan: Plan, *, is_checked: bool) -> str:
    """Return what to expect, beside the button."""
    if plan.size is None or plan.problems:
        return ""
    checked = "; checked against the model" if is_checked else "; not checked"
    return f"<span class='tfm-quiet'>Size: {html_text(plan.size)}{checked}</span>"


def _label(field: str) -> str:
    return f"{field.capitalize()}: " if field else ""
