from __future__ import annotations

import io
import wave

from tfmagic.graphs.signatures import Endpoint
from tfmagic.notebook.panel import file_previews
from tfmagic.verbs.input_files import File

END = Endpoint("x", "x:0", "float32", (None,))


def sound(rate: int, samples: int, channels: int = 2) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * channels * samples))
    return content.getvalue()


def test_a_sound_is_played_and_says_its_length_and_its_rate() -> None:
    shown = file_previews.preview([File("a <b>.wav", sound(44_100, 66_150))], END)
    said = "a &lt;b&gt;.wav, 1.50 s of 44,100 samples a second"
    assert f'aria-label="{said}"></audio>' in shown
    assert f">{said}</figcaption>" in shown


def test_a_sound_that_is_none_is_called_by_its_name_alone() -> None:
    for content in (b"", b"RIFF", sound(8_000, 10)[:30]):
        shown = file_previews.preview([File("a.wav", content)], END)
        assert ">a.wav</figcaption>" in shown
