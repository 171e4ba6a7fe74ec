"""Files shown as what they are, before a model is run on them: pictures, sound, text.

The browser shows a person's own files; nothing is decoded here. Not for: what a file becomes
(:mod:`tfmagic.verbs.input_files`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.display import sounds
from tfmagic.escaping import html_text
from tfmagic.verbs import input_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.verbs.input_files import File

#: Pictures that are shown, bytes of all files on their way to the browser, characters of a text.
_MOST_PICTURES, _MOST_BYTES, _MOST_TEXT = 4, 6_000_000, 400
#: Pixels on the page, of a picture as it is and as the model takes it.
_HIGH = 120
_KINDS = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".wav": "audio/wav",
    ".txt": "text/plain",
}
_RANKS = (3, 4)
_CHANNELS = (1, 3, 4)


def preview(files: Sequence[File], end: Endpoint) -> str:
    """Return HTML that shows files, pictures also as the input takes them; ``""`` for what is neither.

    Parameters
    ----------
    files : sequence of File
        What was chosen.
    end : Endpoint
        The input.
    """
    kinds = [_kind(file) for file in files]
    if kinds[0] == "text/plain":
        text = files[0].content[: 4 * _MOST_TEXT].decode(errors="replace")[:_MOST_TEXT]
        return f'<pre class="tfm-small" style="white-space:pre-wrap;margin:4px 0">{html_text(text)}</pre>'
    shown = [(file, kind) for file, kind in zip(files, kinds, strict=True) if kind][:_MOST_PICTURES]
    if not shown or sum(len(file.content) for file, _ in shown) > _MOST_BYTES:
        return ""
    if shown[0][1].startswith("audio/"):
        return _played(*shown[0])
    figures = "".join(_figure(file, kind, _size(end)) for file, kind in shown)
    left = len(files) - len(shown)
    more = f'<p class="tfm-small">and {left:,} more</p>' if left else ""
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{figures}</div>{more}'


def _kind(file: File) -> str:
    return next((kind for suffix, kind in _KINDS.items() if file.name.lower().endswith(suffix)), "")


def _size(end: Endpoint) -> tuple[int, int] | None:
    """Return height and width of the picture that an input takes, None where it takes any."""
    shape = end.shape
    if shape is None or len(shape) not in _RANKS or end.dtype.removesuffix("_ref") == "string":
        return None
    is_first = shape[-1] not in _CHANNELS and shape[-3] in _CHANNELS
    height, width = shape[-2:] if is_first else shape[-3:-1]
    return (height, width) if height and width else None


def _played(file: File, kind: str) -> str:
    """Let a sound be played, below it how long it is, which a model may mind: nothing where its file does not say."""
    caption = html_text(_name(file))
    try:
        samples, rate = np.asarray(input_files.content(file)).size, input_files.sample_rate(file)
    except errors.ConversionError:
        samples = rate = 0
    if rate:
        caption += f", {sounds.length_text(samples, rate)}"
    audio = f'<audio controls src="{_address(file, kind)}" aria-label="{caption}"></audio>'
    return f'<figure style="margin:4px 0">{audio}<figcaption class="tfm-small">{caption}</figcaption></figure>'


def _figure(file: File, kind: str, size: tuple[int, int] | None) -> str:
    """Show a picture as it is, and beside it stretched to what the input takes, which keeps no proportions."""
    address, name = _address(file, kind), html_text(_name(file))
    style = f"height:{_HIGH}px;width:auto;max-width:240px;object-fit:contain"
    images = [f'<img alt="{name}" src="{address}" style="{style}">']
    caption = name
    if size is not None:
        height, width = size
        wide = min(max(_HIGH * width / height, 1), 2 * _HIGH)
        images.append(
            f'<span aria-hidden="true">→</span><img alt="{name} as the model takes it" src="{address}" '
            f'style="height:{_HIGH}px;width:{wide:.0f}px;object-fit:fill">'
        )
        caption += f", stretched to {height}\N{MULTIPLICATION SIGN}{width} pixels"
    row = f'<div style="display:flex;align-items:center;gap:8px">{"".join(images)}</div>'
    return f'<figure style="margin:4px 0">{row}<figcaption class="tfm-small">{caption}</figcaption></figure>'


def _address(file: File, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(file.content).decode()}"


def _name(file: File) -> str:
    return file.name.replace("\\", "/").rpartition("/")[2]
