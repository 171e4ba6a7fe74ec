"""A small picture for models that take one as a file. Not for: pictures of a user's own."""

from __future__ import annotations

import base64

from tfmagic.files.png import encoded


def png(side: int) -> bytes:
    """Return a square grey PNG, no two rows of it alike."""
    rows = (bytes((row * 37 + column * 11) % 256 for column in range(side)) for row in range(side))
    return encoded(rows, side, side, channels=1)


def text(picture: bytes) -> bytes:
    """Return a picture as text: base64 in the alphabet that TensorFlow reads, which is that of URLs."""
    return base64.urlsafe_b64encode(picture)
