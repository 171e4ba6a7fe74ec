from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors, progress
from tfmagic.verbs.conversion import checks as conversion_checks
from tfmagic.verbs.verification import outcome
from tfmagic.verbs.verification.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("found", "words"), [([np.inf, 0], "by infinities or NaN"), ([2.5, 0], "by up to 1.5"), ([[1.0]], "by its shape")]
)
def test_what_differs_is_worded(found: list[Any], words: str) -> None:
    compared = outcome.of_values([("y", np.array([1, 0], np.float32), np.array(found, np.float32))])
    with pytest.raises(errors.VerificationError, match=words):
        conversion_checks.require_equal({"k": compared}, "nothing was written")


def test_values_that_are_left_in_the_middle_are_let_go_at_once() -> None:
    """What yields them may be within a mode of TensorFlow's, which must end where it began."""
    ended = []

    def values() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        try:
            yield "a", np.zeros(1), np.zeros(1)
            yield "b", np.zeros(1), np.zeros(1)
        finally:
            ended.append(True)

    watch = progress.Watch(lambda _: None)
    watch.cancel()
    left = values()
    with pytest.raises(progress.CancelledError), progress.watched(watch):
        outcome.of_values(left)
    assert ended


def test_outputs_that_tell_nothing_are_worded_by_their_number() -> None:
    def reservation(*outputs: str) -> str:
        compared = Comparison([(output, np.nan, np.nan, None) for output in outputs])
        return outcome.Verification(compared).reservation

    assert reservation("y").startswith("the output 'y' is empty or has no finite value")
    assert reservation("y", "z").startswith("the outputs 'y', 'z' are empty or have no finite value")
