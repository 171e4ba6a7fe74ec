"""A catalogue of a bucket, on a real S3 API with faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import tfmagic
from tests.s3_servers import BUCKET, KEY, SECRET, Bucket, object_of, s3_bucket
from tests.verbs.cataloguing import trees
from tests.verbs.cataloguing.test_addresses import ALIKE, names
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEAM = f"s3://{BUCKET}/team"


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket."""
    with s3_bucket() as served:
        yield served


@pytest.fixture
def place(tmp_path: Path, bucket: Bucket) -> Path:
    """Models here, and in the bucket."""
    place = tmp_path / "place"
    trees.saved_model(place / "served" / "1", seed=1)
    trees.saved_model(place / "served" / "2", seed=2)
    trees.checkpoint(place / "training" / "ckpt-1", seed=1)
    trees.frozen(place / "frozen.pb", trees.weight("w", trees.numbers(200_000)))
    (place / "broken.keras").write_bytes(b"")
    bucket.put(place, "team")
    return place


def objects(bucket: Bucket, method: str = "GET") -> list[str]:
    """Return the objects that were read, or asked for."""
    return [object_of(path) for asked, path, _ in bucket.requests if asked == method and object_of(path)]


def test_a_bucket_is_catalogued_as_a_disk(place: Path, bucket: Bucket, tmp_path: Path) -> None:
    there, here = tfmagic.catalog(f"{TEAM}/**", output=tmp_path / "out.csv"), tfmagic.catalog(place)
    assert names(there, TEAM) == names(here, str(place))
    columns = [name for name in ALIKE if name != "error"]
    pd.testing.assert_frame_equal(there[columns], here[columns])
    assert there["error"].isna().tolist() == here["error"].isna().tolist()
    # Of values, nothing: the index has the checksums.
    assert not any(".data-" in name for name in objects(bucket))
    for text in (there.to_csv(), (tmp_path / "out.csv").read_text()):
        assert KEY not in text
        assert SECRET not in text


def test_only_what_changed_in_a_bucket_is_read_again(place: Path, bucket: Bucket) -> None:
    first = tfmagic.catalog(TEAM)
    sound = first[first["error"].isna()]
    (place / "broken.keras").unlink()
    bucket.client.delete_object(Bucket=BUCKET, Key="team/broken.keras")
    bucket.requests.clear()
    pd.testing.assert_frame_equal(tfmagic.catalog(TEAM, previous=first), sound.reset_index(drop=True))
    assert objects(bucket) == []
    trees.frozen(place / "frozen.pb")
    bucket.put(place, "team")
    bucket.requests.clear()
    again = tfmagic.catalog(TEAM, previous=first)
    assert again["bytes"].tolist() != sound["bytes"].tolist()
    # What was uploaded once more with the same content has the same ETag.
    assert set(objects(bucket)) == {"team/frozen.pb"}


def test_throttling_is_waited_out(place: Path, bucket: Bucket) -> None:
    seen: set[str] = set()

    def fault(method: str, path: str, _count: int) -> int | None:
        if method == "GET" and path not in seen and len(seen) < 5:
            seen.add(path)
            return 503
        return None

    bucket.fault = fault
    there = tfmagic.catalog(TEAM)
    assert len(seen) == 5
    assert there["error"].isna().sum() == 4
    assert len(there) == len(tfmagic.catalog(place))


@pytest.mark.parametrize("fault", [403, 404, "cut"])
def test_what_fails_is_in_the_row_of_its_model(place: Path, bucket: Bucket, fault: Any) -> None:
    def failing(method: str, path: str, _count: int) -> int | str | None:
        return fault if method == "GET" and object_of(path) == "team/frozen.pb" else None

    bucket.fault = failing
    there = tfmagic.catalog(TEAM)
    assert names(there, TEAM) == names(tfmagic.catalog(place), str(place))
    told = dict(zip(names(there, TEAM), there["error"], strict=True))
    assert told.pop("frozen.pb")
    assert told.pop("broken.keras")
    assert set(told.values()) == {None}
    assert SECRET not in there.to_csv()


@pytest.mark.usefixtures("place")
def test_a_bucket_that_may_not_be_listed_is_told(bucket: Bucket) -> None:
    bucket.fault = lambda _method, _path, _count: 403
    with pytest.raises(errors.ReadError, match="may not be read") as raised:
        tfmagic.catalog(TEAM)
    assert SECRET not in str(raised.value)


@pytest.mark.usefixtures("place")
def test_an_object_that_changes_while_it_is_read_is_no_mixture(bucket: Bucket) -> None:
    changed: list[str] = []

    def changing(method: str, path: str, _count: int) -> None:
        if method == "GET" and object_of(path) == "team/frozen.pb" and not changed:
            changed.append(path)
            bucket.client.put_object(Bucket=BUCKET, Key="team/frozen.pb", Body=bytes(500_000))

    bucket.fault = changing
    there = tfmagic.catalog(TEAM)
    assert changed
    told = dict(zip(names(there, TEAM), there["error"], strict=True))
    assert told["frozen.pb"]


@pytest.mark.slow
@pytest.mark.usefixtures("bucket")
def test_a_bucket_is_catalogued_by_processes(place: Path) -> None:
    there = tfmagic.catalog(TEAM, executor="processes")
    columns = [name for name in ALIKE if name != "error"]
    pd.testing.assert_frame_equal(there[columns], tfmagic.catalog(place)[columns])
