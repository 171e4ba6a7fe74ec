"""Trial values of the parts of sparse and ragged tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic.graphs.signatures import Endpoint
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.verification import trial_inputs
from tfmagic.verbs.verification.trial_composites import Ragged, Sparse, composites_of

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.frames import Shape


def sparse(*keys: str, rank: int | None = 2, count: int | None = None, dtype: str = "float32") -> tuple[Endpoint, ...]:
    shapes: tuple[Shape, ...] = ((count, rank), (count,), (rank,))
    dtypes = ("int64", dtype, "int64")
    return tuple(
        Endpoint(key, f"{key}:0", *each) for key, each in zip(keys, zip(dtypes, shapes, strict=True), strict=True)
    )


def ragged(
    name: str, *splits: int | None, rest: tuple[int | None, ...] = (), dtype: str = "int64"
) -> tuple[Endpoint, ...]:
    marks = [""] if len(splits) == 1 else [f"_{place}" for place in range(len(splits))]
    return (
        Endpoint(f"{name}_values", "v:0", "float32", (None, *rest)),
        *(
            Endpoint(f"{name}_row_splits{mark}", f"s{mark}:0", dtype, (size,))
            for mark, size in zip(marks, splits, strict=True)
        ),
    )


@pytest.mark.parametrize(
    "ends",
    [
        sparse("x_indices", "x_values", "x_dense_shape"),
        sparse("x/indices", "x/values", "x/shape", rank=3),
        sparse("x", "x_1", "x_2", rank=1),
        sparse("indices", "values", "dense_shape", rank=None, dtype="string"),
        sparse("x_indices", "x_values", "x_dense_shape", count=40),
        sparse("a b_indices", "a b_values", "a b_dense_shape", dtype="int64", rank=4),
    ],
)
def test_sparse_values_lie_in_their_shape(ends: tuple[Endpoint, ...]) -> None:
    assert [type(each) for each in composites_of(ends[::-1])] == [Sparse]
    stated = (ends[1].shape or (None,))[0]
    for attempt in trial_inputs.attempts():
        arrays = trial_inputs.make(ends[::-1], attempt)
        assert list(arrays) == [end.key for end in ends[::-1]]
        indices, values, shape = (arrays[end.key] for end in ends)
        assert indices.shape == (len(values), len(shape))
        assert stated in (None, len(values))
        assert np.all(indices >= 0)
        assert np.all(indices < shape)
        rows = [tuple(row) for row in indices.tolist()]
        assert rows == sorted(set(rows))
        assert shape[0] == attempt.first or len(shape) == 1
        assert {row[0] for row in rows} == set(range(shape[0])) or len(shape) == 1


@pytest.mark.parametrize(
    "ends",
    [
        ragged("x", None),
        ragged("x", None, None, None),
        ragged("x", 5, dtype="int32"),
        ragged("x", None, 8, rest=(3, None)),
        ragged("x", *[None] * 11),
    ],
)
def test_ragged_rows_split_their_values(ends: tuple[Endpoint, ...]) -> None:
    (tensor,) = composites_of(ends[::-1])
    assert tensor == Ragged(ends[0], ends[1:])
    for attempt in trial_inputs.attempts():
        arrays = trial_inputs.make(ends, attempt)
        lengths = [len(arrays[end.key]) - 1 for end in ends[2:]] + [len(arrays[ends[0].key])]
        for end, length in zip(ends[1:], lengths, strict=True):
            splits = arrays[end.key]
            assert splits[0] == 0
            assert splits[-1] == length
            assert np.all(np.diff(splits) >= 0)
            assert end.shape in ((None,), splits.shape)


def test_what_only_looks_like_a_part_stands_for_itself() -> None:
    plain = [
        Endpoint("x_values", "a:0", "float32", (None, 2)),
        Endpoint("x_indices", "b:0", "int64", (None,)),
        Endpoint("x", "c:0", "int64", (None, 2)),
        Endpoint("x_1", "d:0", "int64", (None,)),
        Endpoint("x_2", "e:0", "int64", (3,)),
        Endpoint("row_splits", "f:0", "float32", (None,)),
    ]
    assert composites_of(plain) == []
    assert composites_of([*plain[:2], Endpoint("x_dense_shape", "g:0", "float32", (None,))]) == []


def test_parts_follow_the_batch_that_is_given() -> None:
    dense = Endpoint("w", "w:0", "float32", (None, 3))
    ends = [dense, *sparse("x_indices", "x_values", "x_dense_shape"), *ragged("r", None)]
    tried = next(trial_inputs.completed(ends, {"w": np.ones((7, 3))})).arrays
    assert np.asarray(tried["x_dense_shape"])[0] == 7
    assert np.shape(tried["r_row_splits"]) == (8,)
    parts: dict[str, Any] = {"x_indices": [[0, 0]], "x_values": [1.0], "x_dense_shape": [4, 2]}
    assert np.shape(next(trial_inputs.completed(ends, parts)).arrays["w"]) == (4, 3)


def _sparse_function(tf: Any) -> Any:
    table = tf.Variable(np.arange(20.0, dtype=np.float32).reshape(10, 2))

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 10]), tf.TensorSpec([None, 2], name="w")])  # type: ignore[untyped-decorator]
    def multiply(x: Any, w: Any) -> Any:
        """Take ten columns and no others, which the signature does not say."""
        return {"y": tf.sparse.sparse_dense_matmul(x, table) + w}

    return multiply


def _ragged_function(tf: Any) -> Any:
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, None], ragged_rank=2)])  # type: ignore[untyped-decorator]
    def total(rows: Any) -> Any:
        checked = tf.RaggedTensor.from_nested_row_splits(rows.flat_values, rows.nested_row_splits, validate=True)
        return {"y": tf.reduce_sum(checked, [1, 2])}

    return total


@pytest.mark.tensorflow
@pytest.mark.parametrize("build", [_sparse_function, _ragged_function])
@pytest.mark.parametrize("place", ["saved", "m.pb"])
def test_such_a_model_is_verified(build: Any, place: str, tmp_path: Path) -> None:
    done = tfmagic.export(build(runtime.tensorflow()), tmp_path / place)
    assert done.verification["equal"].tolist() == [True]
    assert not [note for note in done.notes if "not verified" in note]
    assert tfmagic.verify(tmp_path / place, tmp_path / place)["equal"].tolist() == [True]
