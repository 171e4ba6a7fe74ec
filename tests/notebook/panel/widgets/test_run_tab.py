from __future__ import annotations

import base64
import datetime as dt
import html
import io
import re
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.samples import network
from tfmagic import readers
from tfmagic.display import pictures as picture_files
from tfmagic.notebook.panel.widgets import run_tab
from tfmagic.notebook.panel.widgets.input_fields import EXPRESSION, FILE
from tfmagic.notebook.panel.widgets.protocols import Destination
from tfmagic.verbs import model_cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.samples import Built
    from tfmagic.notebook.panel.widgets.run_tab import RunTab

pytestmark = pytest.mark.tensorflow

_LONG = 60.0
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    model_cache.forget()


def tab_of(source: Any, **namespace: Any) -> RunTab:
    return run_tab.build(readers.read(source), SimpleNamespace(namespace=namespace, source="model"))


def ran(tab: RunTab) -> str:
    """Press the button, wait, and return what is said in the end."""
    tab.work.start.click()
    tab.work.wait(_LONG)
    return text(tab.work.status)


def kept(tab: RunTab) -> Any:
    """What is in the variable."""
    return tab._panel.namespace["outputs"]


def text(widget: Any) -> str:
    return html.unescape(widget.value)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def uploaded(name: str, content: bytes) -> tuple[dict[str, Any], ...]:
    return ({"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": NOW},)


@pytest.mark.parametrize(
    "name",
    ["keras_model", "module", "saved_model_tf1", "saved_model_tf2", "session", "graph_def", "keras_archive", "tflite"],
)
def test_a_model_runs_on_an_expression(samples: Built, name: str) -> None:
    namespace = {"data": X}
    tab = tab_of(samples[name], **namespace)
    (field,) = tab.fields
    field.how.value = EXPRESSION
    field.expression.value = "data + 1"
    assert ran(tab) == '<span role="status">Done.</span>'
    tab.keep.click()
    (found,) = kept(tab).values()
    np.testing.assert_allclose(found, network(X + 1), rtol=1e-5)
    # Outputs, and the three times.
    assert "warm call" in tab.result.value
    assert "loading" in tab.result.value
    assert "<td>float32</td><td>(2, 2)</td>" in tab.result.value


def test_values_that_nobody_gives_are_generated_and_said_to_be(samples: Built) -> None:
    tab = tab_of(samples["keras_model"])
    assert "Done" in ran(tab)
    assert "generated from the signature" in text(tab.result)
    assert "loaded already" not in text(tab.result)
    ran(tab)
    assert "loaded already" in text(tab.result)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("nowhere", "NameError"),
        ("1 / 0", "'1 / 0' for 'x' raises ZeroDivisionError"),
        ("data[:, :3]", "dimension 1 is 3, not 4"),
        ("['a']", "text is no number"),
        ("(_ for _ in ()).throw(SystemExit('bye'))", "SystemExit: bye"),
    ],
)
def test_what_is_wrong_with_a_value_is_one_line(samples: Built, typed: str, told: str) -> None:
    tab = tab_of(samples["keras_model"], data=X)
    tab.fields[0].how.value = EXPRESSION
    tab.fields[0].expression.value = typed
    said = ran(tab)
    assert told in said
    assert "\n" not in said
    assert not tab.work.start.is_off
    tab.fields[0].expression.value = "data"
    assert "Done" in ran(tab)


def test_a_value_that_does_not_fit_is_told_while_it_is_typed(samples: Built) -> None:
    tab = tab_of(samples["keras_model"], data=X, narrow=X[:, :3])
    field = tab.fields[0]
    field.how.value = EXPRESSION
    field.expression.value = "narrow"
    assert "dimension 1 is 3, not 4" in text(field.said)
    field.expression.value = "dat"
    assert "did you mean 'data'" in text(field.said)
    field.expression.value = "data"
    assert text(field.said) == '<span role="status"></span>'


def test_a_model_that_nobody_signed_says_so_before_it_is_run(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pbtxt").write_text(
        'meta_graphs { meta_info_def { tags: "serve" } graph_def { node { name: "a" op: "NoOp" } } }', encoding="utf-8"
    )
    tab = tab_of(tmp_path)
    assert "Nobody signed" in text(tab.work.status)
    assert tab.work.start.is_off
    (tmp_path / "idle.pbtxt").write_text('node { name: "a" op: "NoOp" }', encoding="utf-8")
    tab = tab_of(tmp_path / "idle.pbtxt")
    assert "name one among Outputs" in text(tab.work.status)
    assert not tab.work.start.is_off


def test_a_file_is_a_value(samples: Built) -> None:
    tab = tab_of(samples["keras_model"])
    field = tab.fields[0]
    field.how.value = FILE
    assert "no file is chosen for 'x'" in ran(tab)
    buffer = io.BytesIO()
    np.save(buffer, X)
    field.file.value = uploaded("x.npy", buffer.getvalue())
    assert "x.npy is chosen" in text(field.said)
    assert "Done" in ran(tab)
    tab.keep.click()
    np.testing.assert_allclose(kept(tab)["out"], network(X), rtol=1e-5)
    field.file.value = uploaded("x.json", b"[[1, 2]")
    assert "'x.json' cannot be read" in text(field.said)
    assert "'x.json' cannot be read" in ran(tab)


def test_controls_are_shown_where_they_mean_something(samples: Built) -> None:
    field = tab_of(samples["keras_model"]).fields[0]
    controls = {"expression": field.expression, "file": field.file, "pixels": field.pixels}

    def shown() -> set[str]:
        return {name for name, control in controls.items() if control.layout.display != "none"}

    assert shown() == set()
    field.how.value = EXPRESSION
    assert shown() == {"expression"}
    field.how.value = FILE
    assert shown() == {"file"}


@pytest.fixture(scope="module")
def painter() -> Any:
    """A model of pictures: twice the brightness, and scores of six classes."""
    keras = pytest.importorskip("keras")
    inputs = keras.layers.Input((8, 8, 3), name="images")
    scores = keras.layers.Dense(6, name="scores")(keras.layers.GlobalAveragePooling2D()(inputs))
    brighter = keras.layers.Rescaling(0.5, name="picture")(inputs)
    model = keras.Model(inputs, {"picture": brighter, "scores": scores})
    model.get_layer("scores").set_weights([np.zeros((3, 6), np.float32), np.arange(6, dtype=np.float32)])
    return model


def test_pictures_go_in_and_come_out(painter: Any) -> None:
    tf = pytest.importorskip("tensorflow")
    tab = tab_of(painter)
    field = tab.fields[0]
    field.how.value = FILE
    assert field.pixels.layout.display != "none"
    field.file.value = uploaded("white.png", picture_files.png(np.full((16, 16, 3), 255, np.uint8)))
    assert "Done" in ran(tab)
    # What the model gives, then what it was given.
    given, taken = re.findall(r'src="data:image/png;base64,([^"]+)"', tab.result.value)
    pixels = tf.io.decode_png(base64.b64decode(given)).numpy()
    assert pixels.shape == (8, 8, 4)
    assert set(pixels[..., :3].ravel()) == {128}
    assert set(tf.io.decode_png(base64.b64decode(taken)).numpy().ravel()) == {255}
    # The largest of the scores, largest first.
    top = re.search(r"Largest values.*?</table>", tab.result.value)
    assert top is not None
    assert re.findall(r"white.png</td><td[^>]*>(\d)</td>", top[0]) == ["5", "4", "3", "2", "1"]


def test_several_pictures_are_a_batch_shown_before_and_called_by_their_files(painter: Any, tmp_path: Path) -> None:
    tab = tab_of(painter, names=["a", "b", "c", "d", "e", "<f>"])
    field = tab.fields[0]
    for place, bright in enumerate((0, 255)):
        content = picture_files.png(np.full((16, 12, 3), bright, np.uint8))
        (tmp_path / f"p{place}.png").write_bytes(content)
    field.how.value = FILE
    contents = [(tmp_path / f"p{place}.png").read_bytes() for place in range(2)]
    field.file.value = (*uploaded("p0.png", contents[0]), *uploaded("p1.png", contents[1]))
    assert "2 files are chosen" in text(field.said)
    assert field.preview.value.count("stretched to 8\N{MULTIPLICATION SIGN}8 pixels") == 2
    field.how.value = "path"
    assert field.preview.value == ""
    field.path.value = str(tmp_path / "nowhere")
    assert "cannot be read" in text(field.said)
    field.path.value = str(tmp_path)
    assert field.preview.value.count("<figure") == 2
    tab.labels.value = "names"
    assert "Done" in ran(tab)
    run = tab._last_run
    assert run is not None
    assert run.inputs["images"].shape == (2, 8, 8, 3)
    assert run.top(1)[["row", "label"]].values.tolist() == [["p0.png", "<f>"], ["p1.png", "<f>"]]
    assert "&lt;f&gt;" in tab.result.value
    assert "<f>" not in tab.result.value
    tab.labels.value = "['a', 'b']"
    assert "there are 2 labels" in ran(tab)
    tab.labels.value = "list('uvwxyz')"
    assert "Done" in ran(tab)
    tab.labels.value = "nowhere.txt"
    assert "'nowhere.txt' cannot be read" in ran(tab)


@pytest.mark.parametrize("limit", ["soon", "0", "-1", "inf", "nan"])
def test_a_time_limit_that_is_none_is_refused(samples: Built, limit: str) -> None:
    tab = tab_of(samples["graph_def"])
    tab.timeout.value = limit
    assert "the time limit is a number of seconds above 0" in ran(tab)
    tab.timeout.value = "60"
    assert "Done" in ran(tab)


def test_other_tensors_may_be_asked_for(samples: Built) -> None:
    tab = tab_of(samples["session"], data=X)
    tab.fields[0].how.value = EXPRESSION
    tab.fields[0].expression.value = "data"
    tab.outputs.value = "hidden, y"
    assert "Done" in ran(tab)
    tab.keep.click()
    assert list(kept(tab)) == ["hidden", "y"]
    tab.outputs.value = "hiden"
    assert "did you mean 'hidden'" in ran(tab)


def test_a_variable_of_the_user_is_replaced_at_a_second_word_only(samples: Built) -> None:
    tab = tab_of(samples["keras_model"], outputs="mine")
    assert tab.keeping.layout.display == "none"
    ran(tab)
    assert tab.keeping.layout.display != "none"
    tab.keep.click()
    assert "press again" in text(tab.kept)
    assert kept(tab) == "mine"
    tab.keep.click()
    assert set(kept(tab)) == {"out"}
    # Ours is replaced by ours.
    ran(tab)
    tab.keep.click()
    assert "outputs holds 'out'" in text(tab.kept)
    for wrong in ("", "a b", "class", "<b>"):
        tab.variable.value = wrong
        tab.keep.click()
        assert "is no name" in text(tab.kept)
        assert "<b>" not in tab.kept.value


def test_a_signature_is_chosen_here_or_from_another_tab(samples: Built) -> None:
    tab = tab_of(samples["saved_model_of_keras"])
    assert isinstance(tab, Destination)
    assert tab.signature.value == "serving_default"
    tab.arrive(signature="serve")
    assert tab.signature.value == "serve"
    assert "Done" in ran(tab)
    tab.arrive(signature="nowhere", node="x")
    assert tab.signature.value == "serve"


def test_proposed_ends_are_marked(samples: Built) -> None:
    tab = tab_of(samples["graph_def"])
    assert "proposed" in tab.signature.options[0][0]
    assert [field.end.key for field in tab.fields] == ["x"]


@pytest.fixture
def with_code(tmp_path: Path) -> Path:
    keras = pytest.importorskip("keras")
    inputs = keras.layers.Input((4,), name="x")
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2, name="twice")(inputs)).save(tmp_path / "code.keras")
    return tmp_path / "code.keras"


def test_code_in_a_model_runs_on_a_word_only(with_code: Path) -> None:
    tab = tab_of(with_code, data=X)
    assert tab.trust.layout.display != "none"
    assert "trust" in ran(tab)
    assert tab.work.bar.bar_style == "danger"
    tab.trust.value = True
    tab.fields[0].how.value = EXPRESSION
    tab.fields[0].expression.value = "data"
    assert "Done" in ran(tab)
    tab.keep.click()
    np.testing.assert_allclose(kept(tab)["twice"], X * 2)


def test_an_error_that_asks_for_trust_has_a_button_that_gives_it(with_code: Path) -> None:
    tab = tab_of(with_code, data=X)
    tab.fields[0].how.value = EXPRESSION
    tab.fields[0].expression.value = "data"
    assert tab.work.vouch.layout.display == "none"
    assert "trust" in ran(tab)
    assert tab.work.vouch.layout.display != "none"
    tab.work.vouch.click()
    tab.work.wait()
    assert tab.trust.value
    assert "Done" in tab.work.status.value
    assert tab.work.vouch.layout.display == "none"


def test_the_word_also_lets_the_inputs_be_read(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")

    @keras.saving.register_keras_serializable("tests")
    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x * 2

    own = Own()
    own(X)
    own.save(tmp_path / "own.keras")
    tab = tab_of(tmp_path / "own.keras")
    tab.trust.value = True
    until(lambda: tab.fields or tab.work.bar.bar_style == "danger")
    assert len(tab.fields) == 1


def test_a_model_without_a_known_signature_says_why(samples: Built) -> None:
    tf = pytest.importorskip("tensorflow")
    tab = tab_of(tf.function(lambda x: x))
    assert not tab.fields
    assert "get_concrete_function" in text(tab.work.status) or "input_signature" in text(tab.work.status)
    del samples


def test_a_run_can_be_stopped_between_two_calls(samples: Built) -> None:
    reached, go_on = threading.Event(), threading.Event()

    class Slow(list[Any]):
        def __array__(self, *_args: Any, **_kwargs: Any) -> Any:
            reached.set()
            assert go_on.wait(_LONG)
            return X

    tab = tab_of(samples["keras_model"], slow=Slow())
    tab.fields[0].how.value = EXPRESSION
    tab.fields[0].expression.value = "slow"
    tab.work.start.click()
    assert reached.wait(_LONG)
    tab.work.stop.click()
    go_on.set()
    tab.work.wait(_LONG)
    assert "Cancelled" in text(tab.work.status)
    assert not tab.result.value


def test_names_of_a_model_are_text() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    tf = pytest.importorskip("tensorflow")
    module = tf.Module()
    call = tf.function(lambda x: {hostile: tf.zeros([8, 8, 3]) + x}, input_signature=[tf.TensorSpec([], name="x")])
    module.call = call
    tab = tab_of(module, x=1)
    tab.fields[0].how.value = FILE
    tab.fields[0].file.value = uploaded(hostile, b"")
    assert "&lt;img" in tab.fields[0].said.value
    ran(tab)
    assert "<img src=x" not in tab.work.status.value
    tab.fields[0].how.value = EXPRESSION
    tab.fields[0].expression.value = "x"
    assert "Done" in ran(tab)
    assert "<img src=x" not in tab.result.value
    assert "&lt;img src=x" in tab.result.value


def test_every_control_has_a_name(samples: Built) -> None:
    tab = tab_of(samples["keras_model"])
    field = tab.fields[0]
    controls = [
        tab.signature,
        tab.outputs,
        tab.repeat,
        tab.trust,
        tab.variable,
        tab.keep,
        tab.work.start,
        tab.work.stop,
    ]
    assert all(each.description for each in (*controls, field.how, field.expression, field.file, field.pixels))


def test_a_run_without_end_can_be_stopped() -> None:
    tf = pytest.importorskip("tensorflow")
    loop = tf.function(
        lambda x: {"y": tf.while_loop(lambda y: y < 2.0, lambda y: (y * 1.0,), (x,))[0]},
        input_signature=[tf.TensorSpec([], name="x")],
    )
    tab = tab_of(loop)
    tab.work.start.click()
    watch = tab.work._watch
    assert watch is not None
    # TensorFlow executes, and would for ever.
    until(lambda: watch._stops)
    tab.work.stop.click()
    tab.work.wait(_LONG)
    assert "Cancelled" in text(tab.work.status)
