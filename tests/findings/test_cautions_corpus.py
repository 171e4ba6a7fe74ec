"""How many of the corpus' models give a cause for each caution, counted, and why each is right."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.conftest import CORPUS
from tfmagic import errors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.corpus

#: Of so many models each, by what they give a cause for. Looked at one by one: none of them is wrong.
RATES = {
    # Graphs whose values are not in their files: GraphDefs that nobody froze, `.meta` without a checkpoint, two
    # SavedModels of tests without a value for a variable.
    "missing-weights": 35,
    # The signatures of upstream's tests are of one example, or of scalars beside it.
    "fixed-batch": 21,
    # Of TensorFlow Text, Decision Forests, TensorRT, TFX, and names that tests made up.
    "foreign-ops": 10,
    # Training graphs of TensorFlow 1.
    "input-pipeline": 7,
    # Batch normalisation that was exported as it was made.
    "untrained": 4,
    # Training graphs whose ends are proposed: dropout at a constant rate, batch normalisation that trains.
    "training-mode": 2,
    "mutable-tables": 2,
}


@pytest.fixture(scope="module")
def known(corpus: Path) -> dict[str, set[str]]:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    codes: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        try:
            codes[path] = {caution.code for caution in tfmagic.inspect(CORPUS / path).cautions}
        except errors.ReadError:
            continue  # tests/test_corpus.py says which and why
    return codes


def test_so_many_models_give_a_cause(known: dict[str, set[str]]) -> None:
    assert Counter(code for codes in known.values() for code in codes) == RATES
    assert sum(map(bool, known.values())) / len(known) < 0.12
