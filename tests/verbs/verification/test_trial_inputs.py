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
    kinds = [tried.kind for tried in trial_inputs.candidates([known])]
    assert kinds == ["drawn from [0, 1)", "zeros", "ones", "the dtype's usual range"]
    arrays = [tried.arrays["image"] for tried in trial_inputs.candidates(ENDS[:1])]
    marks = [(np.shape(array), np.asarray(array).tobytes()) for array in arrays]
    assert len(set(marks)) == len(marks) > 1


def test_each_kind_holds_what_it_says() -> None:
    ends = (*ENDS, Endpoint("picture", "p:0", "float32", (None, None, None, None)))
    by_kind = {tried.kind: tried.arrays for tried in reversed(list(trial_inputs.candidates(ends, [b"message"])))}
    assert set(by_kind) == {
        "drawn from [0, 1)", "zeros", "ones", "the dtype's usual range", "larger sizes", "an image", "a sentence",
        "a serialised Example",
    }  # fmt: skip
    assert not np.any(by_kind["zeros"]["half"])
    assert np.all(by_kind["ones"]["index"])
    assert np.min(by_kind["the dtype's usual range"]["half"]) < -1
    assert np.min(by_kind["the dtype's usual range"]["index"]) < -1
    assert np.asarray(by_kind["a serialised Example"]["words"]).flat[0] == b"message"
    assert b" " in np.asarray(by_kind["a sentence"]["words"]).flat[0]
    pictures = [tried.arrays["picture"] for tried in trial_inputs.candidates(ends) if tried.kind == "an image"]
    assert np.max(pictures[-1]) > 200
    assert np.shape(pictures[-1])[-1] == 3


def test_what_is_given_is_kept_and_completed() -> None:
    ends = [Endpoint("a", "a:0", "float32", (None, 2)), Endpoint("b", "b:0", "float32", (None, 3))]
    (only,) = trial_inputs.completed(ends, {"a": [[1.0, 2.0]], "b": [[1.0, 2.0, 3.0]]})
    assert only.kind == "given"
    first = next(trial_inputs.completed(ends, {"b": np.ones((7, 3))}))
    assert first.kind == "given, and drawn from [0, 1)"
    assert list(first.arrays) == ["a", "b"]
    assert np.shape(first.arrays["a"]) == (7, 2)
