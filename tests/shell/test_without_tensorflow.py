"""What needs no kernel is done where there is no TensorFlow, and gives the numbers that TensorFlow gives.

The command lines run in an environment that ``make test`` makes, with numpy, pandas, protobuf and h5py alone; elsewhere
in a process that cannot import what that environment lacks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import tfmagic
from tests.conftest import ROOT
from tests.samples import network
from tfmagic.models.model import Part

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow
BARE = os.environ.get("TFMAGIC_BARE", "")
#: What an image without TensorFlow does not have either.
ABSENT = ("tensorflow", "keras", "tf_keras", "IPython", "ipywidgets", "anywidget", "tqdm", "fast_sugiyama", "ml_dtypes")
RUN = """
import contextlib, io, json, sys
lines, absent = json.load(sys.stdin)
sys.modules.update(dict.fromkeys(absent))
from tfmagic.shell import command_line
answers = []
for line in lines:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command_line.run(line)
    answers.append([status, out.getvalue(), err.getvalue()])
assert not [name for name in ("tensorflow", "keras") if sys.modules.get(name)]
json.dump(answers, sys.stdout)
"""
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
TEXTS = np.array([b"a", b"z", b"nobody"], dtype=object)
FROZEN = {
    "tf2": "saved_model_tf2",
    "tf1": "saved_model_tf1",
    "text": "saved_model_text",
    "keras": "saved_model_of_keras",
    "meta": "meta_graph",
    "prefix": "meta_graph_of_a_prefix",
}


class Answer(NamedTuple):
    """What a command line gave."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module with tables of constants and of a vocabulary file, saved."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who builds should take

    directory = tmp_path_factory.mktemp("tables")
    vocabulary = directory / "vocabulary.txt"
    vocabulary.write_bytes(b"a\nb\r\nz\n")

    class Lookup(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.5, 2.5])
            lines = tf.lookup.TextFileInitializer(
                str(vocabulary), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )  # fmt: skip
            self.pairs = tf.lookup.StaticHashTable(pairs, -1.0)
            self.lines = tf.lookup.StaticVocabularyTable(lines, 2)
            self.weights = tf.Variable([10.0, 20.0, 30.0, 40.0, 50.0])

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])  # type: ignore[untyped-decorator]
        def __call__(self, text: Any) -> Any:
            place = self.lines.lookup(text)
            return {"pair": self.pairs.lookup(text), "weight": tf.gather(self.weights, place)}

    module = Lookup()
    tf.saved_model.save(module, str(directory / "model"))
    return directory / "model", {key: value.numpy() for key, value in module(tf.constant(TEXTS.tolist())).items()}


#: A variable in three pieces.
EMBEDDING = np.arange(18, dtype=np.float32).reshape(6, 3)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with its graph, a variable of which is partitioned."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:

        def rows(shape: Any, dtype: Any, partition_info: Any) -> Any:
            return tf.cast(EMBEDDING[partition_info.var_offset[0] :][: shape[0]], dtype)

        split = v1.fixed_size_partitioner(3)
        pieces = v1.get_variable("p/w", EMBEDDING.shape, initializer=rows, partitioner=split)
        tf.gather(tf.convert_to_tensor(pieces), v1.placeholder(tf.int32, [None], name="ids"), name="rows")
        session.run(v1.global_variables_initializer())
        prefix = tmp_path_factory.mktemp("pieces") / "model.ckpt"
        v1.train.Saver().save(session, str(prefix))
    return prefix


@pytest.fixture(scope="module")
def answers(
    samples: Built, tables: Any, pieces: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Answer]]:
    """The answers to all command lines, given by one process, and the directory that they wrote to."""
    here = tmp_path_factory.mktemp("bare")
    paths = {name: str(samples.path(sample)) for name, sample in FROZEN.items()} | {"tables": str(tables[0])}
    lines = {name: ["freeze", path, "-o", f"{name}.pb"] for name, path in paths.items()}
    lines["cut"] = ["freeze", paths["meta"], "--inputs", "x", "--outputs", "hidden", "-o", "cut.pb"]
    lines["before"] = ["freeze", paths["tf2"], "--outputs", "hidden", "-o", "before.pb"]
    lines["behind"] = ["freeze", paths["tf2"], "--inputs", "hidden", "--outputs", "y", "-o", "behind.pb"]
    lines["without"] = ["freeze", paths["tf2"], "--inputs", "MatMul_1", "--outputs", "hidden", "-o", "without.pb"]
    lines["misspelt"] = ["freeze", paths["tf2"], "--outputs", "hiddn", "-o", "misspelt.pb"]
    lines["saved"] = ["export", paths["meta"], "saved"]
    lines["pieces"] = ["export", str(pieces), "pieces", "--input", "ids=ids", "--output", "rows=rows"]
    lines["wrapped"] = ["export", "tf2.pb", "wrapped"]
    lines["signed"] = ["sign", paths["tf2"], "signed", "--rename", "serving_default=predict"]
    lines["slim"] = ["slim", paths["keras"], "slim"]
    lines["slim graph"] = ["slim", "tf2.pb", "slim.pb", "--as", "json"]
    lines["slim checkpoint"] = ["slim", str(samples.path("checkpoint_of_objects")), "slim.ckpt", "--as", "csv"]
    lines["events"] = ["export", paths["tf2"], "logs", "--format", "tensorboard"]
    lines["signatures"] = ["inspect", paths["tf2"], "--signatures", "--as", "json"]
    lines["summary"] = ["inspect", paths["keras"], "--as", "markdown"]
    lines["verify"] = ["freeze", paths["tf2"], "-o", "verified.pb", "--verify"]
    lines["run"] = ["run", paths["tf2"]]
    done = subprocess.run(
        [BARE or sys.executable, "-c", RUN],
        input=json.dumps([list(lines.values()), [] if BARE else ABSENT]),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return here, {name: Answer(*answer) for name, answer in zip(lines, json.loads(done.stdout), strict=True)}


def outputs(path: Path, **inputs: Any) -> Any:
    """Run what was written."""
    return tfmagic.inspect(path).part(Part.FUNCTION)(None)(inputs)


@pytest.mark.parametrize("name", FROZEN)
def test_what_lies_on_disk_is_frozen(name: str, answers: Any) -> None:
    here, given = answers
    assert given[name].status == 0, given[name].err
    assert "not verified" in given[name].out
    frozen = tfmagic.inspect(here / f"{name}.pb")
    assert not {"VarHandleOp", "VariableV2", "ReadVariableOp"} & set(frozen.ops["op"])
    ((key, tensor),) = frozen.signatures.query("side == 'input'")[["key", "tensor"]].itertuples(index=False)
    assert tensor == f"{key}:0"
    (value,) = outputs(here / f"{name}.pb", **{key: X}).values()
    np.testing.assert_allclose(value, network(X), rtol=1e-5)


def test_tables_and_their_files_are_in_the_result(answers: Any, tables: Any) -> None:
    here, given = answers
    assert given["tables"].status == 0, given["tables"].err
    found = outputs(here / "tables.pb", text=TEXTS)
    assert set(found) == set(tables[1])
    for key, value in tables[1].items():
        np.testing.assert_array_equal(found[key], value)


def test_a_graph_is_cut(answers: Any) -> None:
    here, given = answers
    assert given["cut"].status == 0, given["cut"].err
    ops = tfmagic.inspect(here / "cut.pb").ops
    assert {"x", "hidden"} <= set(ops["name"])
    assert not {"y", "out/kernel"} & set(ops["name"])


def test_a_model_is_cut_within_its_functions(answers: Any) -> None:
    here, given = answers
    for name in ("before", "behind"):
        assert given[name].status == 0, given[name].err
    hidden = outputs(here / "before.pb", x=X)["hidden"]
    assert hidden.shape == (3, 3)
    np.testing.assert_allclose(outputs(here / "behind.pb", hidden=hidden)["y"], network(X), rtol=1e-5)
    assert "'x', which is not among the inputs 'MatMul_1'" in given["without"].err
    assert "no tensor 'hiddn'; did you mean 'hidden'" in given["misspelt"].err


@pytest.mark.parametrize("name", ["saved", "wrapped"])
def test_a_checkpoint_with_its_graph_and_a_frozen_graph_become_saved_models(name: str, answers: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    here, given = answers
    assert given[name].status == 0, given[name].err
    loaded = tf.saved_model.load(str(here / name))
    (value,) = loaded.signatures["serving_default"](x=tf.constant(X)).values()
    np.testing.assert_allclose(value, network(X), rtol=1e-5)
    if name == "saved":
        assert sorted(each.name for each in loaded.variables) == sorted(
            f"{each}:0" for each in ("hidden/kernel", "hidden/bias", "out/kernel", "out/bias")
        )


def test_a_partitioned_variable_stays_so(answers: Any) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    here, given = answers
    assert given["pieces"].status == 0, given["pieces"].err
    loaded = tf.saved_model.load(str(here / "pieces"))
    found = loaded.signatures["serving_default"](ids=tf.constant([5, 0, 3]))["rows"]
    np.testing.assert_array_equal(found, EMBEDDING[[5, 0, 3]])
    assert sorted(each.name for each in loaded.variables) == [f"p/w/part_{place}:0" for place in range(3)]
    np.testing.assert_array_equal(
        tf.train.load_checkpoint(str(here / "pieces" / "variables" / "variables")).get_tensor("p/w"), EMBEDDING
    )


def test_the_rest_is_as_it_is_elsewhere(answers: Any, samples: Built) -> None:
    here, given = answers
    assert all(given[name].status == 0 for name in ("signed", "events", "signatures", "summary")), given
    assert list(tfmagic.inspect(here / "signed").signature_def) == ["__saved_model_init_op", "predict"]
    assert list((here / "logs").iterdir())
    rows = json.loads(given["signatures"].out)
    assert [row["key"] for row in rows] == tfmagic.inspect(samples.path("saved_model_tf2")).signatures["key"].tolist()
    assert given["summary"].out.startswith("### ")


def test_models_get_slim(answers: Any) -> None:
    here, given = answers
    for name in ("slim", "slim graph", "slim checkpoint"):
        assert given[name].status == 0, given[name].err
    assert "not verified" in given["slim"].out
    for path in ("slim", "slim.pb"):
        (value,) = outputs(here / path, x=X).values()
        np.testing.assert_allclose(value, network(X), rtol=1e-5)
    assert given["slim checkpoint"].out.startswith("kind,where,bytes,retained,why\n")


@pytest.mark.parametrize("name", ["verify", "run"])
def test_what_needs_a_kernel_names_the_line_to_install(name: str, answers: Any) -> None:
    here, given = answers
    assert given[name].status == 1
    assert 'pip install "tfmagic[cpu]"' in given[name].err
    assert given[name].err.count("\n") == 1
    assert not (here / "verified.pb").exists()
