"""What a person should know before trusting a model: one list of checks, each a small function on data.

Each caution is a fact that was read, none a guess; nothing is loaded or run for it, and TensorFlow is not needed. Not
for: how a model was read, which its notes say, or what it could do to its user (:mod:`tfmagic.findings.scan`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tfmagic import errors
from tfmagic.findings import graph_cautions, input_cautions, variable_cautions
from tfmagic.findings.caution import SEVERITIES, Caution, CautionedModel, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    Check: TypeAlias = Callable[[Subject], Iterator[Caution]]

__all__ = ["CHECKS", "OF_VALUES", "Caution", "CautionedModel", "arranged", "cautions"]

CHECKS: tuple[Check, ...] = (
    graph_cautions.foreign,
    graph_cautions.python,
    graph_cautions.batch_norm_in_training,
    graph_cautions.dropout_in_training,
    graph_cautions.tables,
    graph_cautions.pipeline,
    graph_cautions.half_precision,
    input_cautions.float_ids,
    input_cautions.densified,
    input_cautions.fixed_batch,
    variable_cautions.moving_averages,
    variable_cautions.missing,
    variable_cautions.uninitialised,
    variable_cautions.untrained,
)


#: Checks for values that are not there, which a conversion that is done has answered.
OF_VALUES: tuple[Check, ...] = (variable_cautions.missing, variable_cautions.uninitialised)


def cautions(model: CautionedModel, without: Collection[Check] = ()) -> list[Caution]:
    """Return what there is to know of a model, the gravest first; what is not at hand is not asked for."""
    subject = Subject(model)
    return arranged(caution for check in CHECKS if check not in without for caution in _of(check, subject))


def arranged(known: Iterable[Caution]) -> list[Caution]:
    """Return cautions with the gravest first, and none twice."""
    return sorted(dict.fromkeys(known), key=lambda caution: -SEVERITIES.index(caution.severity))


def _of(check: Check, subject: Subject) -> list[Caution]:
    """Run a check; what is damaged, or absent, is the reader's to tell."""
    try:
        return list(check(subject))
    except (errors.TfMagicError, OSError):
        return []
