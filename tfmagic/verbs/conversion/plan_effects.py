"""What a conversion keeps, what it loses, and how large its result will be, told without converting anything.

Only what is sure is said: it follows from the format and from tables that the model has at hand. Not for: what stands
in the way (:mod:`tfmagic.verbs.conversion.plan`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.display import render
from tfmagic.files import protos
from tfmagic.graphs import signatures
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.frames import VariableRow
    from tfmagic.models.model import Model
    from tfmagic.verbs.conversion.plan_names import Ends

_FROZEN = frozenset({"graph_def", "graph_text", "tflite", "onnx"})
_KERAS = frozenset({"keras", "h5"})
_SAVED = frozenset({"saved_model", "meta_graph", "session", "keras_file"})
#: At most so much larger than the binary form is text: a byte takes up to four characters.
_TEXT_GROWTH = 4
#: Of small results most is what the format itself takes.
_SMALL, _LARGEST_SMALL = 30_000, 100_000
#: What a training keeps beside the weights lies below such names.
_TRAINING = ("optimizer/", "_optimizer/", "optimizer.", ".OPTIMIZER_SLOT")


class Size(NamedTuple):
    """A predicted size in bytes; ``at_most`` says that it may be less, ``rest`` what is not counted."""

    bytes: int
    at_most: bool = False
    rest: str = ""

    def __str__(self) -> str:
        if self.bytes < _SMALL and not self.rest:
            return f"less than {render.size_text(_LARGEST_SMALL)}"
        return f"{'up to about' if self.at_most else 'about'} {render.size_text(self.bytes)}{self.rest}"


@dataclass(frozen=True)
class Facts:
    """What is known of a model, and what is asked for.

    Attributes
    ----------
    model : Model
        The source.
    format : str
        The format of the result.
    signed : mapping of str to Ends
        The source's signatures.
    chosen : tuple of str
        The keys of those that are written.
    batch : int or None
        The size that the batch is fixed to.
    """

    model: Model
    format: str
    signed: Mapping[str, Ends]
    chosen: tuple[str, ...]
    batch: int | None = None

    @property
    def variables(self) -> Sequence[VariableRow] | None:
        """The source's variables that come along; None where they are not known."""
        if not self.model.is_at_hand("variables"):
            return None
        try:
            rows = self.model.part(Part.VARIABLES)
        except errors.TfMagicError:
            return None
        # A training keeps more beside them, which only a copy has.
        return rows if self.is_copy else [row for row in rows if not any(mark in row.name for mark in _TRAINING)]

    @property
    def is_copy(self) -> bool:
        """Whether the result is the source's checkpoint, byte for byte."""
        return self.format == "checkpoint" and self.model.form in ("meta_graph", "saved_model")

    @property
    def weight_bytes(self) -> int | None:
        """What the variables take, None where that is not known of each."""
        sizes = None if self.variables is None else [row.bytes for row in self.variables]
        known = [size for size in sizes or () if size is not None]
        return sum(known) if sizes is not None and len(known) == len(sizes) else None

    @property
    def graph_bytes(self) -> int | None:
        """What the graph takes with its constants, None where it is not at hand."""
        if not self.model.is_at_hand("graph"):
            return None
        return int(self.model.meta_graph.bytes)

    @property
    def ends(self) -> list[Ends]:
        """The ends of the signatures that are written."""
        return [self.signed[key] for key in self.chosen if key in self.signed]

    @property
    def optimizer(self) -> Any:  # noqa: ANN401 - Keras' own
        """The optimizer of a live Keras model, None if there is none."""
        return getattr(self.model.live, "optimizer", None) if self.model.form == "keras_model" else None

    @property
    def was_trained(self) -> bool:
        """Whether a Keras file has the state of an optimizer."""
        rows = self.model.part(Part.VARIABLES) if self.model.is_at_hand("variables") else ()
        return self.model.form == "keras_file" and any(row.name.startswith("optimizer") for row in rows)


# Size


def size(facts: Facts) -> Size | None:
    """Predict the size of the result, None where nothing sure can be said."""
    weights, graph = facts.weight_bytes, facts.graph_bytes
    if facts.format == "tensorboard":
        return None if graph is None else Size(graph, at_most=True)
    if weights is None:
        # A graph without variables holds all that there is.
        if graph is None or Part.VARIABLES in facts.model.loaders:
            return None
        weights = 0
    rest = " and the graph" if graph is None else ""
    if facts.format == "graph_text":
        return Size((weights + (graph or 0)) * _TEXT_GROWTH, at_most=True, rest=rest)
    if facts.format in _KERAS | {"weights"}:
        # Keras saves an optimizer's state with the weights.
        return Size(weights + _bytes_of(facts.optimizer))
    if facts.format == "checkpoint":
        return Size(weights + ((graph or 0) if _has_meta_graph(facts.model) else 0))
    # What was saved may hold more than the outputs need: copies, counts of steps. Each signature is a function with
    # the part of the graph that it needs.
    times = max(1, len(facts.chosen)) if facts.format == "saved_model" else 1
    return Size(weights + (graph or 0) * times, at_most=facts.model.form in _SAVED or times > 1, rest=rest)


def _bytes_of(optimizer: Any) -> int:  # noqa: ANN401 - Keras' own
    """Return what an optimizer's variables take."""
    found = getattr(optimizer, "variables", ())
    listed = found() if callable(found) else found
    return sum(math.prod(each.shape) * (protos.item_size(_dtype(each)) or 0) for each in listed)


def _dtype(variable: Any) -> str:  # noqa: ANN401 - Keras' own
    return str(getattr(variable.dtype, "name", variable.dtype))


# What is kept


def kept(facts: Facts) -> list[str]:
    """Say what the result has of the source."""
    return [line for say in (_kept_signatures, _kept_values, _kept_batch, _kept_keras) for line in say(facts)]


def _kept_signatures(facts: Facts) -> Iterator[str]:
    if facts.format == "saved_model" and facts.chosen and signatures.PROPOSED not in facts.chosen:
        yield f"the signature{_s(facts.chosen)} {errors.listed(facts.chosen)}: names, order, dtypes and shapes"
    elif facts.format in _FROZEN:
        yield "the names of inputs and outputs"
    elif facts.format == "tensorboard":
        yield "the graph as it is: nodes, attributes, functions"
    elif facts.format == "checkpoint" and _has_meta_graph(facts.model):
        yield "the graph, in the .meta file"


def _kept_values(facts: Facts) -> Iterator[str]:
    found = facts.variables
    if not found or facts.format == "tensorboard":
        return
    if facts.is_copy:
        yield "the checkpoint as it is, all its values"
    elif facts.format == "weights":
        yield "the values of the weights"
    elif facts.format in _FROZEN:
        yield "the values of the variables that the outputs need, as constants"
    elif facts.format == "saved_model":
        are_known = all(row.trainable is not None for row in found)
        trained = ", each trainable or not as before" if are_known else ""
        yield f"the variables that the outputs need, as variables{trained}"
    else:
        yield "the values of the variables"


def _kept_batch(facts: Facts) -> Iterator[str]:
    if facts.batch is None and facts.format in _FROZEN | {"saved_model"} and _has_open_batch(facts.ends):
        yield "a batch of any size"


def _kept_keras(facts: Facts) -> Iterator[str]:
    if facts.format in _KERAS:
        yield "layers and their settings"
    if facts.format == "keras" and facts.optimizer is not None:
        yield "how the model is trained: optimizer, loss, metrics"


# What is lost


def lost(facts: Facts) -> list[str]:
    """Say what the source has and the result has not."""
    return [line for say in (_lost_training, _lost_signatures, _lost_graph, _lost_batch) for line in say(facts)]


def _lost_training(facts: Facts) -> Iterator[str]:
    has_variables = bool(facts.variables)
    if facts.format in _FROZEN and has_variables:
        yield "training: variables become constants"
    if facts.format == "tensorboard" and has_variables:
        yield "the values of variables"
    if facts.model.form in ("keras_model", "keras_file") and facts.format in _FROZEN | {"saved_model"}:
        yield "layers: Keras does not load the result as a model"
    if facts.was_trained or (facts.optimizer is not None and facts.format in _FROZEN | {"saved_model"}):
        yield "the optimizer and its state"


def _lost_signatures(facts: Facts) -> Iterator[str]:
    signed = [key for key in facts.signed if key != signatures.PROPOSED]
    others = [key for key in signed if key not in facts.chosen]
    if others and facts.format in _FROZEN | {"saved_model"}:
        yield f"the other signature{_s(others)}: {errors.listed(others)}"
    if signed and facts.format in ("graph_def", "graph_text"):
        yield "the signature's key and method: a graph file has no place for them"
    if signed and facts.format in ("tflite", "onnx"):
        yield "tags and the method name"
    if (
        facts.model.form == "saved_model"
        and len(facts.model.part(Part.SIGNATURES)) > 1
        and facts.format != "checkpoint"
    ):
        yield "the other tag-sets"


def _lost_graph(facts: Facts) -> Iterator[str]:
    if facts.format in ("checkpoint", "weights"):
        with_graph = facts.format == "checkpoint" and _has_meta_graph(facts.model)
        yield "signatures" if with_graph else "the graph: the result holds values and cannot run"


def _lost_batch(facts: Facts) -> Iterator[str]:
    if facts.batch is not None:
        yield f"batches of other sizes than {facts.batch}"


def _has_meta_graph(model: Model) -> bool:
    """Say whether a checkpoint of the model comes with its graph."""
    if model.form == "session":
        return True
    return model.form in ("meta_graph", "saved_model") and model.meta_graph.object_graph_def is None


def has_open_batch(end: signatures.Endpoint) -> bool:
    """Say whether an end leaves its first dimension open."""
    return end.shape is None or (len(end.shape) > 0 and end.shape[0] is None)


def _has_open_batch(signed: Sequence[Ends]) -> bool:
    return any(has_open_batch(end) for ends in signed for end in ends.inputs)


def _s(found: Sequence[object]) -> str:
    return "" if len(found) == 1 else "s"
