"""The catalogue of the corpus of real model files: each item in a row, without an error where it can be read."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import tfmagic
from tests.test_corpus import REFUSED

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.corpus, pytest.mark.slow]


def is_met(item: str, addresses: set[str]) -> bool:
    """Say whether an item of the manifest is a model of the catalogue, a file of one, or a folder of some."""
    return item in addresses or any(
        address.startswith(f"{item}/") or item.startswith((f"{address}/", f"{address}.")) for address in addresses
    )


def test_each_item_is_met_and_only_what_nobody_reads_has_an_error(corpus: Path) -> None:
    frame = tfmagic.catalog(corpus)
    frame["address"] = [str(address).removeprefix(f"{corpus}/") for address in frame["address"]]
    corrupt = {item for item, (error, *_) in REFUSED.items() if error == "CorruptSourceError"}
    unrecognised = REFUSED.keys() - corrupt
    broken = frame[frame["error"].notna()].set_index("address")["error"].to_dict()
    assert {item: error for item, error in broken.items() if item not in corrupt} == {}
    assert broken.keys() == corrupt
    addresses = set(frame["address"])
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as file:
        items = {row["path"].rstrip("/") for row in csv.DictReader(file, delimiter="\t")}
    assert {item for item in items if not is_met(item, addresses)} == unrecognised
    sound = frame[frame["error"].isna()]
    assert sound[["form", "severity", "formats", "created"]].notna().all(axis=None)
    # What stores no checksums, and what is no graph, has no fingerprint.
    assert sound["weights"].notna().sum() > 80
    assert sound["structure"].notna().sum() > 550


def test_a_second_catalogue_reads_nothing_again(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = corpus / "SciSharp__TensorFlow.NET"
    first = tfmagic.catalog(place)
    monkeypatch.setattr("tfmagic.readers.read", lambda *_arguments, **_options: pytest.fail("read again"))
    assert len(first)
    pd.testing.assert_frame_equal(tfmagic.catalog(place, previous=first), first)
