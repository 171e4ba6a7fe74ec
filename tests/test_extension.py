"""A form and a format of a user's own, registered from outside: recognised, listed, converted, verified, forgotten."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

import tfmagic
from tfmagic import errors, readers, writers
from tfmagic.frames import VariableRow
from tfmagic.models.model import Model, Part
from tfmagic.models.writer import OPTIONS, OWN_OPTIONS, Editing, Freezing, Signatures, Size, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate
    from tfmagic.models.writer import Measures, WriteOptions


class ScaleReader:
    """A JSON file with one number, by which an input is scaled."""

    form: ClassVar[str] = "scale"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.VARIABLES, Part.FUNCTION})
    looks_like: ClassVar[str] = "a JSON file with a scale"
    is_live: ClassVar[bool] = False

    def claims(self, candidate: Candidate) -> bool:
        return candidate.head.startswith(b'{"scale"')

    def read(self, candidate: Candidate, tags: Any) -> Model:
        del tags
        assert candidate.path is not None
        row = VariableRow("scale", "float32", (), 1, 4, None)
        built = cache(lambda: self.built(candidate))
        loaders: dict[Part, Any] = {
            Part.GRAPH: lambda: built().part(Part.GRAPH),
            Part.VARIABLES: lambda: (row,),
            Part.FUNCTION: lambda: built().part(Part.FUNCTION),
        }
        made = frozenset({Part.GRAPH})
        return Model(self.form, str(candidate.path), loaders, path=candidate.path, computed=made)

    def built(self, candidate: Candidate) -> Model:
        import tensorflow as tf  # noqa: PLC0415 - to show the file none is needed

        factor = tf.Variable(json.loads(candidate.head)["scale"], name="scale")
        call = tf.function(lambda x: {"y": x * factor}, input_signature=[tf.TensorSpec([None], name="x")])
        return readers.read(call)


@dataclass(frozen=True)
class ListDraft:
    """Values as a JSON list."""

    values: dict[str, Any]
    error: float = 0.0
    notes: tuple[str, ...] = ()
    size: int = 100

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({name: float(value) + self.error for name, value in self.values.items()}))

    def read_back(self, path: Path) -> Iterator[tuple[str, Any, Any]]:
        stored = json.loads(path.read_text())
        for name, value in self.values.items():
            yield name, value, np.float32(stored[name])


class ListWriter:
    """Writes the values of scalars."""

    format: ClassVar[str] = "list"
    suffixes: ClassVar[tuple[str, ...]] = (".list",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.FUNCTION})
    directory: ClassVar[bool] = False

    def __init__(self, draft: Any = ListDraft) -> None:
        self.draft = draft

    def prepare(self, source: Model, options: WriteOptions) -> Any:
        function = source.part(Part.FUNCTION)(options.signatures[0])
        return self.draft({name: each.numpy() for name, each in function.variables.items()})


class NumberWriter(Writer):
    """Writes one number, and says all that it is able to do."""

    format: ClassVar[str] = "number"
    suffixes: ClassVar[tuple[str, ...]] = (".number",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.VARIABLES, Part.FUNCTION})
    label: ClassVar[str] = "a number (.number)"
    options: ClassVar[frozenset[str]] = frozenset({"signature"})
    loses_of_signature: ClassVar[str] = "all but the number"

    def prepare(self, source: Model, options: WriteOptions) -> ListDraft:
        function = source.part(Part.FUNCTION)(options.signatures[0])
        return ListDraft({name: variable.numpy() for name, variable in function.variables.items()})

    def why_not(self, source: Model) -> str:
        return "" if len(source.part(Part.VARIABLES)) == 1 else "it holds more than a number"

    def size(self, source: Model, measures: Measures) -> Size | None:
        del source
        return None if measures.weights is None else Size(measures.weights, rest=" and a bracket")

    def kept(self, source: Model) -> Iterator[str]:
        del source
        yield "the number"

    def lost(self, source: Model) -> Iterator[str]:
        del source
        yield "all that is done with it"

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        return [f"open({place!r}, 'w').write(str({source.holder}))"]


class BlindDraft:
    """What can be written, and nobody knows how to read."""

    size = 1
    notes = ()

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def write(self, path: Path) -> None:
        path.write_text(str(self.values))


class CountWriter:
    """Writes how many variables there are, which nothing has to run for."""

    format: ClassVar[str] = "count"
    suffixes: ClassVar[tuple[str, ...]] = (".count",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.VARIABLES})
    directory: ClassVar[bool] = False

    def prepare(self, source: Model, options: WriteOptions) -> BlindDraft:
        del options
        return BlindDraft({"count": len(source.part(Part.VARIABLES))})


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    readers.unregister("scale")
    for name in ("list", "count", "number"):
        writers.unregister(name)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "scale.json"
    path.write_text('{"scale": 2.5}')
    return path


def test_a_form_is_known_from_its_registration_until_it_is_forgotten(source: Path) -> None:
    with pytest.raises(errors.UnrecognizedSourceError):
        tfmagic.inspect(source)
    readers.register(ScaleReader())
    model = tfmagic.inspect(source)
    assert model.form == "scale"
    assert list(model.variables["name"]) == ["scale"]
    assert "scale: " in repr(model)
    assert tfmagic.forms().loc["scale", "saved_model"]
    readers.unregister("scale")
    with pytest.raises(errors.UnrecognizedSourceError):
        tfmagic.inspect(source)
    assert "scale" not in tfmagic.forms().index


def test_no_display_asks_for_what_has_to_be_made() -> None:
    asked: list[Part] = []
    made = (Part.GRAPH, Part.SIGNATURES, Part.FUNCTION, Part.KERAS)
    loaders = {part: lambda part=part: asked.append(part) for part in made}
    rows = (VariableRow("scale", "float32", (), 1, 4, None),)
    model = Model("made", "here", {**loaders, Part.VARIABLES: lambda: rows}, computed=frozenset(made))
    assert "scale" in repr(model)
    assert "scale" in model._repr_html_()
    assert asked == []


def test_the_last_of_a_name_counts(source: Path) -> None:
    class Renamed(ScaleReader):
        looks_like = "another one"

    readers.register(ScaleReader())
    readers.register(Renamed())
    assert list(tfmagic.forms().index).count("scale") == 1
    assert tfmagic.forms().loc["scale", "looks_like"] == "another one"
    assert tfmagic.inspect(source).form == "scale"


@pytest.mark.tensorflow
def test_a_form_is_converted_run_and_verified_like_any_other(source: Path, tmp_path: Path) -> None:
    readers.register(ScaleReader())
    done = tfmagic.export(source, tmp_path / "served")
    assert done.verification["equal"].tolist() == [True]
    ran = tfmagic.run(tmp_path / "served", {"x": [2.0, 4.0]})
    assert ran.outputs["y"].tolist() == [5.0, 10.0]


@pytest.mark.tensorflow
def test_a_format_is_chosen_by_its_suffix_and_verified_by_its_values(source: Path, tmp_path: Path) -> None:
    readers.register(ScaleReader())
    writers.register(ListWriter())
    done = tfmagic.export(source, tmp_path / "scale.list")
    assert done.format == "list"
    assert done.verification[["output", "equal"]].to_numpy().tolist() == [["scale", True]]
    assert json.loads((tmp_path / "scale.list").read_text()) == {"scale": 2.5}


@pytest.mark.tensorflow
def test_a_format_that_loses_something_leaves_nothing(source: Path, tmp_path: Path) -> None:
    readers.register(ScaleReader())
    writers.register(ListWriter(lambda values: ListDraft(values, error=0.1)))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(errors.VerificationError, match="'scale'"):
        tfmagic.export(source, tmp_path / "scale.list")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.tensorflow
def test_a_format_that_cannot_be_read_back_says_so(source: Path, tmp_path: Path) -> None:
    readers.register(ScaleReader())
    writers.register(ListWriter(BlindDraft))
    done = tfmagic.export(source, tmp_path / "scale.list")
    assert done.verification[["output", "equal"]].to_numpy().tolist() == [["y", None]]
    assert any(note.startswith("not verified") and "its writer does not say" in note for note in done.notes)


def test_a_format_that_needs_no_function_needs_none_to_be_verified_either(source: Path, tmp_path: Path) -> None:
    readers.register(ScaleReader())
    writers.register(CountWriter())
    for verify, reason in ((True, "its writer does not say"), (False, "verify=False")):
        done = tfmagic.export(source, tmp_path / "scale.count", verify=verify, overwrite=True)
        assert done.verification.empty
        assert any(f"not verified: {reason}" in note for note in done.notes)
    assert (tmp_path / "scale.count").read_text() == "{'count': 1}"


@pytest.mark.tensorflow
def test_what_a_format_says_of_itself_is_all_that_anybody_asks(source: Path, tmp_path: Path) -> None:
    """Verbs, plan, Convert tab, code and completion follow a form and a format whose names none of them knows."""
    from tfmagic.commands import completion, magic_lines  # noqa: PLC0415 - this test alone walks through all rooms
    from tfmagic.notebook.panel.widgets import convert_tab  # noqa: PLC0415
    from tfmagic.verbs.conversion import plan, plan_names  # noqa: PLC0415
    from tfmagic.verbs.conversion.request import Request  # noqa: PLC0415

    readers.register(ScaleReader())
    writers.register(NumberWriter())
    model = readers.read(source)
    # The table of forms and the plan.
    assert tfmagic.forms().loc["scale", "number"]
    assert plan.formats(model)["number"] == ""
    request = Request("number", str(tmp_path / "m.number"))
    told = plan.plan(model, request, plan_names.Names(plan_names.signed(model)))
    assert not told.problems
    assert "the number" in told.kept
    assert "all that is done with it" in told.lost
    assert str(told.size).endswith(" and a bracket")
    # The Convert tab.
    tab = convert_tab.build(model, SimpleNamespace(namespace={}, source=str(source)))
    assert ("A number", "number") in tab.form.format.options
    tab.form.format.value = "number"
    assert tab.form.destination.value == "scale.number"
    assert [name for name, field in tab.form.fields.items() if field.layout.display != "none"] == ["signature"]
    # Code: the writer's own, or the call itself of what nobody knows in stock TensorFlow.
    assert magic_lines.line(request, "m") == f"%tf_export m {request.destination}"
    shown = str(tfmagic.code("export", tf_module(), request.destination, name="m"))
    assert shown.endswith(f"open({request.destination!r}, 'w').write(str(list(function.graph.variables)))\n")
    assert f"tfmagic.export({str(source)!r}, 'm.pb')" in str(tfmagic.code("export", source, "m.pb"))
    # Completion.
    assert completion.Completion("number", "format") in completion.complete("%tf_export m d --format nu", {})[1]
    assert completion.Completion("scale", "form") in completion.complete("%tf_inspect m --form sc", {})[1]
    # The verb, and a source of which it says why not.
    assert tfmagic.export(source, request.destination).verification["equal"].tolist() == [True]
    two = readers.read(tf_module(2))
    assert plan.formats(two)["number"] == "it holds more than a number"


def tf_module(count: int = 1) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    module = tf.Module()
    module.scales = [tf.Variable(2.0, name=f"scale_{number}") for number in range(count)]
    specs = [tf.TensorSpec([None], name="x")]
    module.__call__ = tf.function(lambda x: {"y": x * tf.add_n(module.scales)}, input_signature=specs)
    return module


def test_a_class_that_does_not_inherit_gets_the_defaults() -> None:
    readers.register(ScaleReader())
    writers.register(CountWriter())
    reader, writer = readers.READERS[-1], writers.WRITERS[-1]
    assert isinstance(reader, readers.Reader)
    assert (reader.form, reader.is_open, reader.costly) == ("scale", False, frozenset())
    assert isinstance(writer, writers.Writer)
    assert (writer.format, writer.label, writer.library) == ("count", "", None)
    assert writer.signatures is Signatures.NONE


@pytest.mark.tensorflow
def test_a_reader_that_has_another_one_read_leaves_its_abilities_alone(source: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    class GraphOfScale(ScaleReader):
        def read(self, candidate: Candidate, tags: Any) -> Model:
            with tf.Graph().as_default() as graph:
                x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
                tf.multiply(tf.multiply(x, json.loads(candidate.head)["scale"], name="y"), 2.0, name="z")
            return readers.read(graph.as_graph_def(), tags=tags)

    readers.register(GraphOfScale())
    model = readers.read(source)
    assert model.reader.is_open
    # Between any two tensors, as of every GraphDef.
    assert tfmagic.run(source, {"x": [2.0]}, outputs=["y"]).outputs["y"].tolist() == [5.0]


def test_every_format_says_what_a_person_calls_it_and_which_options_it_takes() -> None:
    labels = [writer.label for writer in writers.WRITERS]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    assert all(writer.options <= OPTIONS | OWN_OPTIONS for writer in writers.WRITERS)
    # One writer puts an edited graph in its place, others take a frozen one.
    assert not [
        writer.format for writer in writers.WRITERS if isinstance(writer, Editing) and isinstance(writer, Freezing)
    ]


def refused(register: Any, entry: object, what: str) -> None:
    before = [list(readers.READERS), list(writers.WRITERS)]
    with pytest.raises(errors.TfMagicError, match=what):
        register(entry)
    assert before == [readers.READERS, writers.WRITERS]


def test_what_cannot_be_registered_is_refused_and_changes_nothing() -> None:
    own = type("Own", (ScaleReader,), {"form": "keras_file"})
    taken = type("Taken", (ListWriter,), {"suffixes": (".list", ".pb")})
    refused(readers.register, own(), "'keras_file' is one of tfmagic's own")
    refused(readers.register, ScaleReader, r"an instance of it: ScaleReader\(\)")
    refused(readers.register, object(), "no 'form', 'parts', 'looks_like'")
    refused(writers.register, taken(), "'.pb' is a suffix of 'graph_def'")
    refused(writers.register, type("Own", (ListWriter,), {"format": "tflite"})(), "'tflite' is one of tfmagic's own")
    refused(writers.register, ScaleReader(), "no 'format'")


def test_what_is_tfmagics_own_cannot_be_forgotten() -> None:
    before = tfmagic.forms()
    readers.unregister("keras_file")
    writers.unregister("saved_model")
    assert tfmagic.forms().equals(before)
