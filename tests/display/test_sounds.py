from __future__ import annotations

import base64
import io
import wave

import numpy as np

from tfmagic.display import sounds


def test_samples_come_back_from_the_address() -> None:
    samples = np.array([[0.0, 0.5, -0.25, 1.5, np.nan, -np.inf]], np.float32)
    kind, _, data = sounds.address(samples, 8000).partition(",")
    assert kind == "data:audio/wav;base64"
    with wave.open(io.BytesIO(base64.b64decode(data))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        played = np.frombuffer(file.readframes(99), "<i2") / 32767
    np.testing.assert_allclose(played, [0, 0.5, -0.25, 1, 0, -1], atol=1 / 32767)


def test_a_long_sound_is_cut() -> None:
    address = sounds.address(np.zeros(10 * sounds.MOST_SAMPLES, np.float32), 16_000)
    assert len(base64.b64decode(address.partition(",")[2])) == 2 * sounds.MOST_SAMPLES + 44
