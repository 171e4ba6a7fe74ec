"""Fuzz one target with libFuzzer's own arguments: ``python -m tests.fuzz.one_target NAME ...``; it does not return."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["tfmagic"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
