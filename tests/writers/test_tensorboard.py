from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.conftest import ROOT
from tests.keras_samples import dictionary
from tfmagic import errors
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime
from tfmagic.writers.tensorboard import EventDraft

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow


def events(directory: Path) -> list[Any]:
    """What TensorFlow's own reader finds, checksums and all."""
    (path,) = directory.glob("*tfevents*")
    return list(runtime.tensorflow().compat.v1.train.summary_iterator(str(path)))


def graph_of(event: Any) -> Any:
    return runtime.tensorflow().compat.v1.GraphDef.FromString(event.graph_def)


def test_a_log_directory_gets_the_graph(tmp_path: Path) -> None:
    model = dictionary(keras_runtime.keras())
    done = tfmagic.export(model, tmp_path / "logs", format="tensorboard")
    assert done.format == "tensorboard"
    assert done.path.parent == tmp_path / "logs"
    assert done.verification["equal"].tolist() == [True]
    first, second = events(tmp_path / "logs")
    assert first.file_version == "brain.Event:2"
    graph_def = graph_of(second)
    assert {node.name for node in graph_def.node} >= {"x", "y", "o", "p"}
    assert graph_def == tfmagic.inspect(model).graph_def


def test_tensorflow_writes_the_same_file(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.float32, [None, 2], "x")
    tfmagic.export(graph.as_graph_def(), tmp_path / "ours", format="tensorboard")
    with graph.as_default():
        tf.compat.v1.summary.FileWriter(str(tmp_path / "theirs"), graph).close()
    theirs = next(event for event in events(tmp_path / "theirs") if event.graph_def)
    # It states the shape once more.
    graph_def = graph_of(theirs)
    del graph_def.node[0].attr["_output_shapes"]
    assert graph_of(events(tmp_path / "ours")[1]) == graph_def


def test_a_directory_is_added_to_and_never_replaced(tmp_path: Path, samples: Built) -> None:
    (tmp_path / "run.txt").write_text("dear")
    for _ in range(2):
        tfmagic.export(samples["graph_def"], tmp_path, format="tensorboard", overwrite=True)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2
    assert (tmp_path / "run.txt").read_text() == "dear"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_is_named(tmp_path: Path, samples: Built) -> None:
    path = tmp_path / "mine.tfevents.1"
    assert tfmagic.export(samples["graph_def"], path, format="tensorboard").path == path
    with pytest.raises(errors.WriteError, match="exists"):
        tfmagic.export(samples["graph_def"], path, format="tensorboard")


def test_a_graph_in_a_file_needs_no_tensorflow(tmp_path: Path, samples: Built) -> None:
    program = (
        "import sys, tfmagic\n"
        "tfmagic.export(sys.argv[1], sys.argv[2], format='tensorboard')\n"
        "assert 'tensorflow' not in sys.modules"
    )
    arguments = [str(samples["graph_def"]), str(tmp_path / "logs")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, cwd=ROOT)
    assert len(events(tmp_path / "logs")) == 2


def test_one_of_several_graphs_is_chosen_by_its_tags(tmp_path: Path, samples: Built) -> None:
    tfmagic.export(samples["saved_model_several"], tmp_path / "logs", format="tensorboard", tags="train")
    assert len(events(tmp_path / "logs")) == 2


def test_options_without_a_meaning_are_refused(tmp_path: Path, samples: Built) -> None:
    with pytest.raises(errors.ConversionError, match="'outputs' cannot be written as 'tensorboard'"):
        tfmagic.export(samples["graph_def"], tmp_path / "logs", format="tensorboard", outputs=["y"])
    assert list(tmp_path.iterdir()) == []


def test_weights_alone_have_no_graph(tmp_path: Path, samples: Built) -> None:
    with pytest.raises(errors.UnsupportedConversionError, match="it has no 'graph'"):
        tfmagic.export(samples["checkpoint_v2"], tmp_path / "logs", format="tensorboard")


def test_a_damaged_file_is_not_left(tmp_path: Path, samples: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    write = EventDraft.write

    def damaged(self: EventDraft, path: Path) -> None:
        write(self, path)
        content = bytearray(path.read_bytes())
        content[-10] ^= 1
        path.write_bytes(content)

    monkeypatch.setattr(EventDraft, "write", damaged)
    with pytest.raises(errors.ConversionError, match="does not read back"):
        tfmagic.export(samples["graph_def"], tmp_path / "logs", format="tensorboard")
    assert list(tmp_path.iterdir()) == []


# At 40 bytes the first record is whole: the file reads back, and has no graph.
@pytest.mark.parametrize(
    ("left", "says"),
    [*((left, "does not read back") for left in (1, 5, 11, 14)), (40, "differs from the source")],
)
def test_a_file_that_is_cut_short_is_not_left(
    tmp_path: Path, samples: Built, monkeypatch: pytest.MonkeyPatch, left: int, says: str
) -> None:
    write = EventDraft.write

    def cut(self: EventDraft, path: Path) -> None:
        write(self, path)
        path.write_bytes(path.read_bytes()[:left])

    monkeypatch.setattr(EventDraft, "write", cut)
    with pytest.raises(errors.ConversionError, match=says):
        tfmagic.export(samples["graph_def"], tmp_path / "logs", format="tensorboard")
    assert list(tmp_path.iterdir()) == []
