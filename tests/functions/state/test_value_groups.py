from __future__ import annotations

import pytest

from tfmagic.functions.state import value_groups


def test_groups_are_filled_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_groups, "GROUP_BYTES", 10)
    sizes = [4, 6, 1, 30, 2, None, 3, 3]
    assert list(value_groups.grouped(sizes, lambda size: size)) == [[4, 6], [1], [30], [2], [None], [3, 3]]


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [
        ("float32", (3, 4), 48), ("bfloat16", (), 2), ("bool", (0, 5), 0),
        ("string", (3,), None), ("float32", None, None), ("int8", (2, None), None),
    ],
)  # fmt: skip
def test_what_a_tensor_takes(dtype: str, shape: tuple[int | None, ...] | None, size: int | None) -> None:
    assert value_groups.tensor_bytes(dtype, shape) == size
