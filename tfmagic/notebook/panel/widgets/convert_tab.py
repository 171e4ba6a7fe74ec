"""The tab Convert: a form, the plan of what it says, the conversion, its result.

Not for: what a conversion would do (:mod:`tfmagic.verbs.conversion.plan`) or doing it (:mod:`tfmagic.verbs.export`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import errors, readers
from tfmagic.commands import magic_lines
from tfmagic.display import render
from tfmagic.graphs.signatures import METHODS
from tfmagic.models.model import Part
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.cancellable_work import Work
from tfmagic.notebook.panel.widgets.panel import Panel, problem_line, said
from tfmagic.notebook.panel.widgets.sections import Copy, SectionData, Sections
from tfmagic.verbs.conversion import destinations, plan_names
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.conversion.plan import Plan, Problem
from tfmagic.verbs.conversion.request import Request
from tfmagic.verbs.export import export as export_verb
from tfmagic.verbs.snippets.code import code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place
    from tfmagic.verbs.conversion.job import Export

_CANCELLED = "Cancelled: nothing was written."
#: The options that have a field each, in their order.
_FIELDS = ("signature", "inputs", "outputs", "bind", "method", "tags", "batch", "keep")
_NUMBERS = ("batch", "keep")
#: The ticks that mean something in some formats only.
_TICKS = ("ema", "optimize", "select_tf_ops", "text")


def build(model: Model, panel: Place) -> ConvertTab:
    """Build the tab."""
    return ConvertTab(model, panel)


class ConvertTab(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
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
        self._reasons = conversion_plan.formats(model)
        self._names = _names(model)
        self._asked_for_nodes = False
        self._written = ""
        #: The path that was proposed last: one that a person typed is left alone.
        self._suggested = ""
        labels = conversion_plan.labels()
        possible = [format for format, reason in self._reasons.items() if not reason]
        self.format = forms.field(
            ipywidgets.Dropdown, "Format", options=[(labels[format], format) for format in possible]
        )
        self.destination = forms.field(ipywidgets.Text, "Destination")
        self.fields = {
            "signature": forms.field(
                ipywidgets.Combobox,
                "Signature",
                options=list(self._names.signed),
                placeholder="all of them, or the default one",
            ),
            "inputs": forms.field(ipywidgets.Text, "Inputs", placeholder="those of the signature; or KEY=TENSOR, …"),
            "outputs": forms.field(ipywidgets.Text, "Outputs", placeholder="those of the signature; or KEY=TENSOR, …"),
            "bind": forms.field(ipywidgets.Text, "Bind", placeholder="inputs as constants: KEY=VALUE, …"),
            "method": forms.field(ipywidgets.Combobox, "Method", options=list(METHODS), placeholder="as it is"),
            "tags": forms.field(ipywidgets.Text, "Tags", placeholder="as they are; or serve, …"),
            "batch": forms.field(ipywidgets.Text, "Batch size", placeholder="open"),
            "keep": forms.field(ipywidgets.Text, "Keep", placeholder="a number: of numbered checkpoints so many stay"),
        }
        self.ticks = {
            "ema": forms.tick("Moving averages in place of the weights"),
            "optimize": forms.tick("Optimise: fold constants once"),
            "select_tf_ops": forms.tick("Take TensorFlow's ops where TFLite lacks them"),
            "text": forms.tick("Message as text"),
            "overwrite": forms.tick("Replace what is there"),
            "verify": forms.tick("Run both and compare", value=True),
            "trust": forms.tick("Trust the model: it may act outside itself"),
        }
        self.plan = ipywidgets.HTML()
        self.impossible = ipywidgets.HTML(_greyed(self._reasons))
        self.work = Work("Convert", panel)
        self.show_code = forms.Act("Show code")
        self.open_result = forms.Act("Open result")
        self.copies = Sections([])
        self.opened = ipywidgets.VBox()
        #: What can be done with what was written; out of sight until something is.
        self.outcome = ipywidgets.VBox([forms.row(self.open_result), self.copies, self.opened])
        self.code = ipywidgets.HTML()
        self.result = ipywidgets.HTML()
        super().__init__(children=self._layout(possible))
        self.add_class("tfm-form")
        forms.show(self.outcome, shown=False)
        self._connect()
        if possible:
            self._suggest()
            self._refresh()

    def _layout(self, possible: list[str]) -> tuple[ipywidgets.Widget, ...]:
        if not possible:
            return (ipywidgets.HTML("<p>This model cannot be written in any format.</p>"), self.impossible)
        return (
            self.format,
            self.impossible,
            self.destination,
            *self.fields.values(),
            forms.row(*self.ticks.values()),
            self.plan,
            *self.work.controls,
            self.outcome,
            self.show_code,
            self.code,
            self.result,
        )

    def _connect(self) -> None:
        self.format.observe(lambda _: self._suggest(), "value")
        for control in (self.format, self.destination, *self.fields.values(), *self.ticks.values()):
            control.observe(lambda _: self._refresh(), "value")
        for name in ("inputs", "outputs", "bind"):
            self.fields[name].observe(lambda _: self._ask_for_nodes(), "value")
        self.work.start.on_click(lambda _: self._convert())
        self.work.vouch.on_click(lambda _: self._vouched())
        self.show_code.on_click(lambda _: self._show_code())
        self.open_result.on_click(lambda _: self._open())

    def arrive(self, signature: str | None = None, outputs: Sequence[str] = (), **_others: object) -> None:
        """Choose a signature, or tensors to be the outputs, that another tab speaks of."""
        if signature is not None:
            self.fields["signature"].value = signature
        if outputs:
            self.fields["outputs"].value = ", ".join(outputs)

    # The form

    @property
    def request(self) -> Request:
        """What the form says, without what means nothing in its format.

        Raises
        ------
        ConversionError
            If a number is none.
        """
        meant = conversion_plan.options_of(self.format.value, self._model)
        texts: dict[str, Any] = {name: self.fields[name].value.strip() for name in _FIELDS if name in meant}
        for name in _NUMBERS:
            if name in texts:
                texts[name] = _number(self.fields[name].description, texts[name])
        ticks = {name: box.value for name, box in self.ticks.items() if name not in _TICKS or name in meant}
        return Request(self.format.value, self.destination.value.strip(), **texts, **ticks)

    def _suggest(self) -> None:
        """Propose a path for the format, unless the person has typed one."""
        with self._lock:
            if self.destination.value in ("", self._suggested):
                self._suggested = destinations.suggested(self._model, self.format.value)
                self.destination.value = self._suggested

    def _refresh(self) -> None:
        """Show what the form would do now."""
        with self._lock:
            meant = conversion_plan.options_of(self.format.value, self._model)
            for name in _FIELDS:
                forms.show(self.fields[name], shown=name in meant)
            for name in _TICKS:
                forms.show(self.ticks[name], shown=name in meant)
            forms.show(self.ticks["trust"], shown=self._model.trusting is not None)
            plan = self._plan()
            self.plan.value = _plan_markup(plan)
            self.work.allow(allowed=not plan.problems)

    def _plan(self) -> Plan:
        try:
            return conversion_plan.plan(self._model, self.request, self._names)
        except errors.ConversionError as error:
            return Plan((Problem("", str(error)),))
        except Exception as error:  # noqa: BLE001 - a damaged model; what cannot be planned can still be tried
            return Plan(cautions=(f"what it would do is not known: {problem_line(error)}",))

    def _ask_for_nodes(self) -> None:
        """Read the names of the graph's nodes once somebody names one: of a large graph that takes a while."""
        with self._lock:
            if self._asked_for_nodes or not self._model.is_at_hand("graph"):
                return
            self._asked_for_nodes = True
        threads.begin(self._read_nodes, "names")

    def _read_nodes(self) -> None:
        try:
            nodes = plan_names.nodes(self._model)
        except errors.TfMagicError:
            return
        with self._lock:
            self._names = plan_names.Names(self._names.signed, nodes)
        self._refresh()

    # The conversion

    def _vouched(self) -> None:
        """Do what was refused for want of trust."""
        self.ticks["trust"].value = True
        self.work.start.click()

    def _convert(self) -> None:
        try:
            request = self.request
            options = request.options()
        except errors.ConversionError as error:
            self.work.tell(str(error), "danger")
            return
        if self.work.begin(lambda: export_verb(self._model, request.destination, **options), self._done, _CANCELLED):
            self.result.value = ""
            self.opened.children = ()
            forms.show(self.outcome, shown=False)

    def _done(self, export: Export) -> str:
        self.result.value = forms.result(export)
        self._written = str(export.path)
        self.copies.sections = [SectionData(title="", copies=[Copy(label="Path", text=self._written)])]
        forms.show(self.outcome, shown=True)
        self._refresh()
        return (
            f"Written: {export.path} ({render.size_text(export.bytes)} in {export.seconds:.1f} s; {_checked(export)})"
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


def _checked(export: Export) -> str:
    """Say how what was written compares with what it was made of."""
    compared = export.verification["max_abs"].dropna()
    if not len(compared):
        return "not checked"
    largest = float(compared.max())
    return f"read back and run beside the model: largest difference {f'{largest:.2g}' if largest else '0'}"


def _names(model: Model) -> plan_names.Names:
    """Return what may be named, nothing if the model does not tell."""
    try:
        signed = plan_names.signed(model) if model.is_at_hand(Part.SIGNATURES) or model.is_at_hand(Part.GRAPH) else {}
    except Exception:  # noqa: BLE001 - a damaged model, or one that cannot be traced, has no names
        signed = {}
    return plan_names.Names(signed)


def _number(description: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal():
        raise errors.ConversionError(f"{description} is a whole number, not {text!r}; leave it empty if none is meant")
    return int(text)


def _greyed(reasons: dict[str, str]) -> str:
    """Return the formats that are not possible, in grey, and why."""
    labels = conversion_plan.labels()
    rows = "".join(
        f"<li>{forms.text(labels[format])}: {forms.text(reason)}</li>" for format, reason in reasons.items() if reason
    )
    if not rows:
        return ""
    style = "color:var(--jp-ui-font-color2, inherit)"
    return f'<details open style="{style}"><summary>Not possible</summary><ul style="margin:0">{rows}</ul></details>'


def _plan_markup(plan: Plan) -> str:
    """Return the plan as HTML; what stands in the way is said aloud."""
    problems = [f"{_label(each.field)}{each.text}" for each in plan.problems]
    parts = [
        f'<div role="status">{forms.listed("In the way", problems)}</div>',
        forms.listed("Kept", plan.kept),
        forms.listed("Lost", plan.lost),
        forms.listed("To be known", plan.cautions),
    ]
    if plan.size is not None and not plan.problems:
        parts.append(f"<p style='margin:4px 0 0'>Size: {forms.text(plan.size)}</p>")
    return "".join(parts)


def _label(field: str) -> str:
    return f"{field.capitalize()}: " if field else ""
