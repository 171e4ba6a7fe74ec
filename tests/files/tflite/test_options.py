"""Every option of every operator is read by its name: held to the reader that flatbuffers generated of the schema."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from tfmagic.files.tflite import operators, options
from tfmagic.files.tflite.structure import described

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def schema() -> Any:
    generated = pytest.importorskip("tensorflow.lite.python.schema_py_generated")
    if not hasattr(generated, options.tables()["BuiltinOptions2"][-1].name):
        pytest.skip("this TensorFlow has the schema of an older TFLite")
    return generated


def packed(schema: Any, operator: Any, code: int = 0) -> io.BytesIO:
    """Write a file with one operator by flatbuffers' own writer."""
    flatbuffers = pytest.importorskip("flatbuffers")
    subgraph = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[operator])
    model = schema.ModelT(version=3, operatorCodes=[schema.OperatorCodeT(builtinCode=code)], subgraphs=[subgraph])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return io.BytesIO(bytes(builder.Output()))


def members(schema: Any, union: str) -> list[str]:
    values = vars(getattr(schema, union))
    # Python 3.13 writes the line of a class among them.
    numbered = {value: name for name, value in values.items() if isinstance(value, int) and not name.startswith("__")}
    return [numbered[number] for number in sorted(numbered)]


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda letter: letter[1].upper(), name)


@pytest.mark.parametrize("union", ["BuiltinOptions", "BuiltinOptions2"])
def test_all_tables_of_options_are_there_in_order(schema: Any, union: str) -> None:
    assert [table.name for table in options.tables()[union]] == members(schema, union)[1:]


@pytest.mark.parametrize("union", ["BuiltinOptions", "BuiltinOptions2"])
def test_each_option_is_read_as_flatbuffers_wrote_it(schema: Any, union: str) -> None:
    looked_at = 0
    for number, table in enumerate(options.tables()[union], 1):
        written = getattr(schema, f"{table.name}T")()
        names = set(vars(written))
        assert {camel(field.name) for field in table.fields} == names, table.name
        for place, field in enumerate(table.fields):
            value: Any = place + 1 if field.kind not in ("bool", "string") else not field.default
            value = "text" if field.kind == "string" else value
            value = value + 0.5 if field.kind == "float" else value
            value = min(value, max(len(field.words) - 1, 0)) if field.words else value
            setattr(written, camel(field.name), [value, value] if field.is_list else value)
        ends = {"BuiltinOptions": "builtinOptions", "BuiltinOptions2": "builtinOptions2"}
        operator = schema.OperatorT(**{f"{ends[union]}Type": number, ends[union]: written})
        found = described(packed(schema, operator), "written").subgraphs[0].operators[0].options
        assert set(found) == {field.name for field in table.fields}
        for field in table.fields:
            wanted: Any = getattr(written, camel(field.name))
            if field.words:
                wanted = [field.words[each] for each in wanted] if field.is_list else field.words[wanted]
            read = list(found[field.name]) if field.kind == "ubyte" else found[field.name]  # type: ignore[arg-type]
            assert read == wanted, (table.name, field.name)
            looked_at += 1
    assert looked_at > 50


def test_an_absent_option_has_the_default_of_the_schema(schema: Any) -> None:
    for union, tables in options.tables().items():
        for number, table in enumerate(tables, 1):
            written = getattr(schema, f"{table.name}T")()
            ends = {"BuiltinOptions": "builtinOptions", "BuiltinOptions2": "builtinOptions2"}
            operator = schema.OperatorT(**{f"{ends[union]}Type": number, ends[union]: written})
            found = described(packed(schema, operator), "written").subgraphs[0].operators[0].options
            for field in table.fields:
                wanted = getattr(written, camel(field.name))
                shown = field.words[wanted] if field.words and not field.is_list else wanted
                assert found[field.name] == (shown if shown is not None else found[field.name]), (
                    table.name,
                    field.name,
                )


def test_enums_have_the_words_of_the_schema(schema: Any) -> None:
    words = {field.words for tables in options.tables().values() for table in tables for field in table.fields}
    enums = {
        tuple(members(schema, name))
        for name, kind in vars(schema).items()
        if isinstance(kind, type)
        and not name.endswith("T")
        and any(isinstance(each, int) for each in vars(kind).values())
    }
    own = {tuple(options.DTYPES)}
    assert words - {()} - own <= enums


def test_every_operator_of_the_schema_has_its_name(schema: Any) -> None:
    names = members(schema, "BuiltinOperator")
    assert list(operators.OPERATORS)[: len(names)] == names
    for number, name in enumerate(names):
        found = described(packed(schema, schema.OperatorT(), number), "written").subgraphs[0].operators[0]
        assert name in (found.op, "CUSTOM")
