"""Running and converting from the panel, in real front ends: what is shown, what is written, what the kernel holds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import axe
from tests.browser.panel_page import DARK, LIGHT, PanelPage
from tests.browser.served import LOAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.conftest import OpenNotebook
    from tests.browser.server import Server
    from tests.samples import Built

    Show = Callable[..., PanelPage]

pytestmark = pytest.mark.tensorflow

WORK = 120_000
#: What the element that has the focus is called.
NAMES = """() => ["aria-label", "placeholder"].map((each) => document.activeElement.getAttribute(each))"""
#: A function that takes seconds to run, so that there is time to stop it.
SLOW = """
import tensorflow as tf

@tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
def slow(x):
    _, y = tf.while_loop(lambda i, _: i < 2_000_000, lambda i, v: (i + 1, v), (0, x), parallel_iterations=1)
    return {"y": y}

slow
"""


@pytest.fixture
def sample(samples: Built, server: Server) -> Path:
    """A SavedModel of two dense layers, from ``x`` to ``y``, beside the notebooks."""
    place = server.root / "dense"
    if not place.exists():
        place.symlink_to(samples["saved_model_tf2"])
    return place


@pytest.fixture
def show(notebook: OpenNotebook) -> Show:
    """Open a notebook, run its cells up to the one that shows a panel, and return that."""

    def shown(*cells: str, panel: int = 1) -> PanelPage:
        frontend = notebook([LOAD, *cells])
        for index in range(panel + 1):
            assert [output for output in frontend.run(index) if output["output_type"] == "error"] == []
        return PanelPage(frontend, panel).wait()

    return shown


def value(panel: PanelPage, index: int) -> Any:
    """Run a cell and return what it evaluates to, as text."""
    return panel.frontend.run(index)[-1]["data"]["text/plain"]


def test_a_signature_is_run_on_an_expression(show: Show, sample: Path) -> None:
    panel = show(
        f"import numpy as np\nimages = np.ones((3, 4), 'float32')\n%tf_inspect {sample.name}",
        f"import tfmagic\nnp.allclose(tfmagic.run('{sample.name}', {{'x': images}}).outputs['y'], results['y'])",
    )
    shown = panel.open("Run")
    shown.get_by_label("Value", exact=True).select_option("a Python expression")
    shown.get_by_label("Expression").fill("imagess")
    shown.get_by_label("Expression").press("Tab")
    shown.get_by_role("button", name="Run", exact=True).click()
    shown.get_by_role("status").get_by_text("imagess").first.wait_for(timeout=WORK)
    shown.get_by_label("Expression").fill("images")
    shown.get_by_label("Expression").press("Tab")
    shown.get_by_role("button", name="Run", exact=True).focus()
    panel.frontend.page.keyboard.press("Enter")
    shown.get_by_text("(3, 2)").first.wait_for(timeout=WORK)
    # Who works by keyboard stays where the work was begun.
    assert panel.frontend.page.evaluate("document.activeElement.textContent") == "Run"
    assert "warm call" in shown.inner_text()
    shown.get_by_label("Variable").fill("results")
    shown.get_by_label("Variable").press("Tab")
    shown.get_by_role("button", name="Put outputs into it").click()
    shown.get_by_role("status").get_by_text("results").first.wait_for()
    assert axe.violations(panel.frontend.page, ".tfm-panel") == []
    assert value(panel, 2) == "True"


def test_a_model_is_converted_and_verified(show: Show, sample: Path, server: Server) -> None:
    panel = show(f"%tf_inspect {sample.name}", "import tfmagic\ntfmagic.inspect('frozen.pb').form")
    shown = panel.open("Convert")
    shown.get_by_role("group", name="Format").get_by_role("button", name="Frozen graph", exact=True).click()
    shown.get_by_role("button", name="More options").click()
    shown.get_by_label("Outputs as text").fill("z")
    shown.get_by_role("status").get_by_text("'y'").first.wait_for()
    assert shown.get_by_role("button", name="Convert", exact=True).is_disabled()
    shown.get_by_label("Outputs as text").fill("")
    shown.get_by_label("Destination").fill("frozen.pb")
    shown.get_by_text("Size:").wait_for()
    for theme in (DARK, LIGHT):
        panel.set_theme(theme)
        assert axe.violations(panel.frontend.page, ".tfm-panel") == []
    (server.root / "frozen.pb").unlink(missing_ok=True)
    shown.get_by_role("button", name="Show code").click()
    shown.get_by_text("%tf_freeze dense -o frozen.pb").first.wait_for()
    shown.get_by_role("button", name="Convert", exact=True).focus()
    panel.frontend.page.keyboard.press("Enter")
    shown.get_by_text("Written:").wait_for(timeout=WORK)
    # Who works by keyboard stays where the work was begun.
    assert panel.frontend.page.evaluate("document.activeElement.textContent") == "Convert"
    assert "max_abs" in shown.inner_text()
    assert (server.root / "frozen.pb").is_file()
    # What is there is told before it could be lost, and not before somebody wants to write there.
    exists = shown.get_by_role("status").get_by_text("exists")
    assert exists.count() == 0
    panel.frontend.page.keyboard.press("Enter")
    exists.first.wait_for()
    assert panel.frontend.page.evaluate("document.activeElement.textContent") == "Convert"
    shown.get_by_text("Written:").wait_for()
    assert value(panel, 2) == "'graph_def'"


def test_a_conversion_is_chosen_by_keyboard_alone(show: Show, sample: Path, server: Server) -> None:
    panel = show(f"%tf_inspect {sample.name}", "import tfmagic\nsorted(tfmagic.inspect('chosen').signatures['key'])")
    for place in (server.root / "chosen", server.root / "taken"):
        shutil.rmtree(place, ignore_errors=True)
    (server.root / "taken").mkdir()
    shown = panel.open("Convert")
    shown.get_by_text("Size:").wait_for()
    keys = panel.frontend.page.keyboard

    def focused() -> Any:
        return panel.frontend.page.evaluate("document.activeElement.textContent")

    def go_to(word: str) -> None:
        for _ in range(30):
            if word in panel.frontend.page.evaluate(NAMES):
                return
            keys.press("Tab")
        pytest.fail(f"no Tab leads to {word}")

    shown.get_by_role("group", name="Format").get_by_role("button").first.focus()
    go_to("Key of y")
    keys.press("Control+a")
    keys.type("scores")
    go_to("a tensor or a layer, by its name")
    keys.type("yy")
    keys.press("Enter")
    help_button = shown.get_by_role("button", name="Use y")
    help_button.wait_for()
    # A row that was added has a place of its own, and is taken away by its tick.
    shown.get_by_role("checkbox", name="yy").focus()
    keys.press("Space")
    help_button.wait_for(state="hidden")
    shown.get_by_label("Destination").fill("taken")
    shown.get_by_label("Destination").press("Tab")
    replace = shown.get_by_role("button", name="Write to")
    replace.wait_for()
    for theme in (DARK, LIGHT):
        panel.set_theme(theme)
        assert axe.violations(panel.frontend.page, ".tfm-panel") == []
    replace.focus()
    keys.press("Enter")
    replace.wait_for(state="hidden")
    assert focused() == "Convert"
    shown.get_by_label("Destination").fill("chosen")
    shown.get_by_label("Destination").press("Tab")
    shown.get_by_text("Size:").wait_for()
    shown.get_by_role("button", name="Convert", exact=True).focus()
    keys.press("Enter")
    shown.get_by_text("Written:").wait_for(timeout=WORK)
    assert focused() == "Convert"
    assert value(panel, 2) == "['scores', 'x']"


def test_a_conversion_is_cancelled_and_leaves_nothing(show: Show, server: Server) -> None:
    panel = show(
        SLOW, "%tf_inspect slow", "import os\nsorted(each for each in os.listdir() if 'halfway' in each)", panel=2
    )
    panel.wait_for_ping()
    shown = panel.open("Convert")
    shown.get_by_label("Destination").fill("halfway")
    shown.get_by_text("Size:").wait_for()
    shown.get_by_role("button", name="Convert", exact=True).click()
    shown.get_by_text("Verifying").wait_for(timeout=WORK)
    # Another tab answers meanwhile.
    panel.open("Signatures").get_by_role("heading", name="serving_default").wait_for()
    panel.tab("Convert").click()
    shown.get_by_role("button", name="Cancel").click()
    shown.get_by_text("Cancelled: nothing was written.").wait_for(timeout=WORK)
    assert shown.get_by_role("button", name="Convert", exact=True).is_enabled()
    assert value(panel, 3) == "[]"
    assert not (server.root / "halfway").exists()


def test_what_a_conversion_refuses_is_one_line(show: Show, server: Server) -> None:
    (server.root / "bare.pbtxt").write_text('node { name: "x" op: "Foreign" }', encoding="utf-8")
    panel = show("%tf_inspect bare.pbtxt")
    shown = panel.open("Convert")
    shown.get_by_label("Destination").fill("nowhere/at/all")
    shown.get_by_role("button", name="Convert", exact=True).click()
    status = shown.get_by_role("status").filter(has_text="Foreign")
    status.first.wait_for(timeout=WORK)
    assert "Traceback" not in shown.inner_text()
    assert not (server.root / "nowhere").exists()
