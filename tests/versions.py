"""What the installed versions have: some tests are of what the oldest ones lack."""

from __future__ import annotations

from importlib import metadata

import pytest


def version_of(package: str) -> tuple[int, ...]:
    """Return the version of an installed package, its first two numbers; zero if it is not installed."""
    try:
        return tuple(int(part) for part in metadata.version(package).split(".")[:2])
    except metadata.PackageNotFoundError:
        return (0,)


#: For tests in which a thread of TensorFlow's finds no file that it may open.
needs_quiet_threads = pytest.mark.skipif(
    max(version_of("tensorflow"), version_of("tensorflow-cpu")) == (2, 18),
    reason="TensorFlow 2.18 ends the process where a new thread cannot open /dev/urandom",
)
#: For tests of layers' names in files of weights alone.
needs_layer_names = pytest.mark.skipif(
    version_of("keras") < (3, 6), reason="Keras before 3.6 writes no names of layers beside their weights"
)
