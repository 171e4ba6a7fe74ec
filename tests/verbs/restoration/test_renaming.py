from __future__ import annotations

import pytest

from tfmagic import errors
from tfmagic.verbs.restoration.live_variables import Target
from tfmagic.verbs.restoration.renaming import renamed
from tfmagic.verbs.restoration.stored_values import Saved

LIVE = ["model/body/kernel", "model/body/bias", "model/head/kernel", "model/own/alpha", "model/own/beta"]
STORED = ["old/encoder/kernel", "old/encoder/bias", "out/kernel", "special/vars/0", "special/vars/1"]
TARGETS = [Target(name, "float32", (), None, name) for name in LIVE]
SAVED = [Saved(f"layers/{number}/vars/0", name, "float32", ()) for number, name in enumerate(STORED)]


@pytest.mark.parametrize(
    ("rename", "expected"),
    [
        ({"old/encoder/kernel": "model/body/kernel"}, {0: 0}),
        ({"encoder/kernel": "body/kernel"}, {0: 0}),
        ({"encoder": "body"}, {0: 0, 1: 1}),
        ({"encoder/*": "body/*"}, {0: 0, 1: 1}),
        ({"enc*/bias": "body/bias"}, {1: 1}),
        ({"out": "head"}, {2: 2}),
        ({"layers/2/vars/0": "head/kernel"}, {2: 2}),
        # A layer whose weights have numbers for names in the file.
        ({"special": "own"}, {3: 3, 4: 4}),
        # What was told first counts.
        ({"out/kernel": "body/kernel", "encoder": "body"}, {0: 2, 1: 1}),
    ],
)
def test_names_in_the_file_stand_for_names_in_the_model(rename: dict[str, str], expected: dict[int, int]) -> None:
    assert renamed(rename, TARGETS, SAVED, "model") == expected


@pytest.mark.parametrize(
    ("rename", "error", "message"),
    [
        ({"encodr": "body"}, errors.UnknownNameError, "no variable of the file 'encodr'; did you mean"),
        ({"encoder": "bdy"}, errors.UnknownNameError, "no variable of the model 'bdy/kernel'; did you mean"),
        ({"*/*": "body/*"}, errors.ConversionError, "one \\* is allowed"),
        ({"encoder": "body/*"}, errors.ConversionError, "one \\* is allowed"),
    ],
)
def test_a_name_that_there_is_not_is_told(rename: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        renamed(rename, TARGETS, SAVED, "model")
