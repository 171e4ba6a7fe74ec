"""Keys of inputs and outputs as people have them, for the tests that any of them goes any way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Each of them has been somebody's trouble: what is lowered, sanitised, cut at a colon, Python's own, TensorFlow's own.
_KNOWN = (
    *("x", "X", "Image", "a feature", "_hidden", "in1", "in-2", "x:0", "y:1", "self", "class", "é", "Ünï cödé", "名前"),
    *("feature_indices", "feature_values", "feature_dense_shape", "Identity", "output_0", "inputs", "name", "a/b", "9"),
    *("args_0", "x_1", "$x", "{x}", "a'b", 'a"b', "100%", "a_b", "a-b", "a b", "²", "key=value", "a,b"),
)
#: Texts of letters and digits of any script, with marks between them.
_ANY = st.text(
    st.one_of(
        st.sampled_from("aAbB01 _-:./"),
        st.characters(codec="utf-8", categories=["Ll", "Lu", "Lo", "Nd", "Nl", "No", "Pd", "Po", "Sm", "Sc", "So"]),
    ),
    min_size=1,
    max_size=6,
)
KEYS: SearchStrategy[str] = st.one_of(st.sampled_from(_KNOWN), _ANY)


def key_lists(most: int = 5) -> SearchStrategy[list[str]]:
    """Up to so many different keys, in any order."""
    return st.lists(KEYS, min_size=1, max_size=most, unique=True)
