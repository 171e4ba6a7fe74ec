"""How long each op of a frozen graph takes: it is run as the verb run does, and timed op by op.

Not for: how long a whole call takes (:mod:`tfmagic.verbs.run`).
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.models.model import Part
from tfmagic.runtime import op_times as traces
from tfmagic.verbs.run import run

if TYPE_CHECKING:
    from tfmagic.models.model import Model

#: Calls that are timed.
_CALLS = 5


class OpTimes(NamedTuple):
    """What each op took.

    Attributes
    ----------
    seconds : dict of str to float
        By node, the median of the calls.
    calls : int
        How many those were.
    """

    seconds: dict[str, float]
    calls: int


def measured(model: Model, *, trust: bool = False) -> OpTimes:
    """Time each op of a frozen graph, on inputs that are made for it.

    Parameters
    ----------
    model : Model
        A graph without variables.
    trust : bool
        Whether it may be run though it acts outside itself.

    Raises
    ------
    ConversionError
        If the model is no frozen graph, or cannot be run.
    UntrustedCodeError
        If running it would act outside it.
    """
    if not model.variables_are_constants or Part.FUNCTION not in model.loaders:
        raise errors.ConversionError(
            f"time is measured of frozen graphs, and this is a {model.form}: freeze it, tfmagic.freeze(model), and "
            "colour the result"
        )
    tried = run(model, repeat=0, trust=trust)
    rows = model.signatures
    tensors = {(row.side, row.key): str(row.tensor) for row in rows.itertuples()}
    feeds = {tensors["input", key]: value for key, value in tried.inputs.items()}
    fetches = [tensors["output", key] for key in tried.outputs]
    calls = traces.traced(model.graph_def, feeds, fetches, _CALLS)
    names = dict.fromkeys(name for call in calls for name in call)
    return OpTimes({name: statistics.median(call.get(name, 0.0) for call in calls) for name in names}, _CALLS)
