"""How a cost grows with the size of what it is paid for: the exponent that fits some sizes best.

1 is in proportion. Not for: measuring (:mod:`tests.benchmarks.jobs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What issue 20 asks for: more is a fault.
MOST = 1.15


def exponent(seconds: Mapping[float, float]) -> float:
    """Return the exponent of the power of the size that fits the seconds best."""
    sizes, times = (np.log(list(each)) for each in (seconds.keys(), seconds.values()))
    return float(np.polyfit(sizes, times, 1)[0])


def report(title: str, seconds: Mapping[float, float]) -> None:
    """Print the seconds by size, and the exponent."""
    fitted = exponent(seconds)
    row = "  ".join(f"{size:,g}: {taken:.3f} s" for size, taken in seconds.items())
    print(f"  {title:<44} exponent {fitted:5.2f}{' (a fault)' if fitted > MOST else ''}   {row}", flush=True)
