"""The form of the tab Convert: what a person chooses, as the request that it makes.

Inputs and outputs are rows (:mod:`tfmagic.notebook.panel.widgets.convert_ends`); what rows cannot say is a field among
more options. Not for: the plan of it, nor the conversion (:mod:`tfmagic.notebook.panel.widgets.convert_tab`).
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import errors
from tfmagic.display import card
from tfmagic.escaping import html_text
from tfmagic.graphs.signatures import METHODS, own_key
from tfmagic.models.model import Part
from tfmagic.models.quantisation import QUANTISED
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.convert_ends import Ends
from tfmagic.verbs.conversion import destinations, plan_names
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tfmagic.models.model import Model

#: The options that have a field each, in their order.
_FIELDS = ("signature", "inputs", "outputs", "bind", "method", "tags", "quantize", "samples", "batch", "keep")
_NUMBERS = ("batch", "keep")
#: The ticks that mean something in some formats only.
_TICKS = ("ema", "optimize", "select_tf_ops", "text")


class ConvertForm(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """What a person chooses.

    Parameters
    ----------
    model : Model
        The source.
    changed : callable
        Called after each change.

    Attributes
    ----------
    is_possible : bool
        Whether the model can be written in any format.
    names : Names
        What may be named.
    """

    def __init__(self, model: Model, changed: Callable[[], object]) -> None:
        self._model = model
        self._changed = changed
        self._lock = threading.RLock()
        reasons = conversion_plan.formats(model)
        self.names = _names(model)
        self._asked_for_nodes = False
        #: The path that was proposed last: one that a person typed is left alone.
        self._suggested = ""
        #: Whether inputs and outputs are rows: one signature is meant, and its ends are known.
        self._has_rows = False
        labels = conversion_plan.labels()
        possible = [format for format, reason in reasons.items() if not reason]
        self.is_possible = bool(possible)
        self.format = ipywidgets.ToggleButtons(
            description="Format",
            options=[(_short(labels[format]), format) for format in possible],
            tooltips=[labels[format] for format in possible],
            style={"button_width": "auto", **forms.STYLE},
        )
        self.destination = forms.field(ipywidgets.Text, "Destination")
        self.fields = {
            "signature": forms.field(
                ipywidgets.Combobox,
                "Signature",
                options=list(self.names.signed),
                placeholder="all of them, or the default one",
            ),
            "inputs": forms.field(ipywidgets.Text, "Inputs as text", placeholder="KEY=TENSOR, … in place of the rows"),
            "outputs": forms.field(
                ipywidgets.Text, "Outputs as text", placeholder="KEY=TENSOR, … in place of the rows"
            ),
            "bind": forms.field(ipywidgets.Text, "Bind", placeholder="inputs as constants: KEY=VALUE, …"),
            "method": forms.field(ipywidgets.Combobox, "Method", options=list(METHODS), placeholder="as it is"),
            "tags": forms.field(ipywidgets.Text, "Tags", placeholder="as they are; or serve, …"),
            "quantize": forms.field(
                ipywidgets.Dropdown, "Quantise", options=[("no", ""), *((each, each) for each in QUANTISED)]
            ),
            "samples": forms.field(
                ipywidgets.Text, "Samples", placeholder="typical inputs: an expression, an example a row"
            ),
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
        self.ends = {side: Ends(side, self._ends_changed) for side in ("inputs", "outputs")}
        self.more = ipywidgets.ToggleButton(value=False, description="More options", layout={"width": "auto"})
        self.impossible = ipywidgets.HTML(_greyed(reasons))
        self.options = ipywidgets.VBox()
        self.options.add_class("tfm-more")
        super().__init__(children=self._layout())
        self.add_class("tfm-choices")
        if possible:
            self.suggest()
            self._unfold()
            self._refresh()
            self._connect()

    def _layout(self) -> tuple[ipywidgets.Widget, ...]:
        if not self.is_possible:
            return (ipywidgets.HTML(f"<p>{html_text(card.verdict(self._model))}</p>"), self.impossible)
        # What most conversions need stands in sight: a signature where there are several to choose among.
        first = ["signature"] if len(self.names.signed) > 1 else []
        self.options.children = (
            self.ends["inputs"].add,
            *(field for name, field in self.fields.items() if name not in first),
            forms.row(*self.ticks.values()),
            self.impossible,
        )
        chosen = (self.fields[name] for name in first)
        return (self.format, self.destination, *chosen, *self.ends.values(), self.more, self.options)

    def _connect(self) -> None:
        self.format.observe(lambda _: self.suggest(), "value")
        for control in (self.format, self.destination, *self.fields.values(), *self.ticks.values()):
            control.observe(lambda _: self._told(), "value")
        for name in ("inputs", "outputs", "bind"):
            self.fields[name].observe(lambda _: self._ask_for_nodes(), "value")
        self.more.observe(lambda _: self._unfold(), "value")

    def _unfold(self) -> None:
        forms.show(self.options, shown=self.more.value)

    def _told(self) -> None:
        self._refresh()
        self._changed()

    def _ends_changed(self) -> None:
        self._ask_for_nodes()
        self._told()

    def choose_outputs(self, tensors: Sequence[str]) -> None:
        """Take tensors in the place of the outputs."""
        if self._has_rows:
            self.fields["outputs"].value = ""
            self.ends["outputs"].choose({own_key(tensor): tensor for tensor in tensors})
        else:
            self.fields["outputs"].value = ", ".join(tensors)

    # What it says

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
        for side, rows in self.ends.items():
            if side in texts and not texts[side] and self._has_rows:
                texts[side] = rows.said
        if "bind" in texts and self._has_rows and (fixed := self.ends["inputs"].constants):
            texts["bind"] = {**(plan_names.constants(texts["bind"]) or {}), **fixed}
        ticks = {name: box.value for name, box in self.ticks.items() if name not in _TICKS or name in meant}
        return Request(self.format.value, self.destination.value.strip(), **texts, **ticks)

    def suggest(self) -> None:
        """Propose a path for the format, unless the person has typed one."""
        with self._lock:
            if self.destination.value in ("", self._suggested):
                self._suggested = destinations.suggested(self._model, self.format.value)
                self.destination.value = self._suggested

    # What is seen

    def _refresh(self) -> None:
        """Show the fields that mean something now."""
        with self._lock:
            meant = conversion_plan.options_of(self.format.value, self._model)
            for name in _FIELDS:
                forms.show(self.fields[name], shown=name in meant)
            for name in _TICKS:
                forms.show(self.ticks[name], shown=name in meant)
            forms.show(self.ticks["trust"], shown=self._model.trusting is not None)
            self._offer_ends(meant)

    def _offer_ends(self, meant: Collection[str]) -> None:
        """Show the rows of the signature that is meant, if it is one; what is typed as text takes their place."""
        known = "inputs" in meant and bool(self.names.signed)
        asked = Request(self.format.value, signature=self.fields["signature"].value.strip())
        if "tags" in meant:
            asked = replace(asked, tags=self.fields["tags"].value.strip())
        ends = conversion_plan.ends_of(self._model, asked, self.names) if known else None
        self._has_rows = ends is not None
        for side, rows in self.ends.items():
            if ends is not None:
                has_layers = side == "outputs" and self._model.live is not None and self._model.is_at_hand(Part.KERAS)
                layers = self._model.layers["name"] if has_layers else ()
                rows.offer(ends.side(side), layers, can_fix="bind" in meant)
            is_shown = ends is not None and not self.fields[side].value.strip()
            forms.show(rows, shown=is_shown)
            forms.show(rows.add, shown=is_shown)

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
            self.names = plan_names.Names(self.names.signed, nodes)
        self._told()

    # What helps

    def take(self, name: str, value: Any) -> None:  # noqa: ANN401 - as fields of a request are
        """Put a value into the control that holds it."""
        if name in ("format", "destination"):
            getattr(self, name).value = value
        elif name in self.ticks:
            self.ticks[name].value = value
        elif name in self.ends and not isinstance(value, str):
            is_text = bool(self.fields[name].value.strip()) or not self._has_rows
            if is_text:
                self.fields[name].value = ", ".join(f"{key}={tensor}" for key, tensor in value.items())
            else:
                self.ends[name].choose(value)
        elif name == "bind":
            rest = {key: each for key, each in value.items() if not self.ends["inputs"].fix(key, each)}
            self.fields[name].value = ", ".join(f"{key}={each!r}" for key, each in rest.items())
        else:
            self.fields[name].value = "" if value is None else str(value)


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
    # Most are not possible for one and the same reason.
    alike: dict[str, list[str]] = {}
    for format, reason in reasons.items():
        if reason:
            alike.setdefault(reason, []).append(labels[format])
    rows = "".join(f"<li>{html_text(', '.join(each))}: {html_text(reason)}</li>" for reason, each in alike.items())
    if not rows:
        return ""
    style = "color:var(--jp-ui-font-color2, inherit)"
    return f'<details open style="{style}"><summary>Not possible</summary><ul style="margin:0">{rows}</ul></details>'


def _short(label: str) -> str:
    """Return what stands on a format's button: the rest is beside the pointer."""
    short = label.partition(" (")[0]
    return short[:1].upper() + short[1:]
