"""What a conversion keeps and loses, told of models that are no more than their tables: nothing is loaded or traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tfmagic import errors
from tfmagic.frames import VariableRow
from tfmagic.graphs.signatures import Endpoint
from tfmagic.models.model import Model, Part
from tfmagic.models.writer import Variables, Writer
from tfmagic.verbs.conversion import plan_effects
from tfmagic.verbs.conversion.plan_effects import Facts
from tfmagic.verbs.conversion.plan_names import Ends
from tfmagic.writers import WRITERS

if TYPE_CHECKING:
    from collections.abc import Sequence

WRITER = {writer.format: writer for writer in WRITERS}
#: A signature whose batch is open, and one whose inputs have sizes.
OPEN = Ends((Endpoint("x", "x:0", "float32", (None, 2)),), (Endpoint("y", "y:0", "float32", (None, 2)),))
CLOSED = Ends((Endpoint("x", "x:0", "float32", (4, 2)), Endpoint("k", "k:0", "float32", ())), ())


class Copying(Writer):
    """A format that takes what lies on disk as it is."""

    format: ClassVar[str] = "as it is"
    suffixes: ClassVar[tuple[str, ...]] = (".same",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.VARIABLES})

    def prepare(self, source: Model, options: Any) -> Any:
        raise AssertionError(f"a plan converts nothing: {source}, {options}")

    def is_copy(self, source: Model) -> bool:
        return source.checkpoint is not None


def row(name: str, size: int | None = 4, *, trainable: bool | None = True) -> VariableRow:
    return VariableRow(name, "float32", (size,), size, None if size is None else size * 4, trainable)


def facts(
    format: str = "saved_model",
    rows: Sequence[VariableRow] = (row("w"), row("b", 2)),
    signed: dict[str, Ends] | None = None,
    chosen: tuple[str, ...] = (),
    **more: Any,
) -> Facts:
    model = Model("made", "here", {Part.VARIABLES: lambda: rows, **more.pop("loaders", {})}, **more.pop("model", {}))
    return Facts(model, more.pop("writer", WRITER.get(format)), signed or {}, chosen, **more)


def test_what_a_training_keeps_comes_along_with_a_copy_alone() -> None:
    rows = [row("w"), row("optimizer/w/m"), row("dense/.OPTIMIZER_SLOT/adam/m"), row("model/_optimizer/step")]
    copied = facts(rows=rows, writer=Copying(), model={"checkpoint": lambda: None})
    assert facts(rows=rows).weight_bytes == 16
    assert copied.weight_bytes == 4 * 16
    assert "the checkpoint as it is, all its values" in plan_effects.kept(copied)


def test_the_size_is_unknown_where_that_of_one_variable_is() -> None:
    known, unknown = facts(), facts(rows=[row("w"), row("b", None)])
    assert plan_effects.size(known) is not None
    assert unknown.weight_bytes is None
    assert plan_effects.size(unknown) is None


@pytest.mark.parametrize("format", [writer.format for writer in WRITERS])
def test_variables_are_kept_or_lost_as_their_writer_says(format: str) -> None:
    writer = WRITER[format]
    kept, lost = " ".join(plan_effects.kept(facts(format))), " ".join(plan_effects.lost(facts(format)))
    assert (
        ("as constants" in kept) == ("variables become constants" in lost) == (writer.variables is Variables.CONSTANTS)
    )
    assert ("the values of variables" in lost) == (writer.variables is Variables.NONE)
    assert ("as variables" in kept) == (writer.variables is Variables.VARIABLES)
    of_nothing = facts(format, rows=())
    assert "variables" not in " ".join([*plan_effects.kept(of_nothing), *plan_effects.lost(of_nothing)])


@pytest.mark.parametrize(("trainable", "is_said"), [(True, True), (False, True), (None, False)])
def test_what_is_trainable_is_told_where_it_is_recorded(*, trainable: bool | None, is_said: bool) -> None:
    lines = plan_effects.kept(facts(rows=[row("w"), row("b", trainable=trainable)]))
    assert any("trainable or not as before" in line for line in lines) == is_said


@pytest.mark.parametrize(
    ("shape", "is_open"), [((None, 2), True), (None, True), ((4, 2), False), ((), False), ((2, None), False)]
)
def test_a_batch_is_a_first_dimension_that_is_open(shape: Any, *, is_open: bool) -> None:
    signed = {"f": Ends((Endpoint("x", "x:0", "float32", shape),), ())}
    assert ("a batch of any size" in plan_effects.kept(facts(signed=signed, chosen=("f",)))) == is_open


def test_a_batch_that_is_fixed_is_lost() -> None:
    fixed = facts(signed={"f": OPEN}, chosen=("f",), batch=3)
    assert "a batch of any size" not in plan_effects.kept(fixed)
    assert plan_effects.lost(fixed) == ["batches of other sizes than 3"]


def test_a_format_that_cannot_run_by_itself_says_nothing_of_batches_and_signatures() -> None:
    written = facts("weights", signed={"f": OPEN, "g": CLOSED}, chosen=("f",))
    said = " ".join([*plan_effects.kept(written), *plan_effects.lost(written)])
    assert "batch" not in said
    assert "other signature" not in said


def test_signatures_that_are_not_written_are_named() -> None:
    signed = {"f": OPEN, "g": CLOSED, "h": CLOSED}
    assert plan_effects.lost(facts(signed=signed, chosen=("f",)))[0] == "the other signatures: 'g', 'h'"
    assert plan_effects.lost(facts(signed=signed, chosen=("f", "g")))[0] == "the other signature: 'h'"
    assert plan_effects.lost(facts(signed=signed, chosen=("f", "g", "h"))) == []
    assert plan_effects.kept(facts(signed=signed, chosen=("f", "g")))[0].startswith("the signatures 'f', 'g': names")


def test_ends_that_nobody_signed_are_no_signature_to_keep_or_lose() -> None:
    proposed = facts("graph_def", signed={"proposed": OPEN}, chosen=("proposed",))
    assert not [line for line in [*plan_effects.kept(proposed), *plan_effects.lost(proposed)] if "signature" in line]


def test_what_cannot_be_read_or_would_be_worked_out_is_not_spoken_of() -> None:
    def damaged() -> Any:
        raise errors.CorruptSourceError("the variables do not parse")

    def traced() -> Any:
        raise AssertionError("a plan asked for what has to be traced")

    for loader, computed in ((damaged, frozenset()), (traced, frozenset({Part.VARIABLES}))):
        model = Model("made", "here", {Part.VARIABLES: loader}, computed=computed)
        unknown = Facts(model, WRITER["saved_model"], {}, ())
        assert unknown.variables is None
        assert plan_effects.size(unknown) is None
        assert plan_effects.kept(unknown) == []


def test_the_optimizer_of_a_keras_file_is_lost_where_its_state_is_seen() -> None:
    keras: dict[str, Any] = {"loaders": {Part.KERAS: tuple}}
    trained = facts("h5", rows=[row("w"), row("optimizer/iteration")], **keras)
    assert "the optimizer and its state" in plan_effects.lost(trained)
    assert "the optimizer and its state" not in plan_effects.lost(
        facts("h5", **{**keras, "loaders": {Part.KERAS: tuple}})
    )
