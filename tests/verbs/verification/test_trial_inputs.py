from __future__ import annotations

import numpy as np

from tfmagic.graphs.signatures import Endpoint
from tfmagic.verbs.verification import trial_inputs

ENDS = (
    Endpoint("image", "image:0", "uint8", (None, 4, 4, 3)),
    Endpoint("words", "words:0", "string", (None, None)),
    Endpoint("index", "index:0", "int64", (None,)),
    Endpoint("flag", "flag:0", "bool", ()),
    Endpoint("any", "any:0", "float32", None),
    Endpoint("wave", "wave:0", "complex64", (2,)),
    Endpoint("half", "half:0", "bfloat16", (None, 8)),
)


def test_inputs_are_made_from_a_signature() -> None:
    given = trial_inputs.make(ENDS)
    assert {key: value.shape for key, value in given.items()} == {
        "image": (2, 4, 4, 3), "words": (2, 8), "index": (2,), "flag": (), "any": (2, 8), "wave": (2,), "half": (2, 8)
    }  # fmt: skip
    assert given["image"].max() > 1
    assert set(given["index"]) <= {0, 1}
    assert given["words"][0, 1] == b"w1"


def test_inputs_are_the_same_at_every_call_and_leave_the_users_seed_alone() -> None:
    np.random.seed(1)  # noqa: NPY002 - the user's own generator
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    one, other = trial_inputs.make(ENDS), trial_inputs.make(ENDS)
    assert all(np.array_equal(one[key], other[key]) for key in one)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002


def test_no_candidate_comes_twice() -> None:
    known = Endpoint("x", "x:0", "float32", (2, 3))
    assert len(list(trial_inputs.candidates([known]))) == 1
    marks = [(given["image"].shape, given["image"].tobytes()) for given in trial_inputs.candidates(ENDS[:1])]
    assert len(set(marks)) == len(marks) > 1
