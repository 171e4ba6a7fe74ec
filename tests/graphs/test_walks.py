from __future__ import annotations

from tfmagic.graphs.walks import reached

AFTER = {"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": ["b"], "e": ["a"]}


def test_all_that_follows_is_reached_and_a_circle_ends() -> None:
    assert reached("a", AFTER.__getitem__) == {"a", "b", "c", "d"}
    assert reached(["d", "e"], AFTER.__getitem__) == set("abcde")
    assert reached([], AFTER.__getitem__) == set()


def test_each_name_is_followed_once() -> None:
    asked: list[str] = []

    def following(name: str) -> list[str]:
        asked.append(name)
        return AFTER[name]

    reached(["a", "a", "c"], following)
    assert sorted(asked) == ["a", "b", "c", "d"]
