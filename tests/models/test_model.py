from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.wire_samples import field, node
from tfmagic import errors
from tfmagic.files import protos
from tfmagic.graphs import metagraphs
from tfmagic.models.model import Model, Part
from tfmagic.models.public_tables import TABLE_PARTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.samples import Built

GRAPH = field(1, node("x", "Placeholder")) + field(1, node("y", "Relu", "x"))


def graph_of(*tag_sets: list[str], graph: bytes = GRAPH) -> Callable[[], Any]:
    """Return a loader of MetaGraphDefs with these tags."""

    def load() -> tuple[metagraphs.MetaGraph, ...]:
        found = []
        for tags in tag_sets or ([],):
            message = protos.message("MetaGraphDef")(graph_def=protos.parse("GraphDef", graph))
            message.meta_info_def.tags.extend(tags)
            found.append(metagraphs.MetaGraph.of_message(message))
        return tuple(found)

    return load


def model(path: Path | None = None, **loaders: Callable[[], Any]) -> Model:
    return Model("made", "by hand", {Part(name): load for name, load in loaders.items()}, path=path)


def test_a_model_has_the_form_that_it_was_read_as(tmp_path: Path) -> None:
    (tmp_path / "graph.pb").write_bytes(GRAPH)
    found = tfmagic.inspect(tmp_path / "graph.pb")
    assert tfmagic.inspect(found, form="graph_def") is found
    with pytest.raises(errors.UnrecognizedSourceError, match="was read as a graph_def"):
        tfmagic.inspect(found, form="tflite")
    for wrong in ("grap_def", 3):
        with pytest.raises(errors.UnknownNameError, match="no form"):
            tfmagic.inspect(found, form=wrong)  # type: ignore[arg-type]


def test_a_part_is_read_when_it_is_first_asked_for_and_then_never_again() -> None:
    calls: list[int] = []

    def load() -> tuple[()]:
        calls.append(1)
        return ()

    found = model(variables=load)
    assert found.parts == ("variables",)
    assert calls == []
    for _ in range(2):
        assert found.part(Part.VARIABLES) == ()
        assert len(found.variables) == 0
    assert calls == [1]


def test_parts_have_one_order() -> None:
    found = model(keras=tuple, variables=tuple, graph=tuple)
    assert found.parts == ("graph", "variables", "keras")


@pytest.mark.parametrize("table", TABLE_PARTS)
def test_a_table_that_there_is_not_says_what_there_is(table: str) -> None:
    with pytest.raises(errors.MissingPartError, match=table) as raised:
        model(function=lambda: None).table(table)
    assert (raised.value.form, raised.value.available) == ("made", ("function",))


def test_a_table_that_no_form_has_gets_the_nearest_name() -> None:
    with pytest.raises(errors.UnknownNameError, match=r"no table 'variable'; did you mean 'variables'\?"):
        model().table("variable")


def test_a_damaged_part_names_its_source() -> None:
    found = model(graph=lambda: (metagraphs.MetaGraph.of(b"\x0a\x7f"),))
    for read in (lambda: found.ops, lambda: found.meta_graph, lambda: found.graph_def, lambda: found.meta_graph_def):
        with pytest.raises(
            errors.CorruptSourceError, match=r"'by hand' is not a well-formed made.*truncated or damaged"
        ):
            read()


def test_what_a_caller_does_to_a_table_does_not_show_in_the_next() -> None:
    found = model(graph=graph_of())
    for table in ("ops", "signatures"):
        frame = found.table(table)
        frame.iloc[0, 1] = "changed"
        frame["more"] = 1
        assert len(found.table(table)) == 2
        assert "more" not in found.table(table)
        assert "changed" not in set(found.table(table).iloc[:, 1])


@pytest.mark.parametrize(
    ("tag_sets", "shown"),
    [([["train"], ["serve"]], ("serve",)), ([["serve", "tpu"], ["serve"]], ("serve",)), ([["a"], ["b"]], ("a",))],
)
def test_the_meta_graph_that_is_shown(tag_sets: list[list[str]], shown: tuple[str, ...]) -> None:
    found = model(graph=graph_of(*tag_sets))
    assert found.meta_graph.tags == shown
    assert found.metagraphs["tags"].tolist() == [",".join(tags) for tags in tag_sets]
    assert tuple(found.meta_graph_def.meta_info_def.tags) == shown


def test_signatures_are_those_of_the_meta_graph_that_is_shown() -> None:
    signature = protos.message("SignatureDef")
    tagged = ((("train",), {"t": signature()}), (("serve",), {"s": signature(), "__saved_model_init_op": signature()}))
    found = model(graph=graph_of(["train"], ["serve"]), signatures=lambda: tagged)
    assert list(found.signature_def) == ["s", "__saved_model_init_op"]
    assert not found.has_no_signature


def test_a_graph_without_signature_proposes_one() -> None:
    found = model(graph=graph_of())
    assert found.has_no_signature
    rows = found.signatures[["signature", "method", "side", "key", "tensor"]].to_numpy().tolist()
    assert rows == [["proposed", "proposed", "input", "x", "x:0"], ["proposed", "proposed", "output", "y", "y:0"]]


def test_notes_are_added_and_nothing_is_read() -> None:
    found = model(graph=lambda: pytest.fail("was read")).with_notes("one").with_notes("two", "three")
    assert found.notes == ("one", "two", "three")
    assert found.parts == ("graph",)


def test_models_are_things_not_values() -> None:
    first, second = model(graph=graph_of()), model(graph=graph_of())
    assert first != second
    assert len({first, second}) == 2


def test_a_message_of_a_model_is_a_source_with_tensorflow_and_without() -> None:
    for message in (model(graph=graph_of()).meta_graph.graph_def(), model(graph=graph_of()).graph_def):
        assert tfmagic.inspect(message).ops["name"].tolist() == ["x", "y"]


@pytest.mark.tensorflow
def test_messages_are_tensorflows_own_and_what_its_loader_sees(samples: Built) -> None:
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2  # noqa: PLC0415 - seconds of import

    for name in ("saved_model_tf1", "saved_model_tf2"):
        theirs = saved_model_pb2.SavedModel.FromString((samples.path(name) / "saved_model.pb").read_bytes())
        found = tfmagic.inspect(samples[name])
        assert type(found.meta_graph_def) is meta_graph_pb2.MetaGraphDef
        assert found.meta_graph_def == theirs.meta_graphs[0]
        assert found.graph_def == theirs.meta_graphs[0].graph_def
        assert found.signature_def == dict(theirs.meta_graphs[0].signature_def)
