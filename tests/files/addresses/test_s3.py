"""Models in a bucket: read as from disk, written whole or not at all, with a server that fails in all ways."""

from __future__ import annotations

import io
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tfmagic
from tests.s3_servers import BUCKET, KEY, SECRET, Bucket, object_of, s3_bucket
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.samples import Built

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket."""
    with s3_bucket() as served:
        yield served


def large_graph(size: int) -> bytes:
    """Return a GraphDef with one constant of so many bytes."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who builds should take

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, size // 4], "x")
        weights = np.arange(size // 4, dtype=np.float32)
        tf.identity(x * tf.constant(weights, name="weights"), name="y")
    data: bytes = graph.as_graph_def().SerializeToString()
    return data


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("saved_model_tf2", "model"),
        ("saved_model_versions", "served"),
        ("keras_hdf5", "model.h5"),
        ("keras_archive", "model.keras"),
        ("graph_def", "graph.pb"),
        ("checkpoint_sharded", ""),
        ("meta_graph", "model.ckpt.meta"),
        ("tflite", "model.tflite"),
    ],
)
def test_a_bucket_is_read_as_a_disk(samples: Built, bucket: Bucket, name: str, place: str) -> None:
    samples.path(name)
    bucket.put(samples.directory / name, f"team/{name}")
    there = tfmagic.inspect(f"s3://{BUCKET}/team/{name}/{place}".rstrip("/"))
    here = tfmagic.inspect(samples.directory / name / place)
    assert (there.form, there.parts) == (here.form, here.parts)
    for table in {"variables", "signatures"} & set(there.parts):
        pd.testing.assert_frame_equal(there.table(table), here.table(table))
    assert there.fetched.bytes > 0
    # Nothing of a value: the shards are looked at, not read.
    assert not any(
        ".data-" in path and method == "GET" and "list-type" not in path for method, path, _ in bucket.requests
    )
    assert KEY not in repr(there)
    assert SECRET not in repr(there)


def test_values_in_a_bucket_are_read_and_run(samples: Built, bucket: Bucket) -> None:
    samples.path("saved_model_tf2")
    bucket.put(samples.directory / "saved_model_tf2", "team")
    x = [[1.0, 2.0, 3.0, 4.0]]
    there = tfmagic.run(f"s3://{BUCKET}/team/model", {"x": x})
    here = tfmagic.run(samples.path("saved_model_tf2"), {"x": x})
    assert there.outputs["y"].tolist() == here.outputs["y"].tolist()
    assert len(tfmagic.diff(f"s3://{BUCKET}/team/model", samples.path("saved_model_tf2")).table) == 0


def test_an_object_that_changes_between_two_ranges_is_an_error(bucket: Bucket) -> None:
    data = large_graph(4 << 20)
    bucket.client.put_object(Bucket=BUCKET, Key="graph.pb", Body=data)
    model = tfmagic.inspect(f"s3://{BUCKET}/graph.pb")
    bucket.client.put_object(Bucket=BUCKET, Key="graph.pb", Body=data[:-1] + b"\0")
    with pytest.raises(errors.ReadError, match=r"'s3://models/graph.pb' (changed while|was written again)"):
        _ = model.ops


def test_throttling_passes(samples: Built, bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=BUCKET, Key="graph.pb", Body=samples.path("graph_def").read_bytes())
    refused: list[str] = []

    def slow_down(method: str, path: str, _count: int) -> int | None:
        if method == "GET" and object_of(path) == "graph.pb" and len(refused) < 2:
            refused.append(path)
            return 503
        return None

    bucket.fault = slow_down
    assert len(tfmagic.inspect(f"s3://{BUCKET}/graph.pb").ops)
    assert len(refused) == 2


def test_an_answer_cut_in_the_middle_is_asked_for_again(samples: Built, bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=BUCKET, Key="graph.pb", Body=samples.path("graph_def").read_bytes())
    cuts: list[str] = []

    def cut(method: str, path: str, _count: int) -> str | None:
        if method == "GET" and object_of(path) == "graph.pb" and not cuts:
            cuts.append(path)
            return "cut"
        return None

    bucket.fault = cut
    assert len(tfmagic.inspect(f"s3://{BUCKET}/graph.pb").ops)
    assert cuts


def test_a_refusal_is_one_line_without_credentials(samples: Built, bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=BUCKET, Key="graph.pb", Body=samples.path("graph_def").read_bytes())
    bucket.fault = lambda method, _, __: 403 if method in ("GET", "HEAD") else None
    with pytest.raises(errors.ReadError, match=r"may not be read.*credentials") as caught:
        tfmagic.inspect(f"s3://{BUCKET}/graph.pb")
    text = "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)
    assert not any(word in text for word in (KEY, SECRET, "AccessDenied"))


def test_nothing_there_is_said(bucket: Bucket) -> None:
    del bucket
    for place in (f"s3://{BUCKET}/none.pb", "s3://no-such-bucket/none.pb", f"s3://{BUCKET}"):
        with pytest.raises((FileNotFoundError, errors.ReadError)) as caught:
            tfmagic.inspect(place)
        assert place in str(caught.value)


def test_who_may_not_list_reads_all_the_same(samples: Built, bucket: Bucket) -> None:
    samples.path("checkpoint_v2")
    bucket.put(samples.directory / "checkpoint_v2", "team")
    bucket.fault = lambda _, path, __: 403 if "list-type" in path else None
    there = tfmagic.inspect(f"s3://{BUCKET}/team/model.ckpt")
    pd.testing.assert_frame_equal(there.variables, tfmagic.inspect(samples.path("checkpoint_v2")).variables)


# Results


@pytest.mark.parametrize(
    ("destination", "decisive"),
    [("served/1", "served/1/saved_model.pb"), ("m.pb", "m.pb"), ("m.keras", "m.keras"), ("w/m.ckpt", "w/m.ckpt.index")],
)
def test_a_result_is_uploaded_with_what_makes_it_a_model_last(
    samples: Built, bucket: Bucket, destination: str, decisive: str
) -> None:
    done = tfmagic.export(samples["keras_model"], f"s3://{BUCKET}/{destination}")
    assert str(done.path) == f"s3://{BUCKET}/{destination}"
    assert done.verification["equal"].all()
    written = [object_of(path) for method, path, _ in bucket.requests if method == "PUT"]
    assert written[-1] == decisive
    assert sorted(written) == bucket.names()
    x = [[1.0, 2.0, 3.0, 4.0]]
    if destination != "w/m.ckpt":
        there = tfmagic.run(f"s3://{BUCKET}/{destination}", {"x": x})
        expected = tfmagic.run(samples["keras_model"], {"x": x})
        np.testing.assert_allclose(next(iter(there.outputs.values())), next(iter(expected.outputs.values())), rtol=1e-5)


def test_what_is_there_is_not_replaced_without_the_users_word(samples: Built, bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=BUCKET, Key="m.pb", Body=b"old")
    bucket.client.put_object(Bucket=BUCKET, Key="served/3/saved_model.pb", Body=b"old")
    bucket.client.put_object(Bucket=BUCKET, Key="w/m.ckpt.index", Body=b"old")
    with pytest.raises(errors.WriteError, match=r"m_1.pb' is free"):
        tfmagic.freeze(samples["keras_model"], output=f"s3://{BUCKET}/m.pb")
    with pytest.raises(errors.WriteError, match=r"never replaced.*served/4', which is free"):
        tfmagic.export(samples["keras_model"], f"s3://{BUCKET}/served/3", overwrite=True)
    with pytest.raises(errors.WriteError, match=r"never replaced.*w/m_1.ckpt', which is free"):
        tfmagic.export(samples["keras_model"], f"s3://{BUCKET}/w/m.ckpt", overwrite=True)
    tfmagic.freeze(samples["keras_model"], output=f"s3://{BUCKET}/m.pb", overwrite=True)
    assert len(tfmagic.inspect(f"s3://{BUCKET}/m.pb").ops)
    assert len(bucket.names()) == 3


def test_an_upload_that_fails_leaves_nothing(samples: Built, bucket: Bucket) -> None:
    def refused(method: str, path: str, _count: int) -> int | None:
        return 403 if method == "PUT" and object_of(path).endswith("saved_model.pb") else None

    bucket.fault = refused
    with pytest.raises(errors.WriteError, match=r"Nothing of it is left there") as caught:
        tfmagic.export(samples["keras_model"], f"s3://{BUCKET}/served/1")
    assert bucket.names() == []
    text = "".join(traceback.format_exception(caught.value))
    assert not any(word in text for word in (KEY, SECRET, "AccessDenied"))


def test_what_cannot_be_removed_is_named(samples: Built, bucket: Bucket) -> None:
    def refused(method: str, path: str, _count: int) -> int | None:
        is_delete = method == "DELETE" or "delete" in path
        return 403 if is_delete or (method == "PUT" and object_of(path).endswith("saved_model.pb")) else None

    bucket.fault = refused
    with pytest.raises(errors.WriteError, match=r"could not be removed again: 's3://models/served/1/") as caught:
        tfmagic.export(samples["keras_model"], f"s3://{BUCKET}/served/1")
    assert all(repr(f"s3://{BUCKET}/{name}") in str(caught.value) for name in bucket.names())
    assert bucket.names()


def test_an_upload_in_parts_that_fails_or_stops_is_ended(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(large_graph(18 << 20))
    bucket.client.put_object(Bucket=BUCKET, Key="m.pb", Body=b"old")
    parts: list[str] = []

    def refused(method: str, path: str, _count: int) -> int | None:
        if method == "PUT" and "partNumber" in path:
            parts.append(path)
            return 403 if len(parts) > 1 else None
        return None

    bucket.fault = refused
    with pytest.raises(errors.WriteError, match=r"What was there before is unchanged"):
        tfmagic.export(tmp_path / "graph.pb", f"s3://{BUCKET}/m.pb", overwrite=True, inputs=["x"], outputs=["y"])
    assert len(parts) > 1
    assert bucket.unfinished() == []
    assert bucket.client.get_object(Bucket=BUCKET, Key="m.pb")["Body"].read() == b"old"


def test_a_signed_and_a_slimmed_copy_are_uploaded(samples: Built, bucket: Bucket) -> None:
    samples.path("saved_model_tf2")
    bucket.put(samples.directory / "saved_model_tf2", "team")
    source = f"s3://{BUCKET}/team/model"
    with pytest.raises(errors.WriteError, match="name a destination"):
        tfmagic.sign(source, rename={"serving_default": "predict"})
    signed = tfmagic.sign(source, f"s3://{BUCKET}/signed", rename={"serving_default": "predict"})
    assert set(signed.signatures["signature"]) == {"predict"}
    slimmed = tfmagic.slim(source, f"s3://{BUCKET}/slim")
    assert str(slimmed.path) == f"s3://{BUCKET}/slim"
    assert len(tfmagic.inspect(slimmed.path).variables) == 4


def test_credentials_appear_nowhere(samples: Built, bucket: Bucket) -> None:
    samples.path("saved_model_tf2")
    bucket.put(samples.directory / "saved_model_tf2", "team")
    model = tfmagic.inspect(f"s3://{BUCKET}/team/model")
    shown = io.StringIO()
    for each in (model, model.variables, tfmagic.scan(model), tfmagic.code("freeze", model), tfmagic.slim(model)):
        print(each, getattr(each, "_repr_html_", str)(), file=shown)
    state: Any = tfmagic.panel(model)
    print(state, state.get_state() if hasattr(state, "get_state") else "", file=shown)
    assert f"s3://{BUCKET}/team/model" in shown.getvalue()
    assert KEY not in shown.getvalue()
    assert SECRET not in shown.getvalue()


def test_the_code_fetches_and_sends(samples: Built, bucket: Bucket, tmp_path: Path) -> None:
    samples.path("saved_model_tf2")
    bucket.put(samples.directory / "saved_model_tf2", "team")
    source, result = f"s3://{BUCKET}/team/model", f"s3://{BUCKET}/result/frozen.pb"
    text = str(tfmagic.code("freeze", source, output=result))
    assert f"url_to_fs({source!r})" in text
    assert f"url_to_fs({result!r})" in text
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        exec(compile(text, "code", "exec"), {})  # noqa: S102 - it is what the test is about
    assert (tmp_path / "model" / "saved_model.pb").is_file()
    assert "result/frozen.pb" in bucket.names()
    assert len(tfmagic.inspect(result).ops)
    secret = str(tfmagic.code("export", source, f"https://ann:{SECRET}@example.org/m.pb?token={SECRET}"))
    assert SECRET not in secret
    assert "https://example.org/m.pb" in secret
