"""Two models of any forms are compared without running: what is the same is said so, what differs is one row."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.graphs.test_computation_matching import branching
from tests.verbs.cataloguing import trees
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import computation
from tfmagic.graphs.signatures import Endpoint
from tfmagic.models import value_blocks
from tfmagic.shell import command_line
from tfmagic.verbs.differences import computations, weight_values

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def network(**names: str) -> Any:
    import keras  # noqa: PLC0415

    keras.utils.clear_session()
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(4, 3, name=names.get("conv", "conv")),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="head"),
        ],
        name=names.get("model", "net"),
    )


@pytest.fixture(scope="module")
def net(tf: Any) -> Any:
    tf.random.set_seed(3)
    model = network()
    tf.random.set_seed(None)
    return model


@pytest.fixture(scope="module")
def made(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model in many forms."""
    place = tmp_path_factory.mktemp("diff")
    tfmagic.export(net, place / "served")
    tfmagic.freeze(net, output=place / "net.pb")
    net.save(place / "net.keras")
    net.save_weights(place / "net.weights.h5")
    tfmagic.export(net, place / "net.ckpt")
    return place


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("served", "served"),
        ("served", "net.pb"),
        ("net.pb", "served"),
        ("net.keras", "served"),
        ("net.keras", "net.pb"),
        ("net.keras", "net.weights.h5"),
        ("served", "net.ckpt"),
        ("net.weights.h5", "net.ckpt"),
    ],
)
def test_one_model_in_two_forms_is_equal(made: Path, a: str, b: str) -> None:
    found = tfmagic.diff(made / a, made / b)
    assert found.equal, found.table.to_string()


def test_a_live_model_equals_its_files_until_it_is_trained(net: Any, made: Path) -> None:
    assert tfmagic.diff(net, made / "net.keras").equal
    head = net.get_layer("head")
    before = head.get_weights()
    try:
        head.set_weights([before[0] + 0.5, before[1]])
        found = tfmagic.diff(made / "served", net)
    finally:
        head.set_weights(before)
    assert not found.equal
    (row,) = found.table[found.table["what"] == "weight"].itertuples(index=False)
    assert (row.what, str(row.where).rpartition("/")[2]) == ("weight", "kernel")
    assert row.difference == pytest.approx(0.5, abs=1e-6)
    flat, moved = before[0].ravel().astype(float), before[0].ravel().astype(float) + 0.5
    cosine = float(flat @ moved / np.linalg.norm(flat) / np.linalg.norm(moved))
    assert row.cosine == pytest.approx(cosine, abs=1e-6)


def test_two_exports_of_one_model_are_equal(net: Any, made: Path, tmp_path: Path) -> None:
    net.export(tmp_path / "again")
    tfmagic.export(net, tmp_path / "once_more")
    assert tfmagic.diff(made / "served", tmp_path / "once_more").equal
    table = tfmagic.diff(made / "served", tmp_path / "again").table
    assert set(table["what"]) <= {"signature", "renamed"}


def frozen(path: Path) -> Any:
    message = protos.message("GraphDef")()
    message.ParseFromString(path.read_bytes())
    return message


def written(path: Path, message: Any) -> Path:
    path.write_bytes(message.SerializeToString())
    return path


def test_a_renamed_scope_is_one_row_and_leaves_them_equal(made: Path, tmp_path: Path) -> None:
    text = (made / "net.pb").read_bytes()
    message = frozen(made / "net.pb")
    for node in message.node:
        node.name = node.name.replace("norm/", "other/")
        node.input[:] = [each.replace("norm/", "other/") for each in node.input]
    assert message.SerializeToString() != text
    found = tfmagic.diff(made / "net.pb", written(tmp_path / "renamed.pb", message))
    assert found.equal
    renamed = found.table[found.table["what"] == "renamed"]
    ops = renamed[renamed["where"].str.endswith("ops")]
    assert len(ops) == 1
    assert ops["a"].iloc[0].endswith("norm")
    assert ops["b"].iloc[0].endswith("other")
    # Names differ by no number, so there is no column of them.
    assert "cosine" not in str(found)
    assert "nan" not in found._repr_html_()


def test_an_op_that_was_put_in_between_is_one_row(made: Path, tmp_path: Path) -> None:
    message = frozen(made / "net.pb")
    (relu,) = (node for node in message.node if node.op == "Relu")
    extra = message.node.add()
    extra.CopyFrom(relu)
    extra.name, extra.op = "squashed", "Tanh"
    relu.input[0] = "squashed"
    found = tfmagic.diff(made / "net.pb", written(tmp_path / "more.pb", message))
    assert not found.equal
    ops = found.table[found.table["what"] == "op"]
    assert ops[["where", "a", "b"]].to_numpy().tolist() == [["squashed", "", "Tanh"]]
    assert set(found.table["what"]) == {"op"}


def test_another_attribute_is_named_with_both_values(made: Path, tmp_path: Path) -> None:
    message = frozen(made / "net.pb")
    (convolution,) = (node for node in message.node if node.op == "Conv2D")
    convolution.attr["padding"].s = b"SAME"
    found = tfmagic.diff(made / "net.pb", written(tmp_path / "padded.pb", message))
    rows = found.table[found.table["what"] == "attribute"]
    assert rows[["a", "b"]].to_numpy().tolist() == [["VALID", "SAME"]]
    assert rows["where"].iloc[0].endswith(", padding")


def test_signatures_that_differ_are_told_by_their_keys(made: Path, tmp_path: Path) -> None:
    stated = tfmagic.inspect(made / "served").signatures.set_index("side")["tensor"]
    signed = {"serving_default": {"inputs": {"picture": stated["input"]}, "outputs": {"head": stated["output"]}}}
    tfmagic.sign(made / "served", tmp_path / "signed", signatures=signed)
    found = tfmagic.diff(made / "served", tmp_path / "signed")
    assert not found.equal
    assert sorted(found.table["where"]) == ["serving_default, input 'image'", "serving_default, input 'picture'"]


def test_layers_of_files_are_compared_without_tensorflow(made: Path, tmp_path: Path, tf: Any) -> None:
    del tf
    import keras  # noqa: PLC0415

    other = keras.models.load_model(made / "net.keras")
    other.get_layer("relu").negative_slope = 0.1
    other.save(tmp_path / "other.keras")
    found = tfmagic.diff(made / "net.keras", tmp_path / "other.keras")
    assert found.table[["what", "where", "a", "b"]].to_numpy().tolist() == [
        ["layer", "relu, negative_slope", "0.0", "0.1"]
    ]


def test_python_magic_and_shell_agree_and_the_status_is_three_where_they_differ(
    made: Path, tmp_path: Path, shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(made / "net.pb", tmp_path / "b.pb")
    shell.user_ns.update(a=str(made / "net.pb"), b=str(tmp_path / "b.pb"))
    assert shell.run_line_magic("tf_diff", "{a} {b}").equal
    capsys.readouterr()
    assert command_line.run(["diff", str(made / "net.pb"), str(tmp_path / "b.pb")]) == command_line.DONE
    message = frozen(made / "net.pb")
    (relu,) = (node for node in message.node if node.op == "Relu")
    relu.op = "Relu6"
    written(tmp_path / "b.pb", message)
    capsys.readouterr()
    assert command_line.run(["diff", str(made / "net.pb"), str(tmp_path / "b.pb"), "--as", "json"]) == 3
    rows = json.loads(capsys.readouterr().out)["table"]
    assert [row["what"] for row in rows] == ["op", "op"]


def test_a_signature_that_there_is_not_is_named(made: Path) -> None:
    with pytest.raises(errors.UnknownNameError, match="no signature 'nothing'"):
        tfmagic.diff(made / "served", made / "served", signature="nothing")


def test_the_display_names_both_and_escapes_what_they_say(made: Path, tmp_path: Path) -> None:
    message = frozen(made / "net.pb")
    extra = message.node.add()
    (relu,) = (node for node in message.node if node.op == "Relu")
    extra.CopyFrom(relu)
    extra.name = "<b>bold</b>"
    relu.input[0] = extra.name
    found = tfmagic.diff(made / "net.pb", written(tmp_path / "x.pb", message))
    assert "not equal" in repr(found)
    assert "&lt;b&gt;bold" in found._repr_html_()
    assert "<b>bold" not in found._repr_html_()


def test_what_is_cut_is_said_and_never_equal(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = frozen(made / "net.pb")
    message.versions.producer += 1
    again = written(tmp_path / "again.pb", message)
    assert tfmagic.diff(made / "net.pb", again).equal
    monkeypatch.setattr(computation, "MOST_OPS", 4)
    found = tfmagic.diff(made / "net.pb", again)
    assert not found.equal
    rows = found.table[found.table["what"] == "not compared"]
    assert rows[["where", "a", "b"]].to_numpy().tolist() == [
        ["ops after the first 4", "at least 4 ops", "at least 4 ops"]
    ]
    assert "not all was compared" in repr(found)


def test_graphs_that_nobody_signed_are_equal_only_if_they_are_the_same(tmp_path: Path) -> None:
    def unsigned(name: str, **more: Any) -> Path:
        directory = trees.saved_model(tmp_path / name, **more)
        message = protos.parse("SavedModel", (directory / "saved_model.pb").read_bytes())
        del message.meta_graphs[0].signature_def["serving_default"]
        message.meta_graphs[0].signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "x"
        (directory / "saved_model.pb").write_bytes(message.SerializeToString())
        return directory

    first, same, other = unsigned("first"), unsigned("same"), unsigned("other", scope="hidden")
    assert tfmagic.diff(first, same).equal
    result = tfmagic.diff(first, other)
    assert not result.equal
    assert "ops" in list(result.table[result.table["what"] == "not compared"]["where"])


def test_a_constant_in_the_body_of_a_loop_is_compared(tf: Any, tmp_path: Path) -> None:
    def looping(step: float) -> Any:
        def count(x: Any) -> Any:
            return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: (y + tf.constant([step, 2.0]),), (x,))

        function = tf.function(count, input_signature=[tf.TensorSpec([2])])
        return function.get_concrete_function().graph.as_graph_def()

    paths = [written(tmp_path / f"{step}.pb", looping(step)) for step in (1.0, 1.5)]
    assert tfmagic.diff(paths[0], paths[0]).equal
    assert not tfmagic.diff(*paths).equal


def small(*nodes: str) -> Any:
    return protos.parse_text("GraphDef", "".join(f"node {{{each}}}" for each in nodes))


_FLOAT = 'attr {key: "T" value {type: DT_FLOAT}}'
_X, _Y = (f'name: "{name}" op: "Placeholder" attr {{key: "dtype" value {{type: DT_FLOAT}}}}' for name in "xy")


def node(name: str, op: str, *inputs: str) -> str:
    return f'name: "{name}" op: "{op}" {_FLOAT} ' + " ".join(f'input: "{each}"' for each in inputs)


def weight(name: str, value: float) -> str:
    tensor = f"tensor {{dtype: DT_FLOAT tensor_shape {{dim {{size: 2}} dim {{size: 2}}}} float_val: {value}}}"
    return f'name: "{name}" op: "Const" attr {{key: "value" value {{{tensor}}}}}'


_REWIRED = {
    "inputs in another order": (
        [_X, _Y, node("s", "Sub", "x", "y")],
        [_X, _Y, node("s", "Sub", "y", "x")],
        "s, input 0",
    ),
    "a shortcut from elsewhere": (
        [_X, node("a", "Relu", "x"), node("b", "Tanh", "a"), node("c", "AddV2", "b", "a")],
        [_X, node("a", "Relu", "x"), node("b", "Tanh", "a"), node("c", "AddV2", "b", "x")],
        "c, input 1",
    ),
    "another output of a node": (
        [_X, node("a", "Unpack", "x"), node("c", "Neg", "a:0")],
        [_X, node("a", "Unpack", "x"), node("c", "Neg", "a:1")],
        "c, input 0",
    ),
    "weights that changed places": (
        [_X, weight("v", 1), weight("w", 2), node("a", "MatMul", "x", "v"), node("b", "MatMul", "a", "w")],
        [_X, weight("v", 1), weight("w", 2), node("a", "MatMul", "x", "w"), node("b", "MatMul", "a", "v")],
        "a, input 1",
    ),
}


@pytest.mark.parametrize("case", _REWIRED)
def test_the_same_ops_that_are_wired_otherwise_are_not_equal(case: str) -> None:
    first, second, where = _REWIRED[case]
    found = tfmagic.diff(small(*first), small(*second))
    assert not found.equal
    assert where in found.table["where"].tolist()
    assert tfmagic.diff(small(*first), small(*first)).equal
    assert tfmagic.diff(small(*first), small(*reversed(first))).equal


def test_outputs_that_changed_their_keys_are_not_equal(tf: Any, tmp_path: Path) -> None:
    def ends(*keys: str) -> Any:
        spec = [tf.TensorSpec([2], name="x")]
        return tf.function(lambda x: dict(zip(keys, (tf.tanh(x), tf.nn.relu(x)), strict=True)), input_signature=spec)

    for place, keys in (("a", ("p", "q")), ("b", ("q", "p"))):
        tfmagic.export(ends(*keys), tmp_path / place, verify=False)
    found = tfmagic.diff(tmp_path / "a", tmp_path / "b")
    assert not found.equal
    assert found.table["where"].str.startswith("output ").any()


def test_numbers_of_any_size_are_compared_without_a_warning() -> None:
    far = np.array([0, 0x7F800001, 0x7F7FFFFF], np.uint32).view(np.float32)
    found = weight_values.compared(
        value_blocks.cut(far), value_blocks.cut(np.array([1e38, 2, 0], np.float32)), "float32"
    )
    assert np.isnan(found.largest)
    high, low = (value_blocks.cut(np.array([size, 1.0])) for size in (1e300, -1e300))
    assert weight_values.compared(high, low, "float64").largest == pytest.approx(2e300)


class Odd:
    """Writes SavedModels and checkpoints with text and complex numbers among their variables."""

    def __init__(self, tf: Any, words: list[bytes], wave: list[complex]) -> None:
        module = tf.Module()
        module.words = tf.Variable(words, name="words")
        module.wave = tf.Variable(tf.constant(wave, tf.complex64), name="wave")
        spec = [tf.TensorSpec([2], tf.float32, name="x")]
        module.call = tf.function(
            lambda x: {"text": module.words + "!", "wave": module.wave * tf.cast(x, tf.complex64)}, input_signature=spec
        )
        self.module, self.tf = module, tf

    def saved(self, path: Path) -> Path:
        self.tf.saved_model.save(self.module, str(path), signatures={"serving_default": self.module.call})
        return path


def test_text_and_complex_numbers_are_compared(tf: Any, tmp_path: Path) -> None:
    first = Odd(tf, [b"a", b"bc"], [1 + 2j, 3j])
    a, again = first.saved(tmp_path / "a"), first.saved(tmp_path / "again")
    assert tfmagic.diff(a, again).equal
    assert tfmagic.diff(a, first.module.call.get_concrete_function()).equal
    tfmagic.freeze(a, output=tmp_path / "a.pb")
    other = Odd(tf, [b"a", b"bd"], [1 + 2j, 3j + 4]).saved(tmp_path / "other")
    rows = tfmagic.diff(a, other).table.set_index("where")
    assert rows.loc["words", "b"] == "1 of 2 differ"
    assert rows.loc["wave", "difference"] == pytest.approx(4)
    # (1+2i)(1-2i) + 3i(4-3i), real: 5 + 9; lengths: 14 and 5 + 25.
    assert rows.loc["wave", "cosine"] == pytest.approx(14 / np.sqrt(14 * 30))
    assert set(rows["what"]) == {"weight"}


def test_complex_constants_of_frozen_graphs_keep_both_parts(tmp_path: Path) -> None:
    def graph(imaginary: float) -> Any:
        value = f"tensor {{dtype: DT_COMPLEX64 tensor_shape {{dim {{size: 2}}}} scomplex_val: [1, {imaginary}, 3, 4]}}"
        dtype = 'attr {key: "dtype" value {type: DT_COMPLEX64}}'
        const = f'name: "w" op: "Const" {dtype} attr {{key: "value" value {{{value}}}}}'
        return written(tmp_path / f"{imaginary}.pb", small(const, _X, node("y", "Mul", "x", "w")))

    assert tfmagic.diff(graph(2), graph(2)).equal
    (row,) = tfmagic.diff(graph(2), graph(5)).table.itertuples(index=False)
    assert (row.what, row.where) == ("weight", "w")
    assert row.difference == pytest.approx(3)


def test_variables_without_values_are_one_row_that_says_what_would_work() -> None:
    declared = 'attr {key: "dtype" value {type: DT_FLOAT}} attr {key: "shape" value {shape {dim {size: 2}}}}'
    variables = [f'name: "{name}" op: "VariableV2" {declared}' for name in "vw"]
    nodes = [_X, *variables, node("a", "Mul", "x", "v"), node("b", "Mul", "a", "w")]
    found = tfmagic.diff(small(*nodes), small(*reversed(nodes)))
    assert not found.equal
    (row,) = found.table.itertuples(index=False)
    assert (row.what, row.where) == ("not compared", "2 weights")
    assert "a GraphDef has no values of its variables: give the SavedModel" in str(row.b)
    assert "no difference seen" in repr(found)


def test_a_model_without_weights_is_not_equal_to_weights(tf: Any, tmp_path: Path) -> None:
    doubled = tf.function(lambda x: {"y": 2.0 * x}, [tf.TensorSpec([None], tf.float32)])
    module = tf.Module()
    module.doubled = doubled
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=doubled)
    tf.train.Checkpoint(kernel=tf.Variable([1.0, 2.0])).write(str(tmp_path / "weights"))
    for pair in ((tmp_path / "m", tmp_path / "weights"), (tmp_path / "weights", tmp_path / "m")):
        found = tfmagic.diff(*pair)
        assert not found.equal
        assert "weight" in set(found.table["what"])


def test_tags_choose_in_the_one_that_has_tag_sets(made: Path) -> None:
    assert tfmagic.diff(made / "served", made / "net.pb", tags="serve").equal
    with pytest.raises(errors.UnknownNameError, match="no tag-set 'train'; there is 'serve'"):
        tfmagic.diff(made / "net.pb", made / "served", tags="train")
    with pytest.raises(errors.UnknownNameError, match="has no tag-sets"):
        tfmagic.diff(made / "net.pb", made / "net.pb", tags="train")


def test_variables_without_names_are_told_apart_by_what_is_restored_into_them(tf: Any, tmp_path: Path) -> None:
    """Both are nodes called Variable and Variable_1, in the order in which they were made."""

    class Line(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        def __init__(self, *, crossed: bool, late: bool) -> None:
            super().__init__()
            for name in ("shift", "slope") if late else ("slope", "shift"):
                setattr(self, name, tf.Variable([3.0, 4.0] if name == "shift" else [1.0, 2.0]))
            self.crossed = crossed

        @tf.function(input_signature=[tf.TensorSpec([2], name="x")])  # type: ignore[untyped-decorator]
        def line(self, x: Any) -> dict[str, Any]:
            pair = (self.slope, self.shift)
            slope, shift = pair[::-1] if self.crossed else pair
            return {"y": x * slope - shift}

    for name, crossed, late in (("own", False, False), ("late", False, True), ("crossed", True, False)):
        line = Line(crossed=crossed, late=late)
        tf.saved_model.save(line, str(tmp_path / name), signatures={"serving_default": line.line})
        tfmagic.freeze(tmp_path / name, output=tmp_path / f"{name}.pb", verify=False)
    own = tmp_path / "own"
    for equal in ("late", "own.pb", "late.pb"):
        assert tfmagic.diff(own, tmp_path / equal).equal, equal
    for other in ("crossed", "crossed.pb"):
        found = tfmagic.diff(own, tmp_path / other)
        assert not found.equal
        wired = found.table[found.table["what"] == "attribute"]
        assert wired[["a", "b"]].to_numpy().tolist() == [["slope", "shift"], ["shift", "slope"]]


def test_variables_of_one_element_and_of_whole_numbers_equal_the_constants_that_freezing_makes_of_them(
    tf: Any, tmp_path: Path
) -> None:
    class Steps(tf.Module):  # type: ignore[misc] # TensorFlow has no types
        def __init__(self) -> None:
            super().__init__()
            self.bias = tf.Variable([0.5], name="bias")
            self.count = tf.Variable(7, name="count")
            self.table = tf.Variable(list(range(300)), name="table")

        @tf.function(input_signature=[tf.TensorSpec([None], name="x")])  # type: ignore[untyped-decorator]
        def steps(self, x: Any) -> dict[str, Any]:
            rows = tf.cast(self.table[:1] + self.count, tf.float32)
            return {"y": x + self.bias - rows}

    steps = Steps()
    for name in ("own", "other"):
        tf.saved_model.save(steps, str(tmp_path / name), signatures={"serving_default": steps.steps})
        tfmagic.freeze(tmp_path / name, output=tmp_path / f"{name}.pb", verify=False)
        steps.bias.assign([0.25])
        steps.table.assign(steps.table + 1)
    own = tmp_path / "own"
    for a, b in ((own, tmp_path / "own.pb"), (tmp_path / "own.pb", own)):
        found = tfmagic.diff(a, b)
        assert found.equal, found.table
    found = tfmagic.diff(own, tmp_path / "other.pb")
    assert not found.equal
    weights_of = found.table[found.table["what"] == "weight"]
    assert {where.partition(" / ")[0] for where in weights_of["where"]} == {"bias", "table"}
    assert "constant [0.25]" in set(weights_of["b"])


def test_a_weight_without_a_number_has_empty_cells_and_nan_is_said_in_words(tf: Any) -> None:
    def net(**values: list[float]) -> Any:
        module = tf.Module()
        module.kept = [tf.Variable(value, name=name) for name, value in values.items()]
        module.call = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([2], name="x")])
        return module

    found = tfmagic.diff(net(lost=[1.0, 2.0], other=[1.0]), net(lost=[np.nan, 2.0], other=[1.0, 2.0]))
    rows = found.table.set_index("where")
    assert "NaN" in str(rows.loc["lost", "b"])
    assert "NaN" not in str(rows.loc["other", "b"])
    assert rows["difference"].isna().all()
    for shown in (repr(found), found._repr_html_()):
        assert "other" in shown
        assert "nan" not in shown


def test_a_shape_that_only_one_file_tells_is_no_difference() -> None:
    """A Keras file names no tensors: what its layers give is worked out, where somebody can."""
    untold, known = Endpoint("y", "", "float32", None), Endpoint("y", "out:0", "float32", (None, 1))
    sides = [computations.Ends("serve", {}, {"y": end}) for end in (untold, known, known._replace(shape=None))]
    assert list(computations.signature_rows(sides[0], sides[1])) == []
    assert len(list(computations.signature_rows(sides[2], sides[1]))) == 1


@pytest.mark.parametrize("branch", ["then_branch", "else_branch"])
def test_a_branch_that_computes_something_else_is_a_row(branch: str) -> None:
    graph, other = (
        branching("Exp", "Tanh"),
        branching(*(("Sqrt", "Tanh") if branch == "then_branch" else ("Exp", "Sqrt"))),
    )
    compared = tfmagic.diff(graph, other)
    assert not compared.equal
    assert list(compared.table["where"]) == [f"if, {branch}"]


def test_an_input_with_a_default_is_one_where_the_other_signature_says_so() -> None:
    """A frozen graph has no signature: its placeholder with a default goes by its name."""
    signed = protos.parse_text(
        "MetaGraphDef",
        """
        graph_def {
          node {name: "usual" op: "Const" attr {key: "value" value {tensor {dtype: DT_FLOAT float_val: 1}}}}
          node {name: "rate" op: "PlaceholderWithDefault" input: "usual" attr {key: "dtype" value {type: DT_FLOAT}}}
          node {name: "x" op: "Placeholder" attr {key: "dtype" value {type: DT_FLOAT}}}
          node {name: "y" op: "Mul" input: "x" input: "rate"}
        }
        signature_def {key: "serve" value {
          inputs {key: "x" value {name: "x:0" dtype: DT_FLOAT}}
          inputs {key: "rate_of_it" value {name: "rate:0" dtype: DT_FLOAT}}
          outputs {key: "y" value {name: "y:0" dtype: DT_FLOAT}}
        }}
        """,
    )
    for pair in ((signed, signed.graph_def), (signed.graph_def, signed)):
        compared = tfmagic.diff(*pair)
        assert compared.equal, compared.table.to_string()
