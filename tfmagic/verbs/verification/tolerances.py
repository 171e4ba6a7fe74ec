"""What counts as equal, as numbers and in words: for comparing, and for who asks what a comparison means.

Not for: comparing (:mod:`tfmagic.verbs.verification.comparison`), which needs numpy; the words are in every ``--help``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Relative tolerance by dtype: some hundred times its precision, as a thousand additions in another order need.
TOLERANCES: Mapping[str, float] = {
    "float64": 1e-8, "complex128": 1e-8, "float32": 1e-4, "complex64": 1e-4, "float16": 1e-2, "bfloat16": 5e-2,
}  # fmt: skip
#: The same to people.
MEANING = (
    "integers, booleans and text exactly; floats within tolerance * (|a| + max |a|), the tolerance being 1e-8 for "
    "float64, 1e-4 for float32, 1e-2 for float16, 5e-2 for bfloat16; NaN equals NaN. An output that is empty or has no "
    "finite value tells nothing, and is neither equal nor not"
)
