"""What a conversion keeps, what it loses, and how large its result will be, told without converting anything.

Only what is sure is said: it follows from the format and from tables that the model has at hand. Not for: what stands
in the way (:mod:`tfmagic.verbs.conversion.plan`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import signatures
from tfmagic.models.model import Part
from tfmagic.models.writer import Measures, Signatures, Variables
from tfmagic.verbs.conversion import plan_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tfmagic.findings.caution import Caution
    from tfmagic.frames import VariableRow
    from tfmagic.models.model import Model
    from tfmagic.models.writer import Size, Writer
    from tfmagic.verbs.conversion.plan_names import Ends

#: What a training keeps beside the weights lies below such names.
_TRAINING = ("optimizer/", "_optimizer/", "optimizer.", ".OPTIMIZER_SLOT")


@dataclass(frozen=True)
class Facts:
    """What is known of a model, and what is asked for.

    Attributes
    ----------
    model : Model
        The source.
    writer : Writer
        The writer of the format.
    signed : mapping of str to Ends
        The source's signatures.
    chosen : tuple of str
        The keys of those that are written.
    batch : int or None
        The size that the batch is fixed to.
    optimize : bool
        Whether the graph is frozen and optimised.
    tags : collection of str
        The tag-set of the source that is meant; none: that of servers.
    tag_sets : tuple of tuple of str
        The tag-sets of the source.
    quantize : str
        A way to quantise, or empty.
    """

    model: Model
    writer: Writer
    signed: Mapping[str, Ends]
    chosen: tuple[str, ...]
    batch: int | None = None
    optimize: bool = False
    tags: Collection[str] = ()
    tag_sets: tuple[tuple[str, ...], ...] = ()
    quantize: str = ""

    @property
    def becomes(self) -> Variables:
        """What becomes of the source's variables."""
        return Variables.CONSTANTS if self.optimize and self.writer.runs else self.writer.variables

    @property
    def variables(self) -> Sequence[VariableRow] | None:
        """The source's variables that come along; None where they are not known."""
        if not self.model.is_at_hand("variables"):
            return None
        try:
            rows: Sequence[VariableRow] = self.model.part(Part.VARIABLES)
        except errors.TfMagicError:
            return None
        # A training keeps more beside them, which only a copy has.
        if self.is_copy:
            return rows
        return [row for row in self.model.variable_rows() if not any(mark in row.name for mark in _TRAINING)]

    @property
    def is_copy(self) -> bool:
        """Whether the result is what the source has on disk, byte for byte."""
        return self.writer.is_copy(self.model)

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
    def is_keras(self) -> bool:
        """Whether the source is a model of Keras."""
        return Part.KERAS in self.model.loaders

    @property
    def optimizer(self) -> Any:  # noqa: ANN401 - Keras' own
        """The optimizer of a live Keras model, None if there is none."""
        return getattr(self.model.live, "optimizer", None) if self.is_keras else None

    @property
    def was_trained(self) -> bool:
        """Whether a Keras file has the state of an optimizer."""
        rows = self.model.part(Part.VARIABLES) if self.model.is_at_hand("variables") else ()
        return self.is_keras and self.model.live is None and any(row.name.startswith("optimizer") for row in rows)


def facts_of(  # noqa: PLR0913 - what a conversion is asked for
    model: Model,
    writer: Writer,
    signed: Mapping[str, Ends],
    *,
    signature: str | None = None,
    batch: int | None = None,
    tags: Collection[str] = (),
    optimize: bool = False,
) -> Facts:
    """Return what is known of a conversion.

    Parameters
    ----------
    model : Model
        The source, with all of its tag-sets.
    writer : Writer
        The writer of the format.
    signed : mapping of str to Ends
        The source's signatures, those of the tag-set that is meant.
    signature : str, optional
        The key that is asked for.
    batch : int, optional
        The size that the batch is fixed to.
    tags : collection of str
        The tag-set of the source that is meant.
    optimize : bool
        Whether the graph is frozen and optimised.
    """
    known = tag_sets(model)
    is_own = any(frozenset(each) == frozenset(tags) for each in known)
    chosen = chosen_keys(signed, signature, writer)
    return Facts(model, writer, signed, chosen, batch, optimize, tags if is_own else (), tuple(known))


def tag_sets(model: Model) -> list[tuple[str, ...]]:
    """Return the tag-sets of a source that may have several."""
    return [tags for tags, _ in model.part(Part.SIGNATURES)] if model.reader.has_tag_sets else []


def chosen_keys(signed: Mapping[str, Ends], signature: str | None, writer: Writer) -> tuple[str, ...]:
    """Return the keys under which the source has what is written."""
    if signature in signed:
        return (str(signature),)
    # A model that nobody signed gets whatever key is asked for.
    if writer.signatures is Signatures.MANY and not signature:
        return tuple(signed)
    default = plan_names.default_key(signed)
    return (default,) if default else ()


def remaining(known: Iterable[Caution], *, has_inputs: bool, ema: bool) -> tuple[Caution, ...]:
    """Return the cautions that hold for a result that was made: it has its values, and what is asked for answers some.

    Parameters
    ----------
    known : iterable of Caution
        Those of the source.
    has_inputs : bool
        Whether inputs are named: behind a pipeline, perhaps.
    ema : bool
        Whether moving averages are taken.
    """
    settled = {"missing-weights": True, "uninitialised": True, "input-pipeline": has_inputs, "moving-averages": ema}
    return tuple(caution for caution in known if not settled.get(caution.code))


# Size


def size(facts: Facts) -> Size | None:
    """Predict the size of the result, None where nothing sure can be said."""
    weights, graph = facts.weight_bytes, facts.graph_bytes
    if weights is None and graph is not None and Part.VARIABLES not in facts.model.loaders:
        # A graph without variables holds all that there is.
        weights = 0
    # What was saved may hold more than the outputs need: copies, counts of steps.
    measures = Measures(
        weights,
        graph,
        _bytes_of(facts.optimizer),
        len(facts.chosen),
        # Quantised, it is smaller by what nobody knows before.
        holds_more=facts.model.reader.holds_more or bool(facts.quantize),
    )
    return facts.writer.size(facts.model, measures)


def _bytes_of(optimizer: Any) -> int:  # noqa: ANN401 - Keras' own
    """Return what an optimizer's variables take."""
    variables = getattr(optimizer, "variables", ())
    listed = variables() if callable(variables) else variables
    return sum(math.prod(each.shape) * (protos.item_size(_dtype(each)) or 0) for each in listed)


def _dtype(variable: Any) -> str:  # noqa: ANN401 - Keras' own
    return str(getattr(variable.dtype, "name", variable.dtype))


# What is kept


def kept(facts: Facts) -> list[str]:
    """Say what the result has of the source."""
    lines = [line for say in (_kept_signatures, _kept_values, _kept_batch) for line in say(facts)]
    return [*lines, *facts.writer.kept(facts.model)]


def _kept_signatures(facts: Facts) -> Iterator[str]:
    if facts.writer.variables is Variables.CONSTANTS and len(facts.chosen) < 2:  # noqa: PLR2004 - several have keys
        yield "the names of inputs and outputs"
    elif facts.writer.runs and facts.chosen and signatures.PROPOSED not in facts.chosen:
        yield f"the signature{_s(facts.chosen)} {errors.listed(facts.chosen)}: names, order, dtypes and shapes"


def _kept_values(facts: Facts) -> Iterator[str]:
    variables = facts.variables
    if not variables or facts.becomes is Variables.NONE:
        return
    if facts.is_copy:
        yield "the checkpoint as it is, all its values"
    elif facts.becomes is Variables.CONSTANTS:
        yield "the values of the variables that the outputs need, as constants"
    elif facts.becomes is Variables.VARIABLES:
        are_known = all(row.trainable is not None for row in variables)
        trained = ", each trainable or not as before" if are_known else ""
        yield f"the variables that the outputs need, as variables{trained}"
    else:
        yield "the values of the variables"


def _kept_batch(facts: Facts) -> Iterator[str]:
    if facts.batch is None and facts.writer.runs and _has_open_batch(facts.ends):
        yield "a batch of any size"


# What is lost


def lost(facts: Facts) -> list[str]:
    """Say what the source has and the result has not."""
    lines = [
        line for say in (_lost_training, _lost_bits, _lost_nodes, _lost_signatures, _lost_assets) for line in say(facts)
    ]
    return [*lines, *facts.writer.lost(facts.model), *_lost_batch(facts)]


def _lost_training(facts: Facts) -> Iterator[str]:
    has_variables = bool(facts.variables)
    if facts.becomes is Variables.CONSTANTS and has_variables:
        yield "training: variables become constants"
    if facts.writer.variables is Variables.NONE and has_variables:
        yield "the values of variables"
    if facts.is_keras and facts.writer.runs:
        yield "layers: Keras does not load the result as a model"
    if facts.was_trained or (facts.optimizer is not None and facts.writer.runs):
        yield "the optimizer and its state"


def _lost_bits(facts: Facts) -> Iterator[str]:
    if facts.quantize:
        stored = "16 bits" if facts.quantize == "float16" else "8 bits"
        computed = ", and computes with them where it can" if facts.quantize == "int8" else ""
        yield f"exact numbers: the file has weights in {stored}{computed}"


def _lost_nodes(facts: Facts) -> Iterator[str]:
    if facts.optimize:
        yield "nodes between inputs and outputs, which the optimizer folds, merges and renames"


def _lost_signatures(facts: Facts) -> Iterator[str]:
    signed = [key for key in facts.signed if key != signatures.PROPOSED]
    others = [key for key in signed if key not in facts.chosen]
    if others and facts.writer.runs:
        yield f"the other signature{_s(others)}: {errors.listed(others)}"
    if signed and facts.writer.loses_of_signature:
        yield facts.writer.loses_of_signature
    if len(facts.tag_sets) > 1 and not facts.is_copy:
        wanted = frozenset(facts.tags or signatures.DEFAULT_TAGS)
        rest = [",".join(tags) for tags in facts.tag_sets if frozenset(tags) != wanted]
        yield f"the other tag-set{_s(rest)}: {errors.listed(rest)}"


def _lost_assets(facts: Facts) -> Iterator[str]:
    """Say what becomes of files beside the graph: a SavedModel has them, elsewhere the graph has their content."""
    is_file_elsewhere = facts.becomes is not Variables.VARIABLES and not facts.is_copy
    if not is_file_elsewhere or not facts.model.is_at_hand("graph"):
        return
    rows = facts.model.rows("assets")
    names = list(dict.fromkeys(() if rows is None else map(str, rows.column("filename"))))
    if names:
        inside = ", what the outputs need of their content is in the graph" if facts.writer.runs else ""
        yield f"the asset file{_s(names)} {errors.listed(names)}{inside}"


def _lost_batch(facts: Facts) -> Iterator[str]:
    if facts.batch is not None:
        yield f"batches of other sizes than {facts.batch}"


def has_open_batch(end: signatures.Endpoint) -> bool:
    """Say whether an end leaves its first dimension open."""
    return end.shape is None or (len(end.shape) > 0 and end.shape[0] is None)


def _has_open_batch(signed: Sequence[Ends]) -> bool:
    return any(has_open_batch(end) for ends in signed for end in ends.inputs)


def _s(counted: Sequence[object]) -> str:
    return "" if len(counted) == 1 else "s"
