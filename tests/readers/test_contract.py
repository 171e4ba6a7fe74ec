"""Every form through one contract: recognised by one reader, its parts and tables as DESIGN says, nothing touched."""

from __future__ import annotations

import hashlib
import html
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest

import tfmagic
from tests.conftest import ROOT
from tests.samples import SAMPLES, WEIGHTS, Built, Sample
from tfmagic import errors, frames, readers
from tfmagic.display import card
from tfmagic.models import model, public_tables, recognition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.tensorflow

#: Columns of the public tables, as DESIGN section 5 has them.
COLUMNS = {
    "signatures": "tags signature method side key tensor dtype shape",
    "ops": "function name op inputs control_inputs device dtype shape bytes",
    "functions": "function inputs outputs ops called_by",
    "variables": "name dtype shape size bytes trainable",
    "metagraphs": "tags tensorflow_version ops functions signatures variables bytes",
    "assets": "tags filename tensor bytes",
    "layers": "name class inputs outputs shape parameters trainable bytes flops activation_bytes",
    "costs": "scope class ops parameters bytes flops activation_bytes",
}
CATEGORICAL = {
    "signatures": {"tags", "dtype"},
    "ops": {"function", "op", "device", "dtype"},
    "functions": set(),
    "variables": {"dtype"},
    "metagraphs": {"tags"},
    "assets": {"tags"},
    "layers": set(),
    "costs": set(),
}
INTEGERS = {
    "size", "bytes", "parameters", "ops", "functions", "signatures", "variables", "flops", "activation_bytes",
}  # fmt: skip
#: The part that each table shows.
PARTS = {
    "signatures": "signatures",
    "ops": "graph",
    "functions": "graph",
    "variables": "variables",
    "metagraphs": "graph",
    "assets": "graph",
    "layers": "keras",
    # Of a Keras model they are made of its layers.
    "costs": "graph",
}
#: What may be taken for another form on explicit word: the `.meta` beside a checkpoint.
ALSO = {
    "checkpoint_sharded": {"meta_graph"},
    "checkpoint_v1": {"meta_graph"},
    "meta_graph_of_a_prefix": {"checkpoint"},
}
FILES = [sample for sample in SAMPLES.values() if sample.is_file]


def over(samples: Iterable[Sample]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sample", samples, ids=str)


every_sample = over(SAMPLES.values())
every_file = over(FILES)


def read(samples: Built, sample: Sample) -> model.Model:
    return tfmagic.inspect(samples[sample.name])


def tables_of(found: model.Model) -> list[str]:
    """The tables that there are; a graph without a signature proposes one."""
    available = {*found.parts, *(("signatures",) if "graph" in found.parts else ())}
    return [table for table, part in PARTS.items() if part in available]


def test_every_form_has_a_sample_and_every_sample_a_reader() -> None:
    assert {reader.form for reader in readers.READERS} == {sample.form for sample in SAMPLES.values()}


def test_tables_are_those_of_the_design() -> None:
    assert {table: " ".join(frames.columns(table)) for table in frames.ROW_TYPES} == COLUMNS
    assert {table: part.value for table, part in public_tables.TABLE_PARTS.items()} == PARTS


@every_sample
def test_one_reader_claims_it(samples: Built, sample: Sample) -> None:
    candidate = recognition.candidate_of(samples[sample.name])
    assert [reader.form for reader in readers.READERS if reader.claims(candidate)] == [sample.form]


@every_sample
def test_form_origin_and_parts(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    assert found.form == sample.form
    assert found.origin
    if sample.is_file:
        assert str(samples.path(sample.name)) in (found.origin, str(found.path.parent if found.path else ""))
    reader = next(reader for reader in readers.READERS if reader.form == sample.form)
    assert {*sample.parts, *found.parts} <= {part.value for part in reader.parts}
    assert set(sample.parts) <= set(found.parts)


@every_sample
def test_tables_have_their_columns_and_dtypes(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    for table in tables_of(found):
        for frame in (found.table(table), found.table(table, all=True), getattr(found, table)):
            assert " ".join(frame.columns) == COLUMNS[table]
            assert_dtypes(table, frame)
            assert list(frame.index) == list(range(len(frame)))


@pytest.mark.parametrize("table", COLUMNS)
def test_empty_tables_keep_columns_and_dtypes(table: str) -> None:
    frame = frames.from_rows(table, [])
    assert " ".join(frame.columns) == COLUMNS[table]
    assert not len(frame)
    assert_dtypes(table, frame)


def assert_dtypes(table: str, frame: pd.DataFrame) -> None:
    for column, dtype in frame.dtypes.items():
        if column in CATEGORICAL[table]:
            assert isinstance(dtype, pd.CategoricalDtype), column
            # Not pandas' own string type, which would make the labels of an empty column another type.
            assert all(isinstance(label, str) for label in dtype.categories)
        elif column in INTEGERS:
            assert str(dtype) in ("int64", "Int64"), column
        else:
            assert dtype == "object", column


@every_sample
def test_absent_parts_say_what_there_is(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    for table in COLUMNS.keys() - set(tables_of(found)):
        with pytest.raises(errors.MissingPartError) as caught:
            found.table(table)
        assert (caught.value.part, caught.value.form) == (PARTS[table], sample.form)
        assert caught.value.available == found.parts
        message = str(caught.value)
        assert all(word in message for word in (sample.form, PARTS[table], *map(repr, found.parts)))
    for part in {part.value for part in model.Part} - set(found.parts):
        with pytest.raises(errors.MissingPartError, match=part):
            found.part(model.Part(part))


@every_sample
def test_tags_that_choose_nothing_are_refused(samples: Built, sample: Sample) -> None:
    source = samples[sample.name]
    for given in (source, tfmagic.inspect(source)):
        with pytest.raises(errors.UnknownNameError) as caught:
            tfmagic.inspect(given, tags="nobody,has_these")
        assert caught.value.kind == "tag-set"
        told = [",".join(each.tags) for each in read(samples, sample).meta_graphs] if caught.value.available else []
        assert list(caught.value.available) == told
        message = str(caught.value)
        assert all(text in message for text in told or ["has no tag-sets, so leave it out"])


@every_sample
def test_what_has_no_tags_stands_for_what_servers_ask_for(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    own = next((each.tags for each in found.meta_graphs if "serve" in each.tags), ()) if "graph" in found.parts else ()
    assert tfmagic.inspect(samples[sample.name], tags=",".join(own or ("serve",))).form == sample.form


@every_sample
def test_it_is_the_network(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    if "signatures" in tables_of(found):
        ends = found.signatures
        first = {side: ends[ends["side"] == side].iloc[0] for side in ("input", "output")}
        assert (first["input"]["dtype"], first["input"]["shape"]) == ("float32", (None, 4))
        assert first["output"]["dtype"] == "float32"
        assert first["output"]["shape"] in ((None, 2), None)
    if "variables" in found.parts:
        # TFLite has the kernel of a dense layer the other way round.
        shapes = [value.shape[::-1] if found.has_own_ops else value.shape for value in WEIGHTS.values()]
        sizes = [(value.size, value.nbytes) for value in WEIGHTS.values()]
        expected = {(shape, "float32", *size) for shape, size in zip(shapes, sizes, strict=True)}
        listed = found.variables
        assert expected <= set(zip(listed["shape"], listed["dtype"], listed["size"], listed["bytes"], strict=True))
        assert listed["name"].is_unique
    if "graph" in found.parts:
        kinds = {"FULLY_CONNECTED"} if found.has_own_ops else {"MatMul", "Relu"}
        assert kinds <= set(found.ops["op"])


@every_sample
def test_displays_tell_the_same(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    text, markup = repr(found), found._repr_html_()
    plain = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", markup)))
    words = {word for line in text.splitlines() for word in re.split(r" {2,}|: ", line.strip()) if word}
    assert not [word for word in words if word not in plain]
    assert found.form in text
    # A picture is in the page itself: nothing is loaded for it.
    loading = re.sub(
        r'<img src="data:image/svg\+xml,[^"<>&#]*"', "", markup.replace(f"<style>{card.style()}</style>", "")
    )
    assert "url(" not in card.style()
    assert "@import" not in card.style()
    assert not re.search(r"<(script|img|link|style|svg)\b", loading)
    bundle = found._repr_mimebundle_()
    assert (bundle["text/plain"], bundle["text/html"]) == (text, markup)


@every_sample
def test_a_model_is_itself_a_source(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    assert tfmagic.inspect(found) is found


@every_sample
def test_the_form_can_be_named(samples: Built, sample: Sample) -> None:
    found = tfmagic.inspect(samples[sample.name], form=sample.form)
    assert (found.form, found.origin) == (sample.form, read(samples, sample).origin)


@every_sample
def test_another_form_than_it_is_of_is_refused(samples: Built, sample: Sample) -> None:
    for form in {reader.form for reader in readers.READERS} - {sample.form, *ALSO.get(sample.name, ())}:
        with pytest.raises(errors.ReadError) as caught:
            read_all(samples[sample.name], form)
        assert not sample.is_file or repr(str(samples[sample.name]))[:-1] in str(caught.value)
    with pytest.raises(errors.UnknownNameError, match="did you mean 'saved_model'"):
        tfmagic.inspect(samples[sample.name], form="savedmodel")


def read_all(source: object, form: str) -> None:
    found = tfmagic.inspect(source, form=form)
    for table in tables_of(found):
        found.table(table)


@every_sample
def test_nothing_is_read_before_it_is_asked_for_and_then_once(samples: Built, sample: Sample) -> None:
    found = read(samples, sample)
    assert found._read == {}
    for table in tables_of(found):
        kept = found.table(table, all=True)
        pd.testing.assert_frame_equal(found.table(table, all=True), kept)
    loaded = dict(found._read)
    repr(found)
    assert all(found._read[name] is value for name, value in loaded.items())


@every_file
def test_reading_changes_nothing(samples: Built, sample: Sample) -> None:
    source = samples.path(sample.name)
    before = contents(samples.directory / sample.name)
    found = tfmagic.inspect(source)
    for table in tables_of(found):
        found.table(table)
    repr(found)
    found._repr_html_()
    assert contents(samples.directory / sample.name) == before


def contents(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Names, times of change and contents of all that lies in a directory, itself included."""
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino, digest(path))
        for path in [directory, *directory.rglob("*")]
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


_READ_ALL = """
import json, sys
import tfmagic
forms = {}
for path, tables in json.loads(sys.stdin.read()).items():
    model = tfmagic.inspect(path)
    for table in tables:
        model.table(table)
    repr(model), model._repr_html_()
    forms[path] = model.form
loaded = [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "keras", "tf_keras", "ipywidgets")]
print(json.dumps([forms, loaded]))
"""


def test_files_are_read_without_tensorflow(samples: Built) -> None:
    given = {}
    for sample in FILES:
        tables = tables_of(read(samples, sample))
        # The graph of a Keras file is not in the file: Keras makes it.
        is_traced = sample.form == "keras_file"
        given[str(samples[sample.name])] = [table for table in tables if PARTS[table] != "graph" or not is_traced]
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{str(samples[sample.name]): sample.form for sample in FILES}, []]
