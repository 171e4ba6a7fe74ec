from __future__ import annotations

import logging

import pytest

from tfmagic.runtime.log_filters import held_back

LOGGER = logging.getLogger("tests.log_records")


def test_only_what_is_named_is_kept_back_and_only_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    with held_back(LOGGER, "advice", "restored"):
        LOGGER.warning("some %s", "advice")
        LOGGER.warning("restored 3")
        LOGGER.warning("a fault")
    LOGGER.warning("more advice")
    assert caplog.messages == ["a fault", "more advice"]


def test_an_error_ends_it_too() -> None:
    def fail() -> None:
        with held_back(LOGGER, "advice"):
            raise KeyError

    before = list(LOGGER.filters)
    with pytest.raises(KeyError):
        fail()
    assert LOGGER.filters == before
