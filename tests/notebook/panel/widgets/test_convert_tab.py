from __future__ import annotations

import html
import importlib.util
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tfmagic
from tests.samples import network
from tfmagic import errors, progress, readers
from tfmagic.display import render
from tfmagic.notebook.panel.widgets import convert_tab
from tfmagic.notebook.panel.widgets.protocols import Destination
from tfmagic.runtime.tensorflow import tensorflow
from tfmagic.verbs.conversion import remedies
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from tests.samples import Built
    from tfmagic.notebook.panel.widgets.convert_ends import EndRow
    from tfmagic.notebook.panel.widgets.convert_tab import ConvertTab

pytestmark = pytest.mark.tensorflow

_LONG = 60.0


def tab_of(source: Any, name: str = "model", **namespace: Any) -> ConvertTab:
    return convert_tab.build(readers.read(source), SimpleNamespace(namespace=namespace, source=name))


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def converted(tab: ConvertTab) -> str:
    """Press the button, wait, and return what is said in the end."""
    assert not tab.work.start.is_off
    tab.work.start.click()
    tab.work.wait(_LONG)
    return text(tab.work.status)


def text(widget: Any) -> str:
    return html.unescape(widget.value)


def planned(tab: ConvertTab) -> str:
    """Return what is said of the plan, beside the form and at its button."""
    return text(tab.problems) + text(tab.plan)


def helping(tab: ConvertTab) -> list[str]:
    return [each.description for each in tab.helps if each.layout.display != "none"]


def press(tab: ConvertTab, name: str) -> None:
    next(each for each in tab.helps if each.description == name and each.layout.display != "none").click()


def row_of(tab: ConvertTab, side: str, name: str) -> EndRow:
    found: list[EndRow] = [row for row in tab.form.ends[side].rows.children if row.name == name]
    return found[0]


def shown(tab: ConvertTab) -> set[str]:
    return {name for name, field in tab.form.fields.items() if field.layout.display != "none"}


def hidden_files(directory: Path) -> list[str]:
    return [each.name for each in directory.rglob(".*")]


def test_the_formats_of_this_model_and_why_not_the_others(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["module"])
    found = [value for _, value in tab.form.format.options]
    # ONNX is written where its library is installed.
    assert [each for each in found if each != "onnx"] == [
        *("saved_model", "graph_def", "graph_text", "checkpoint", "tflite", "tensorboard")
    ]
    assert ("onnx" in found) == (importlib.util.find_spec("tf2onnx") is not None)
    keras = "Keras (.keras), Keras in HDF5 (.h5), weights of Keras (.weights.h5)"
    assert f"{keras}: this function has no layers of Keras" in text(tab.form.impossible)
    del in_tmp_path


def test_a_model_that_becomes_nothing_has_no_form(samples: Built) -> None:
    tab = tab_of(samples["checkpoint_of_objects"])
    assert not tab.form.is_possible
    assert tab.work.start not in tab.children[0].children
    assert "ONNX (.onnx): this checkpoint has no 'function', 'graph'" in text(tab.form.impossible)
    assert text(tab.form.impossible).count("<li>") < 5
    assert "name the model that they belong to" in text(tab.form.children[0])


def test_the_form_follows_the_format(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    assert tab.form.destination.value == "network"
    assert shown(tab) == {"signature", "inputs", "outputs", "bind", "method", "tags", "batch"}
    tab.form.format.value = "checkpoint"
    assert tab.form.destination.value == "network.ckpt"
    assert shown(tab) == {"keep"}
    tab.form.destination.value = "mine.keras"
    assert "In the way" in planned(tab)
    assert tab.work.start.is_off
    tab.form.format.value = "keras"
    assert tab.form.destination.value == "mine.keras"
    assert shown(tab) == set()
    assert not tab.work.start.is_off
    del in_tmp_path


def test_optimising_is_a_tick_where_it_means_something(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    tab.form.ticks["optimize"].value = True
    assert "optimizer folds" in planned(tab)
    tab.form.format.value = "keras"
    assert tab.form.ticks["optimize"].layout.display == "none"
    assert "optimizer folds" not in planned(tab)
    tab.form.format.value = "graph_def"
    assert tab.form.ticks["optimize"].layout.display != "none"
    assert "Written" in converted(tab)
    assert "optimised: ops" in text(tab.result)
    del in_tmp_path


def test_a_tflite_file_is_quantised_for_samples_of_the_notebook(samples: Built, in_tmp_path: Path) -> None:
    photos = np.random.default_rng(0).random((9, 4), dtype=np.float32)
    tab = tab_of(samples["keras_model"], photos=photos)
    assert "quantize" not in shown(tab)
    tab.form.format.value = "tflite"
    assert {"quantize", "samples"} <= shown(tab)
    tab.form.fields["quantize"].value = "int8"
    assert "needs typical inputs" in planned(tab)
    assert tab.work.start.is_off
    tab.form.fields["samples"].value = "photos * 2"
    assert not tab.work.start.is_off
    assert "exact numbers" in planned(tab)
    tab.show_code.click()
    until(lambda: "representative_dataset" in text(tab.code))
    assert '--quantize int8 --samples "photos * 2"' in text(tab.code)
    assert "(photos * 2)[number : number + 1]" in text(tab.code)
    assert "Written" in converted(tab)
    assert "on 9 samples" in text(tab.result)
    tab.form.ticks["overwrite"].value = True
    tab.form.fields["samples"].value = "pictures"
    tab.work.start.click()
    until(lambda: "'pictures' for 'samples' raises NameError" in text(tab.work.status))
    del in_tmp_path


def test_what_was_typed_for_another_format_is_not_asked_for(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    tab.form.fields["method"].value = "classify"
    tab.form.fields["batch"].value = "4"
    tab.form.format.value = "weights"
    assert "Written" in converted(tab)
    assert [each.name for each in in_tmp_path.iterdir()] == ["network.weights.h5"]


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("signature", "serving", "'serving_default'"),
        ("inputs", "x_1", "did you mean"),
        ("outputs", "scores=", "KEY=TENSOR"),
        ("bind", "half", "INPUT=VALUE"),
        ("batch", "many", "whole number"),
    ],
)
def test_a_wrong_name_is_told_while_it_is_typed(
    samples: Built, in_tmp_path: Path, field: str, typed: str, told: str
) -> None:
    tab = tab_of(samples["saved_model_tf2"])
    tab.form.fields[field].value = typed
    until(lambda: told in planned(tab))
    assert tab.work.start.is_off
    tab.form.fields[field].value = ""
    assert not tab.work.start.is_off
    del in_tmp_path


def test_a_tensor_that_is_no_key_is_looked_up_in_the_graph(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["session"])
    tab.form.fields["outputs"].value = "hiden/kernel"
    until(lambda: "did you mean 'hidden/kernel'" in planned(tab))
    tab.form.fields["outputs"].value = "features=hidden"
    assert not tab.work.start.is_off
    assert "Written" in converted(tab)
    saved = readers.read(in_tmp_path / "model")
    assert set(saved.signatures["key"]) == {"x", "features"}


def test_a_tensor_that_the_graph_speaks_of_becomes_the_output(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["session"])
    tab.arrive(outputs=("hidden:0",))
    assert not tab.work.start.is_off
    assert "Written" in converted(tab)
    signatures = readers.read(in_tmp_path / "model").signatures
    assert list(signatures[signatures["side"] == "output"]["key"]) == ["hidden"]


def test_a_layer_that_the_graph_speaks_of_becomes_the_output(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    tab.arrive(outputs=("hidden",), signature=None)
    assert row_of(tab, "outputs", "hidden").tick.value
    assert not row_of(tab, "outputs", "out").tick.value
    assert "Written" in converted(tab)
    assert list(readers.read(in_tmp_path / "network").signatures["key"]) == ["x", "hidden"]
    # Once the graph was traced, too, the name is known.
    assert "no tensor" not in planned(tab)


def test_the_result_is_written_checked_and_shown(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    tab.form.fields["signature"].value = "classify"
    tab.form.fields["inputs"].value = "images=x"
    tab.form.fields["outputs"].value = "scores=out"
    tab.form.fields["method"].value = "classify"
    tab.form.ticks["verify"].value = True
    said = converted(tab)
    # As it was named in the form; what is copied is whole.
    assert "Written: network (" in said
    assert tab.work.bar.bar_style == "success"
    # The verification's row, and what servers want otherwise.
    assert "<td>True</td>" in tab.result.value
    assert "largest difference" in tab.work.status.value
    assert "tfm-good" in tab.work.status._dom_classes
    assert tab.copies.sections[0]["copies"][0]["text"] == str(in_tmp_path / "network")
    tab.open_result.click()
    for thread in [each for each in threading.enumerate() if each.name.startswith("tfmagic ")]:
        thread.join(60)
    (opened,) = tab.opened.children
    assert "Model" in opened.tabs.titles
    assert "look for the input 'inputs'" in text(tab.result)
    x = np.ones((2, 4), np.float32)
    done = tfmagic.run(in_tmp_path / "network", {"images": x}, signature="classify")
    np.testing.assert_allclose(done.outputs["scores"], network(x), rtol=1e-5)
    # That it is there now is in the way of who wants the same once more, and of nobody else.
    assert "exists" not in planned(tab)
    assert helping(tab) == []
    assert "Written" in converted(tab)
    assert "exists" in planned(tab)
    assert tab.outcome.layout.display is None
    assert tab.work.start.is_off
    press(tab, "Replace what is there")
    assert "exists" not in planned(tab)
    before = (in_tmp_path / "network" / "saved_model.pb").stat().st_ino
    assert "Written" in converted(tab)
    assert (in_tmp_path / "network" / "saved_model.pb").stat().st_ino != before


def test_what_is_chosen_while_a_conversion_runs_is_planned_once_it_is_done(
    samples: Built, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = tab_of(samples["keras_model"])
    tab.form.format.value = "keras"
    monkeypatch.setattr(progress.Watch, "begin", lambda *_: setattr(tab.form.destination, "value", "m.pb"))
    assert "Written" in converted(tab)
    assert "In the way" in planned(tab)
    assert tab.work.start.is_off
    del in_tmp_path


def test_an_error_is_one_line_and_the_form_stays(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    tab.form.format.value = "graph_def"
    (in_tmp_path / "network.pb").mkdir()
    # Nobody has looked since.
    said = converted(tab)
    assert "exists" in said
    assert "Traceback" not in said
    assert tab.work.bar.bar_style == "danger"


@pytest.mark.parametrize("stage", ["tracing", "converting", "writing", "verifying"])
def test_cancelling_leaves_what_was_there(
    samples: Built, in_tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_tmp_path / "network.keras").write_bytes(b"old")
    tab = tab_of(samples["keras_model"])
    tab.form.format.value = "keras"
    tab.form.destination.value = "network.keras"
    tab.form.ticks["overwrite"].value = True
    reached, go_on = threading.Event(), threading.Event()
    begin = progress.Watch.begin

    def slow(watch: progress.Watch, found: progress.Stage) -> None:
        begin(watch, found)
        if found.name == stage:
            reached.set()
            assert go_on.wait(_LONG)

    monkeypatch.setattr(progress.Watch, "begin", slow)
    tab.work.start.click()
    assert reached.wait(_LONG)
    assert stage in text(tab.work.status).lower()
    tab.work.stop.click()
    go_on.set()
    tab.work.wait(_LONG)
    assert "Cancelled: nothing was written." in text(tab.work.status)
    assert (in_tmp_path / "network.keras").read_bytes() == b"old"
    assert not hidden_files(in_tmp_path)
    assert "Written" in converted(tab)


def test_the_code_does_what_the_form_says(samples: Built, shell: InteractiveShell) -> None:
    shell.user_ns["net"] = samples["keras_model"]
    tab = tab_of(samples["keras_model"], "net")
    tab.form.destination.value = "my net"
    tab.form.fields["signature"].value = "serving_default"
    tab.show_code.click()
    until(lambda: "With TensorFlow alone" in text(tab.code))
    line = '%tf_export net "my net" --signature serving_default'
    assert line in text(tab.code)
    assert "tf.saved_model.save(module, 'my net'" in text(tab.code)
    assert not list(Path().iterdir())
    shell.run_cell(line).raise_error()  # type: ignore[no-untyped-call]
    assert Path("my net/saved_model.pb").exists()


def test_an_input_is_bound_in_its_field(shell: InteractiveShell) -> None:
    tf = tensorflow()
    specs = [tf.TensorSpec([None], name="x"), tf.TensorSpec([2], name="rates")]
    scale = tf.function(lambda x, rates: {"y": x * rates[0] + rates[1]}, input_signature=specs)
    shell.user_ns["scale"] = scale
    tab = tab_of(scale, "scale", scale=scale)
    tab.form.destination.value = "fixed"
    tab.form.fields["bind"].value = "rates=[2.0, 5.0], z=1"
    until(lambda: "'z'" in planned(tab))
    assert tab.work.start.is_off
    tab.form.fields["bind"].value = "rates=[2.0, 5.0]"
    tab.show_code.click()
    until(lambda: "%tf_export" in text(tab.code))
    line = '%tf_export scale fixed --bind "rates=[2.0, 5.0]"'
    assert line in text(tab.code)
    assert "Written" in converted(tab)
    assert tfmagic.run("fixed", {"x": [1.0]}).outputs["y"].tolist() == [7.0]
    shell.run_cell(f"{line} --overwrite").raise_error()  # type: ignore[no-untyped-call]
    assert tfmagic.run("fixed", {"x": [1.0]}).outputs["y"].tolist() == [7.0]


def test_inputs_and_outputs_are_ticked_and_renamed_in_rows(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["session"])
    rows = {side: [row.name for row in ends.rows.children] for side, ends in tab.form.ends.items()}
    assert rows == {"inputs": ["x"], "outputs": ["y"]}
    # As long as nothing is changed, nothing is said: the source's own signature is meant.
    assert not tab.request.inputs
    assert not tab.request.outputs
    row_of(tab, "inputs", "x").key.value = "images, all"
    row_of(tab, "outputs", "y").key.value = "scores"
    tab.form.ends["outputs"].add.value = "hidden:0"
    assert tab.form.ends["outputs"].add.value == ""
    assert tab.request.outputs == {"scores": "y", "hidden": "hidden:0"}
    assert "Written" in converted(tab)
    assert set(readers.read(in_tmp_path / "model").signatures["key"]) == {"images, all", "scores", "hidden"}
    row_of(tab, "outputs", "y").tick.value = False
    assert tab.request.outputs == {"hidden": "hidden:0"}
    row_of(tab, "outputs", "hidden:0").tick.value = False
    assert "no output is ticked" in planned(tab)
    assert tab.work.start.is_off
    row_of(tab, "outputs", "hidden:0").tick.value = row_of(tab, "outputs", "y").tick.value = True
    row_of(tab, "outputs", "hidden:0").key.value = "scores"
    assert "given twice" in planned(tab)


def test_what_is_typed_as_text_takes_the_place_of_rows(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["session"])
    row_of(tab, "outputs", "y").key.value = "scores"
    tab.form.fields["outputs"].value = "features=hidden"
    assert str(tab.request.outputs) == "features=hidden"
    assert tab.form.ends["outputs"].layout.display == "none"
    tab.form.fields["outputs"].value = ""
    assert tab.form.ends["outputs"].layout.display != "none"
    assert tab.request.outputs == {"scores": "y"}
    # A format without signatures has no rows.
    tab.form.format.value = "checkpoint"
    assert tab.form.ends["outputs"].layout.display == "none"
    del in_tmp_path


def test_rows_are_those_of_the_signature_that_is_meant(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["saved_model_of_keras"])
    assert len(tab.form.names.signed) > 1
    assert tab.form.fields["signature"] in tab.form.children
    assert tab.form.ends["inputs"].layout.display == "none"
    tab.form.fields["signature"].value = "serve"
    assert tab.form.ends["inputs"].layout.display != "none"
    ends = tab.form.names.signed["serve"]
    assert [row.name for row in tab.form.ends["inputs"].rows.children] == [end.key for end in ends.inputs]
    tab.form.fields["signature"].value = ""
    tab.form.format.value = "graph_def"
    default = [row.name for row in tab.form.ends["inputs"].rows.children]
    assert default == [end.key for end in tab.form.names.signed["serving_default"].inputs]
    del in_tmp_path


def test_of_a_thousand_inputs_the_first_are_rows_and_all_are_kept(in_tmp_path: Path) -> None:
    tf = tensorflow()
    specs = [tf.TensorSpec([None], name=f"x{place:03}") for place in range(60)]
    summed = tf.function(lambda *args: {"y": tf.add_n(args)}, input_signature=specs)
    tab = tab_of(summed)
    rows = tab.form.ends["inputs"].rows.children
    assert len(rows) == 24
    assert "36 more" in tab.form.ends["inputs"]._title.value
    rows[0].key.value = "first"
    assert len(tab.request.inputs) == 60
    del in_tmp_path


def test_an_input_that_is_not_ticked_is_fixed_at_a_value(in_tmp_path: Path) -> None:
    tf = tensorflow()
    specs = [tf.TensorSpec([None], name="x"), tf.TensorSpec([2], name="rates")]
    scale = tf.function(lambda x, rates: {"y": x * rates[0] + rates[1]}, input_signature=specs)
    tab = tab_of(scale, "scale")
    tab.form.destination.value = "fixed"
    row = row_of(tab, "inputs", "rates")
    assert (row.key.layout.display, row.value.layout.display) == (None, "none")
    row.tick.value = False
    assert (row.key.layout.display, row.value.layout.display) == ("none", None)
    row.value.value = "two and five"
    assert "is no value" in planned(tab)
    assert tab.work.start.is_off
    row.value.value = "[2.0, 5.0]"
    assert tab.request.bind == {"rates": [2.0, 5.0]}
    assert "Written" in converted(tab)
    assert tfmagic.run("fixed", {"x": [1.0]}).outputs["y"].tolist() == [7.0]
    del in_tmp_path


def test_an_error_offers_to_fix_the_input_that_is_missing(in_tmp_path: Path) -> None:
    tf = tensorflow()
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder("float32", [None, 2], "x")
        keep = tf.compat.v1.placeholder("float32", [], "keep_prob")
        tf.multiply(x, keep, "y")
        with tf.compat.v1.Session(graph=graph) as session:
            tab = tab_of(session)
            row_of(tab, "inputs", "keep_prob").tick.value = False
            said = converted(tab)
            assert "keep_prob" in said
            assert helping(tab) == ["Fix keep_prob at 1.0"]
            press(tab, "Fix keep_prob at 1.0")
            tab.work.wait(_LONG)
            assert row_of(tab, "inputs", "keep_prob").value.value == "1.0"
            assert "Written" in text(tab.work.status)
            assert not [each for each in helping(tab) if "Fix" in each]
    assert list(readers.read(in_tmp_path / "model").signatures["key"]) == ["x", "y"]
    np.testing.assert_allclose(tfmagic.run("model", {"x": [[3.0, 4.0]]}).outputs["y"], [[3.0, 4.0]])


def test_a_destination_that_is_there_offers_to_replace_it_or_another(samples: Built, in_tmp_path: Path) -> None:
    (in_tmp_path / "network").mkdir()
    tab = tab_of(samples["keras_model"])
    tab.form.destination.value = "network"
    assert helping(tab) == ["Replace what is there", "Write to network_1"]
    press(tab, "Write to network_1")
    assert tab.form.destination.value == "network_1"
    assert helping(tab) == []
    tab.form.destination.value = "network"
    press(tab, "Replace what is there")
    assert tab.form.ticks["overwrite"].value
    assert not tab.work.start.is_off
    tab.form.destination.value = "mine.keras"
    press(tab, "Write it as Keras (.keras)")
    assert tab.form.format.value == "keras"
    assert not tab.work.start.is_off


def test_what_cannot_be_is_not_offered(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["session"])
    tab.form.destination.value = "mine.keras"
    assert "In the way" in planned(tab)
    assert helping(tab) == []
    del in_tmp_path


def test_a_name_that_is_nearly_right_is_offered(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["session"])
    tab.form.ends["outputs"].add.value = "hiden/kernel"
    until(lambda: "Use hidden/kernel" in helping(tab))
    press(tab, "Use hidden/kernel")
    assert not tab.work.start.is_off
    assert tab.request.outputs == {"y": "y", "hiden/kernel": "hidden/kernel"}
    tab.form.fields["outputs"].value = "a=hiden/kernel"
    until(lambda: "Use hidden/kernel" in helping(tab))
    press(tab, "Use hidden/kernel")
    assert tab.form.fields["outputs"].value == "a=hidden/kernel"
    del in_tmp_path


def test_a_signature_that_has_to_be_chosen_is_offered(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["saved_model_of_keras"])
    tab.form.fields["signature"].value = "serv"
    assert "Use serve" in helping(tab)
    press(tab, "Use serve")
    assert tab.request.signature == "serve"
    del in_tmp_path


def test_a_check_that_fails_offers_to_go_without(samples: Built, in_tmp_path: Path, monkeypatch: Any) -> None:
    def differ(*_: Any, **options: Any) -> Any:
        if options.get("verify") is not False:
            raise errors.VerificationError("the result differs", pd.DataFrame())
        raise errors.WriteError("no more room")

    monkeypatch.setattr(convert_tab, "export_verb", differ)
    tab = tab_of(samples["keras_model"])
    assert "differs" in converted(tab)
    press(tab, "Convert without the check")
    tab.work.wait(_LONG)
    assert "no more room" in text(tab.work.status)
    assert not tab.form.ticks["verify"].value
    del in_tmp_path


def test_names_of_a_model_press_no_button_for_trust(in_tmp_path: Path) -> None:
    name = "evil_(--trust_on_a_magic's_line)_(--overwrite)"
    message = errors.ConversionError(f"no tensor {name!r}; allow it with trust=True (--trust)")
    model: Any = None
    assert remedies.of_error(message, model, Request("saved_model", "out")) == ()
    del in_tmp_path


def test_code_that_there_is_none_of_is_said(samples: Built, in_tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx")
    tab = tab_of(samples["keras_model"])
    tab.form.format.value = "onnx"
    tab.show_code.click()
    until(lambda: "stock TensorFlow writes none of it" in text(tab.code))
    tab.form.fields["outputs"].value = "a=out, a=out"
    tab.show_code.click()
    assert "given twice" in text(tab.code)
    del in_tmp_path


def test_another_tab_may_choose_the_signature(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["saved_model_of_keras"])
    assert isinstance(tab, Destination)
    tab.arrive(signature="serve")
    assert tab.request.signature == "serve"
    assert "'serving_default'" in planned(tab).split("Lost")[1]
    tab.arrive(node="x")
    del in_tmp_path


@pytest.fixture
def with_code(tmp_path: Path) -> Path:
    keras = pytest.importorskip("keras")
    inputs = keras.layers.Input((4,), name="x")
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(tmp_path / "code.keras")
    return tmp_path / "code.keras"


def test_code_in_a_file_runs_on_a_word_only(with_code: Path, in_tmp_path: Path) -> None:
    tab = tab_of(with_code, "code.keras")
    assert tab.form.ticks["trust"].layout.display != "none"
    said = converted(tab)
    assert "trust" in said
    assert [each.name for each in in_tmp_path.iterdir()] == ["code.keras"]
    tab.form.ticks["trust"].value = True
    assert "Written" in converted(tab)


def test_an_error_that_asks_for_trust_has_a_button_that_gives_it(with_code: Path, in_tmp_path: Path) -> None:
    tab = tab_of(with_code, "code.keras")
    vouch = tab.work.vouch
    assert vouch.layout.display == "none"
    assert "trust" in converted(tab)
    assert vouch.layout.display != "none"
    assert [each.name for each in in_tmp_path.iterdir()] == ["code.keras"]
    vouch.click()
    tab.work.wait(_LONG)
    assert tab.form.ticks["trust"].value
    assert "Written" in text(tab.work.status)
    assert vouch.layout.display == "none"
    assert (in_tmp_path / tab.request.destination).exists()


def test_a_name_of_a_model_is_text(tmp_path: Path, in_tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    tf = pytest.importorskip("tensorflow")
    module = tf.Module()
    module.call = tf.function(lambda x: {hostile: x}, input_signature=[tf.TensorSpec([None, 2], name="x")])
    tfmagic.export(module, tmp_path / "hostile", signature=hostile)
    tab = tab_of(tmp_path / "hostile", hostile)
    tab.form.destination.value = f"{hostile}/out"
    tab.form.fields["outputs"].value = hostile
    tab.form.fields["inputs"].value = "y"
    tab.show_code.click()
    until(lambda: "With TensorFlow alone" in text(tab.code) or "no code" in text(tab.code))
    for widget in (tab.plan, tab.problems, tab.code, tab.result, tab.form.impossible, tab.work.status):
        assert "<img" not in widget.value
    assert "&lt;img" in tab.plan.value + tab.problems.value
    del in_tmp_path


def test_a_damaged_model_says_what_it_is(samples: Built, tmp_path: Path) -> None:
    path = samples.copy("saved_model_tf2", tmp_path)
    file = path / "saved_model.pb"
    file.write_bytes(file.read_bytes()[:-40])
    # The panel shows this line in the place of the tab.
    with pytest.raises(errors.CorruptSourceError, match="truncated or damaged"):
        tab_of(path)


def test_a_model_that_cannot_be_traced_has_a_form_without_names(in_tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    tab = tab_of(tf.function(lambda x: x))
    assert not tab.form.fields["signature"].options
    assert "not known" in planned(tab)
    assert "Written" not in converted(tab)
    assert not list(in_tmp_path.iterdir())


def test_a_person_who_wants_text_gets_text(samples: Built, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render.display, "mode", "text")
    tab = tab_of(samples["keras_model"])
    tab.form.format.value = "weights"
    converted(tab)
    assert tab.result.value.startswith("<pre>")
    del in_tmp_path


def test_every_control_has_a_name(samples: Built, in_tmp_path: Path) -> None:
    tab = tab_of(samples["keras_model"])
    controls = [
        tab.form.format,
        tab.form.destination,
        *tab.form.fields.values(),
        *tab.form.ticks.values(),
        tab.show_code,
        tab.work.start,
    ]
    assert all(each.description or each.tooltip for each in controls)
    del in_tmp_path
