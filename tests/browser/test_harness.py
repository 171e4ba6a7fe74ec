"""The harness itself: a test that says nothing when the front end is broken is worth nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Watch, is_outside

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import OpenNotebook


def test_cells_run_in_order_in_one_kernel(notebook: OpenNotebook) -> None:
    frontend = notebook(["number = 6", "number * 7"])
    assert frontend.run(0) == []
    (output,) = frontend.run(1)
    assert output["data"]["text/plain"] == "42"
    assert "42" in frontend.shown(1)


def test_completion_is_the_kernels(notebook: OpenNotebook) -> None:
    frontend = notebook(["quantity_one = quantity_two = 1", ""])
    frontend.run(0)
    assert frontend.complete(1, "quantity_") == ["quantity_one", "quantity_two"]
    assert frontend.complete(1, "quantity_on") == ["quantity_one"]


@pytest.mark.parametrize(
    ("address", "outside"),
    [
        ("http://127.0.0.1:8888/lab", False),
        ("ws://127.0.0.1:8888/api/kernels", False),
        ("blob:http://127.0.0.1:8888/x", False),
        ("data:image/png;base64,", False),
        ("https://127.0.0.1.example/lab", True),
        ("https://cdn.example/widgets.js", True),
    ],
)
def test_other_hosts_are_recognised(address: str, *, outside: bool) -> None:
    assert is_outside(address) == outside


def test_a_page_that_asks_another_host_or_fails_is_noticed(browser: Browser) -> None:
    context = browser.new_context()
    context.route("**/*", lambda route: route.abort())  # noticed, but not sent
    page = context.new_page()
    watch = Watch(page)
    page.set_content("<p>still well</p>")
    watch.check()
    page.set_content("<img src='https://elsewhere.example/pixel.png'><script>throw new Error('broken')</script>")
    context.close()
    assert watch.outside == ["https://elsewhere.example/pixel.png"]
    (error,) = watch.errors
    assert error.startswith("Error: broken")
    with pytest.raises(AssertionError, match="other hosts"):
        watch.check()
