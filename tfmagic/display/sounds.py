"""Sounds: samples as WAV files that a page holds.

Not for: reading files of sound (:mod:`tfmagic.verbs.input_files`).
"""

from __future__ import annotations

import base64
import io
import wave
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

#: Samples that a page holds at most: of two bytes each, half a minute at 16,000 a second.
MOST_SAMPLES = 480_000


def length_text(samples: int, rate: int) -> str:
    """Say how long a sound of so many samples is, of which ``rate`` make up a second."""
    return f"{samples / rate:.2f} s of {rate:,} samples a second"


def address(samples: npt.NDArray[Any], rate: int) -> str:
    """Return a ``data:`` address of the first samples, one channel of 16 bits.

    Parameters
    ----------
    samples : array
        Numbers from -1 to 1; what is louder is cut.
    rate : int
        Samples a second.
    """
    loud = np.clip(np.nan_to_num(samples.reshape(-1)[:MOST_SAMPLES].astype(np.float64)), -1, 1)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(loud * np.iinfo(np.int16).max).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(content.getvalue()).decode()}"
