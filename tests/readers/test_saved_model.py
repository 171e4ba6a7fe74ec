from __future__ import annotations

import importlib
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfmagic
from tests.keras_samples import branching
from tests.samples import WEIGHTS, Built
from tfmagic import errors
from tfmagic.files import protos

pytestmark = pytest.mark.tensorflow

WRITTEN = [
    "saved_model_tf1", "saved_model_tf2", "saved_model_text", "saved_model_of_keras", "saved_model_several",
    "saved_model_versions",
]  # fmt: skip
#: SavedModels of the corpus, from TensorFlow 0.11 on, with signatures and variables of many kinds.
REAL = [
    "dotnet__machinelearning-testdata/Microsoft.ML.TensorFlow.TestModels/cifar_saved_model",
    "dotnet__machinelearning-testdata/Microsoft.ML.TensorFlow.TestModels/mnist_lr_model",
    "mlcommons__tiny/benchmark/training/keyword_spotting/trained_models/kws_ref_model",
    "tensorflow__tfx/tfx/components/testdata/trainer/keras/Format-Serving",
    "tensorflow__serving/tensorflow_serving/servables/tensorflow/testdata/saved_model_counter/00000123",
    "tensorflow__tfjs/tfjs-node/test_objects/saved_model/module_with_multiple_signatures",
    "generated-by-upstream-tests/saved_model_test/testSignatureDefs",
    "tensorflow__tensorflow/tensorflow/cc/saved_model/testdata/half_plus_two_pbtxt/00000123",
]
Row = tuple[str, str, str, str, str, str, str, object]


def place(samples: Built, name: str) -> Path:
    return Path(tfmagic.inspect(samples[name]).origin)


def loaded_rows(tf: Any, directory: Path) -> list[Row]:
    """The SignatureDefs as TensorFlow's own loader reads them."""
    loader = importlib.import_module("tensorflow.python.saved_model.loader_impl")

    def shape(info: Any) -> object:
        if not info.HasField("tensor_shape") or info.tensor_shape.unknown_rank:
            return None
        return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)

    def dtype(info: Any) -> str:
        return "invalid" if info.dtype == 0 else str(tf.dtypes.as_dtype(info.dtype).name)

    return sorted(
        (",".join(graph.meta_info_def.tags), key, signature.method_name, side, end, info.name, dtype(info), shape(info))
        for graph in loader.parse_saved_model(str(directory)).meta_graphs
        for key, signature in graph.signature_def.items()
        for side in ("input", "output")
        for end, info in getattr(signature, f"{side}s").items()
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_signatures_are_the_loader_s(tf: Any, samples: Built, name: str) -> None:
    directory = place(samples, name)
    found = tfmagic.inspect(directory).table("signatures", all=True)
    assert sorted(found.itertuples(index=False, name=None)) == loaded_rows(tf, directory)


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_signatures_of_real_files_are_the_loader_s(tf: Any, corpus: Path, name: str) -> None:
    found = tfmagic.inspect(corpus / name).table("signatures", all=True)
    assert sorted(found.itertuples(index=False, name=None), key=repr) == sorted(
        loaded_rows(tf, corpus / name), key=repr
    )


def stored(tf: Any, directory: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Dtype and shape of each tensor in the checkpoint, as TensorFlow lists them."""
    reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
    dtypes = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    return sorted((dtypes[key].name, tuple(shapes[key])) for key in shapes if key != "_CHECKPOINTABLE_OBJECT_GRAPH")


@pytest.mark.parametrize("name", WRITTEN)
def test_variables_are_those_of_the_checkpoint(tf: Any, samples: Built, name: str) -> None:
    # Keras stores each variable twice, and it is one.
    found = tfmagic.inspect(samples[name]).table("variables", all=True)
    assert sorted(zip(found["dtype"], found["shape"], strict=True)) == stored(tf, place(samples, name))
    assert set(WEIGHTS) <= set(found["name"])
    weights = found[found["name"].isin(WEIGHTS)]
    assert all(weights["trainable"])
    assert dict(zip(weights["name"], weights["shape"], strict=True)) == {
        key: value.shape for key, value in WEIGHTS.items()
    }


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_variables_of_real_files_are_those_of_the_checkpoint(tf: Any, corpus: Path, name: str) -> None:
    found = tfmagic.inspect(corpus / name).variables
    assert sorted(zip(found["dtype"], found["shape"], strict=True)) == stored(tf, corpus / name)
    assert found["name"].is_unique


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A trained Keras model with batch normalisation and a frozen layer, and a directory."""
    model = branching(pytest.importorskip("keras"))
    model.compile("adam", "mse")
    model.fit([np.ones((4, 8)), np.ones((4, 8))], [np.ones((4, 1)), np.ones((4, 2))], verbose=0)
    return model, tmp_path_factory.mktemp("trained")


def expected(model: Any) -> dict[str, tuple[tuple[int, ...], bool]]:
    return {variable.path: (tuple(variable.shape), variable.value.trainable) for variable in model.variables}


def listed(directory: Path) -> dict[str, tuple[Any, Any]]:
    found = tfmagic.inspect(directory).variables
    assert found["name"].is_unique
    return dict(zip(found["name"], zip(found["shape"], found["trainable"], strict=True), strict=True))


def test_what_keras_exports_is_listed_under_its_layers(tf: Any, trained: tuple[Any, Path]) -> None:
    model, directory = trained
    model.export(str(directory / "exported"))
    found = listed(directory / "exported")
    # Keras stores each variable twice: one of both is the variable, of whose parameters the card counts each once.
    assert found == expected(model)
    total = sum(math.prod(shape) for shape, _ in expected(model).values())
    assert f"{total:,}" in tfmagic.inspect(directory / "exported")._repr_html_()
    loaded = tf.saved_model.load(str(directory / "exported")).variables
    assert {
        each.name.partition(":")[0]: (tuple(each.shape), each.trainable) for each in loaded
    }.items() <= found.items()


def test_what_tensorflow_saves_of_a_keras_model_is_listed_under_its_layers(tf: Any, trained: tuple[Any, Path]) -> None:
    model, directory = trained
    tf.saved_model.save(model, str(directory / "saved"))
    found = listed(directory / "saved")
    # TensorFlow does not save the state of a random generator that Keras holds.
    kept = {name: value for name, value in expected(model).items() if not name.startswith("seed_generator")}
    assert kept.items() <= found.items()
    assert all(name.startswith("adam") for name in found.keys() - kept.keys())


@pytest.mark.corpus
def test_optimizer_slots_of_keras_2_are_listed_under_their_names(corpus: Path) -> None:
    found = listed(corpus / "tensorflow__tfx/tfx/components/testdata/trainer/keras/Format-Serving")
    assert found["dense_1/kernel"] == ((8, 8), True)
    assert found["Adam/dense_1/kernel/m"] == ((8, 8), False)


def test_modules_of_one_name_are_listed_by_key(tf: Any, tmp_path: Path) -> None:
    root = tf.Module()
    root.parts = [tf.Module() for _ in range(2)]
    for part in root.parts:
        part.weight = tf.Variable([1.0], name="same/weight")
    root.lone = tf.Variable([1.0], name="scope/lone")
    root.plain = tf.Variable([1.0], name="v")
    tf.saved_model.save(root, str(tmp_path))
    assert set(listed(tmp_path)) == {"parts/0/weight", "parts/1/weight", "scope/lone", "plain"}


def test_trainable_by_the_collections_of_version_1(tf: Any, tmp_path: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for trainable in (True, False):
            v1.get_variable(f"trained_{trainable}", [2], trainable=trainable, use_resource=True)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(session, ["serve"])
        builder.save()
    assert listed(tmp_path / "model") == {"trained_True": ((2,), True), "trained_False": ((2,), False)}


# Versions and layouts


def test_the_newest_version_is_shown_and_said(samples: Built) -> None:
    model = tfmagic.inspect(samples["saved_model_versions"])
    assert model.origin.endswith("served/10")
    assert "version 10 is shown, the newest of '10', '2'" in model.notes[0]
    assert "version 10 is shown" in repr(model)
    older = tfmagic.inspect(samples.path("saved_model_versions") / "2")
    assert older.origin.endswith("served/2")
    assert not older.notes


def test_what_is_no_version_is_passed_over(samples: Built, tmp_path: Path) -> None:
    versions = samples.copy("saved_model_versions", tmp_path)
    for name in ("30", "latest", "1.5", "²", "40"):
        (versions / name).mkdir()
    (versions / "50").write_text("a file")
    assert tfmagic.inspect(versions).origin.endswith("served/10")
    (versions / "000000000000000000000000000000000000000123").symlink_to("2")
    assert "'2'" in tfmagic.inspect(versions).notes[0]


def test_triton_s_layout(samples: Built, tmp_path: Path) -> None:
    for version in ("1", "3"):
        shutil.copytree(samples.path("saved_model_tf2"), tmp_path / "model" / version / "model.savedmodel")
    (tmp_path / "model" / "config.pbtxt").write_text('name: "model"\nplatform: "tensorflow_savedmodel"\n')
    model = tfmagic.inspect(tmp_path / "model")
    assert model.origin.endswith("model/3/model.savedmodel")
    assert "version 3" in model.notes[0]
    assert set(WEIGHTS) <= set(model.variables["name"])
    assert tfmagic.inspect(tmp_path / "model" / "1").origin.endswith("1/model.savedmodel")


def test_the_binary_file_counts_where_both_are(samples: Built, tmp_path: Path) -> None:
    directory = samples.copy("saved_model_text", tmp_path)
    assert len(tfmagic.inspect(directory).ops)
    empty = protos.message("SavedModel")(saved_model_schema_version=1)
    empty.meta_graphs.add().meta_info_def.tags.append("binary")
    (directory / "saved_model.pb").write_bytes(empty.SerializeToString())
    assert list(tfmagic.inspect(directory).metagraphs["tags"]) == ["binary"]


def test_a_chunked_file_is_refused_in_words(samples: Built, tmp_path: Path) -> None:
    directory = samples.copy("saved_model_tf2", tmp_path)
    (directory / "saved_model.pb").unlink()
    (directory / "saved_model.cpb").write_bytes(b"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f" + bytes(100))
    with pytest.raises(errors.CorruptSourceError, match=r"chunked proto .* save it unchunked"):
        _ = tfmagic.inspect(directory).ops


def test_exports_within_a_training_directory_do_not_hide_its_checkpoint(samples: Built, tmp_path: Path) -> None:
    directory = samples.copy("checkpoint_sharded", tmp_path)
    shutil.copytree(samples.path("saved_model_tf2"), directory / "1")
    assert tfmagic.inspect(directory).form == "checkpoint"
    (directory / "checkpoint").unlink()
    assert tfmagic.inspect(directory).form == "meta_graph"
    shutil.copytree(samples.path("saved_model_tf2"), directory, dirs_exist_ok=True)
    assert tfmagic.inspect(directory).form == "saved_model"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("tensorflow__tensorflow@69cfb3b2/tensorflow/cc/saved_model/testdata/half_plus_two_sharded", {"a", "b", "c"}),
        ("tensorflow__tensorflow@939309de/tensorflow/cc/saved_model/testdata/half_plus_two", {"a", "b", "c"}),
    ],
)
def test_layouts_before_version_1(corpus: Path, name: str, variables: set[str]) -> None:
    model = tfmagic.inspect(corpus / name)
    assert model.form == "saved_model"
    assert set(model.variables["name"]) <= variables
    assert len(model.variables) >= 2
    assert len(model.signatures)


# Tags


def test_several_metagraphs(samples: Built) -> None:
    model = tfmagic.inspect(samples["saved_model_several"])
    assert list(model.metagraphs["tags"]) == ["train", "serve", "serve,gpu"]
    assert set(model.metagraphs["variables"]) == {4}
    assert set(model.metagraphs["signatures"]) == {1}
    assert model.meta_graph.tags == ("serve",)
    assert sorted(set(model.signatures["tags"])) == ["serve", "serve,gpu", "train"]


@pytest.mark.parametrize("tags", ["serve,gpu", "gpu, serve", ["gpu", "serve"], {"serve", "gpu"}])
def test_tags_choose_in_any_order(samples: Built, tags: Any) -> None:
    model = tfmagic.inspect(samples["saved_model_several"], tags=tags)
    assert list(model.metagraphs["tags"]) == ["serve,gpu"]
    assert set(model.signatures["tags"]) == {"serve,gpu"}


@pytest.mark.parametrize("tags", ["gpu", "serv", "", "serve,gpu,tpu"])
def test_unknown_tags_name_those_that_there_are(samples: Built, tags: str) -> None:
    with pytest.raises(errors.UnknownNameError) as caught:
        tfmagic.inspect(samples["saved_model_several"], tags=tags)
    assert caught.value.kind == "tag-set"
    assert caught.value.available == ("train", "serve", "serve,gpu")
    assert "'serve" in str(caught.value)


@pytest.mark.corpus
def test_tags_choose_in_a_model_that_was_read_before(samples: Built) -> None:
    whole = tfmagic.inspect(samples["saved_model_several"])
    for tags in ("train", "gpu,serve"):
        found = tfmagic.inspect(whole, tags=tags)
        assert [set(each.tags) for each in found.meta_graphs] == [set(tags.split(","))]
        assert len(found.metagraphs) == 1
    with pytest.raises(errors.UnknownNameError, match="'train', 'serve', 'serve,gpu'"):
        tfmagic.inspect(whole, tags="nope")
    with pytest.raises(errors.UnknownNameError, match="there is 'train'"):
        tfmagic.inspect(tfmagic.inspect(whole, tags="train"), tags="serve")


def test_a_model_of_several_metagraphs_is_converted_as_its_path_is(samples: Built, tmp_path: Path) -> None:
    whole = tfmagic.inspect(samples["saved_model_several"])
    assert list(tfmagic.export(whole, tmp_path / "made").verification["equal"]) == [True]
    notes = tfmagic.freeze(whole, tags="train").notes
    assert not [note for note in notes if "not verified" in note]
    with pytest.raises(errors.UnknownNameError, match="no tag-set 'nope'"):
        tfmagic.freeze(whole, tags="nope")
    assert list(tfmagic.run(whole).outputs) == ["y"]


def test_an_empty_tag_set_can_be_chosen(corpus: Path) -> None:
    path = corpus / "generated-by-upstream-tests/freeze_graph_test/testFreezeSavedModel-2"
    assert list(tfmagic.inspect(path, tags="").metagraphs["tags"]) == [""]


# Pieces that are missing, and assets


def test_without_variables_the_graph_declares_them(samples: Built, tmp_path: Path) -> None:
    directory = samples.copy("saved_model_tf1", tmp_path)
    complete = tfmagic.inspect(directory).variables.sort_values("name", ignore_index=True)
    shutil.rmtree(directory / "variables")
    model = tfmagic.inspect(directory)
    assert "there is no checkpoint in it" in model.notes[0]
    assert model.variables.sort_values("name", ignore_index=True).equals(complete)


def test_variables_without_their_index_or_their_data(samples: Built, tmp_path: Path) -> None:
    directory = samples.copy("saved_model_tf2", tmp_path)
    (directory / "variables" / "variables.data-00000-of-00001").unlink()
    model = tfmagic.inspect(directory)
    assert set(WEIGHTS) <= set(model.variables["name"])
    (directory / "variables" / "variables.index").unlink()
    assert "there is no checkpoint" in tfmagic.inspect(directory).notes[0]


def with_vocabulary(tf: Any, directory: Path) -> Path:
    """A SavedModel with a table that is read from an asset."""
    (directory / "vocabulary.txt").write_text("a\nb\n")
    module = tf.Module()
    kinds = tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(directory / "vocabulary.txt"), *kinds), default_value=-1
    )
    find = tf.function(module.table.lookup, input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    tf.saved_model.save(module, str(directory / "model"), signatures={"find": find})
    return directory / "model"


def test_assets(tf: Any, tmp_path: Path) -> None:
    found = tfmagic.inspect(with_vocabulary(tf, tmp_path)).assets
    assert found.to_dict("records") == [
        {"tags": "serve", "filename": "vocabulary.txt", "tensor": found["tensor"][0], "bytes": 4}
    ]
    assert found["tensor"][0].endswith(":0")
    (tmp_path / "model" / "assets" / "vocabulary.txt").unlink()
    assert tfmagic.inspect(tmp_path / "model").assets["bytes"].isna().all()


def test_assets_that_tensorflow_1_keeps_in_a_collection(tf: Any, tmp_path: Path) -> None:
    """Once each, whoever entered them, in what it saved as in a session and a ``.meta``, where they lie elsewhere."""
    v1, vocabulary = tf.compat.v1, tmp_path / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")
    with tf.Graph().as_default(), v1.Session() as session:
        words = v1.placeholder(tf.string, [None], "words")
        path = tf.constant(str(vocabulary), name="path")
        kinds = tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(path, *kinds), -1)
        found = table.lookup(words)
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, path)
        session.run(v1.tables_initializer())
        v1.train.export_meta_graph(str(tmp_path / "graph.meta"))
        for source in (session, tmp_path / "graph.meta"):
            (row,) = tfmagic.inspect(source).assets.to_dict("records")
            assert (row["filename"], row["tensor"]) == (str(vocabulary), "path:0")
        builder = v1.saved_model.Builder(str(tmp_path / "model"))
        signature = v1.saved_model.predict_signature_def({"words": words}, {"ids": found})
        collected = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        more = {"assets_collection": collected, "main_op": v1.tables_initializer()}
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, **more)
    builder.save()
    assert tfmagic.inspect(tmp_path / "model").assets.to_dict("records") == [
        {"tags": "serve", "filename": "vocabulary.txt", "tensor": "path:0", "bytes": 4}
    ]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "link", "../assets/../../secret", "nul\0byte", "..", "."])
def test_an_asset_that_leads_elsewhere_is_not_followed(name: str, tmp_path: Path) -> None:
    saved = protos.message("SavedModel")(saved_model_schema_version=1)
    saved.meta_graphs.add().asset_file_def.add(filename=name).tensor_info.name = "asset:0"
    directory = tmp_path / "model"
    (directory / "assets").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (directory / "secret").write_text("secret")
    (directory / "assets" / "link").symlink_to(tmp_path / "secret")
    (directory / "saved_model.pb").write_bytes(saved.SerializeToString())
    model = tfmagic.inspect(directory)
    assert list(model.assets["filename"]) == [name]
    assert model.assets["bytes"].isna().all()
    repr(model)


# Ends


def test_a_saved_model_without_a_signature_proposes_its_ends(samples: Built, tmp_path: Path) -> None:
    directory = samples.copy("saved_model_tf1", tmp_path)
    known = tfmagic.inspect(directory).signatures
    saved = protos.parse("SavedModel", (directory / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].ClearField("signature_def")
    (directory / "saved_model.pb").write_bytes(saved.SerializeToString())
    proposed = tfmagic.inspect(directory).signatures
    columns = ["tags", "side", "tensor", "dtype", "shape"]
    assert proposed[columns].to_dict("records") == known[columns].to_dict("records")
    assert set(proposed["signature"]) == set(proposed["method"]) == {"proposed"}
