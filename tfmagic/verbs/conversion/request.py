"""A conversion as a form has it. Not for: what it would do (:mod:`tfmagic.verbs.conversion.plan`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfmagic.verbs.conversion import destinations, plan_names

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Request:
    """A conversion as a form has it: empty where a person says nothing.

    Attributes
    ----------
    format, destination, tags, signature, method : str
        As :func:`tfmagic.export` takes them.
    inputs, outputs : str or mapping
        ``KEY=TENSOR`` or names, joined by commas; or tensors by the keys that they are to have.
    bind : str or mapping
        ``INPUT=VALUE``, values as Python writes them, joined by commas; or values by their inputs.
    quantize : str
        As :func:`tfmagic.export` takes it.
    samples : str
        An expression over the notebook's variables, which a plan does not evaluate.
    batch, keep : int or None
        As :func:`tfmagic.export` takes them.
    ema, optimize, select_tf_ops, text, overwrite, verify, trust : bool
        As :func:`tfmagic.export` takes them.
    """

    format: str
    destination: str = ""
    tags: str = ""
    signature: str = ""
    method: str = ""
    inputs: str | Mapping[str, str] = ""
    outputs: str | Mapping[str, str] = ""
    bind: str | Mapping[str, object] = ""
    quantize: str = ""
    samples: str = ""
    batch: int | None = None
    keep: int | None = None
    ema: bool = False
    optimize: bool = False
    select_tf_ops: bool = False
    text: bool = False
    overwrite: bool = False
    verify: bool = True
    trust: bool = False

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of :func:`tfmagic.export` that say something; raises ConversionError."""
        fields: dict[str, Any] = {
            "format": None if destinations.asks_for(self.destination, self.format) else self.format,
            "tags": self.tags,
            "signature": self.signature,
            "method": self.method,
            "inputs": plan_names.parsed(self.inputs),
            "outputs": plan_names.parsed(self.outputs),
            "bind": plan_names.constants(self.bind),
            "quantize": self.quantize,
            "samples": plan_names.Expression(self.samples),
            "batch": self.batch,
            "keep": self.keep,
            "ema": self.ema,
            "optimize": self.optimize,
            "select_tf_ops": self.select_tf_ops,
            "text": self.text,
            "overwrite": self.overwrite,
            "trust": self.trust,
        }
        said = {name: value for name, value in fields.items() if value not in ("", None, False)}
        return said if self.verify else {**said, "verify": False}
