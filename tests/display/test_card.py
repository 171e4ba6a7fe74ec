"""What the first screen says of each form, and that its live and its static form say the same."""

from __future__ import annotations

import html.parser
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tests.samples import SAMPLES
from tests.verbs.cataloguing import trees
from tests.wire_samples import field, node
from tfmagic.display import card, card_ends, card_figures, card_weights, elements
from tfmagic.display.card_weights import Heavy
from tfmagic.files import protos
from tfmagic.frames import LayerRow, VariableRow
from tfmagic.graphs import metagraphs
from tfmagic.models.model import Model, Part

if TYPE_CHECKING:
    from pathlib import Path

    from tests.samples import Built

HOSTILE = "<script>alert(1)</script>"


class Reader(html.parser.HTMLParser):
    """Reads the elements and the texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def drawn(data: Any) -> str:
    """Return the text that the script sets, one after the other."""
    return data if isinstance(data, str) else "".join(map(drawn, data[2]))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((None, 224, 224, 3), ("224\N{MULTIPLICATION SIGN}224\N{MULTIPLICATION SIGN}3", "float32, batch open")),
        ((None, None, 3), ("?\N{MULTIPLICATION SIGN}3", "float32, batch open")),
        ((8, 4), ("8\N{MULTIPLICATION SIGN}4", "float32")),
        ((None,), ("one number", "float32, batch open")),
        ((), ("one number", "float32")),
        (None, ("any shape", "float32")),
    ],
)
def test_a_shape_is_written_as_a_person_writes_it(shape: Any, words: tuple[str, str]) -> None:
    assert card_ends.shape_words(shape, "float32") == words


def test_of_what_only_tracing_tells_no_dtype_is_made_up() -> None:
    assert card_ends.shape_words(None, "invalid") == ("not known", "before it is traced")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (34_112, "34.1 k"),
        (999_996, "1.00 M"),
        (3_538_984, "3.54 M"),
        (5 * 10**15, "5000 T"),
    ],
)
def test_a_count_has_three_digits(count: int, words: str) -> None:
    assert " ".join(filter(None, card_figures.count_words(count))) == words


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.is_file])
def test_both_forms_of_a_card_say_the_same(samples: Built, name: str) -> None:
    model = tfmagic.inspect(samples[name])
    words = card.card(model)
    page = Reader(elements.markup(words))
    assert page.text == drawn(elements.data(words))
    assert [each for each in "".join(card.lines(model)) if not each.isspace()] == [
        each for each in page.text if not each.isspace() and each != "→"
    ]
    assert all(line in repr(model) for line in card.lines(model))
    assert set(page.tags) <= {"div", "p", "h4", "table", "thead", "tbody", "tr", "th", "td", "span", "strong", "i"}


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("saved_model_tf2", "it can be run and converted."),
        ("keras_archive", "it can be run and converted."),
        ("graph_def", "no signature says where it begins and ends"),
        ("checkpoint_v2", "name the model that they belong to"),
        ("keras_weights", "name the model that they belong to"),
        ("tflite", "converts no further"),
    ],
)
def test_a_verdict_says_what_can_be_done(samples: Built, name: str, verdict: str) -> None:
    assert verdict in card.verdict(tfmagic.inspect(samples[name]))


def test_a_saved_model_that_nobody_signed_is_not_said_to_have_a_signature(tmp_path: Path) -> None:
    file = trees.saved_model(tmp_path / "served") / "saved_model.pb"
    message = protos.parse("SavedModel", file.read_bytes())
    del message.meta_graphs[0].signature_def["serving_default"]
    message.meta_graphs[0].signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "x"
    file.write_bytes(message.SerializeToString())
    assert "no signature" in card.verdict(tfmagic.inspect(file.parent))


def test_of_a_model_of_another_backend_nothing_is_said_of_a_graph() -> None:
    shown: Any = SimpleNamespace(parts=("variables", "keras"))
    assert "without a graph" in card.verdict(shown)


def test_of_the_layers_the_heaviest_come_first(samples: Built) -> None:
    model = tfmagic.inspect(samples["keras_archive"])
    assert card_weights.heaviest(model) == [Heavy("hidden", "Dense", 15, 60), Heavy("out", "Dense", 8, 32)]
    # Of what has no layers, the scopes that variables stand in.
    assert [(each.name, each.bytes) for each in card_weights.heaviest(tfmagic.inspect(samples["checkpoint_v2"]))] == [
        ("hidden", 60),
        ("out", 32),
    ]


def test_of_a_long_name_the_middle_goes_and_both_ends_stay() -> None:
    name = f"encoder/{'layer_' * 9}7/attention"
    layers = (LayerRow(name, "Dense", (), (), (None, 4), 20, None, 80),)
    shown = Reader(elements.markup(card.card(Model("hand-made", "nowhere", {Part.KERAS: lambda: layers})))).text
    assert "encoder/" in shown
    assert "7/attention" in shown
    assert name not in shown


def test_names_are_text_and_lead_to_their_rows() -> None:
    layers = (LayerRow(HOSTILE, "Dense", (), (), (None, 4), 20, None, 80),)
    graph = lambda: (metagraphs.MetaGraph.of(field(2, field(1, node("x", "Placeholder")))),)  # noqa: E731 - a loader
    model = Model("hand-made", "nowhere", {Part.GRAPH: graph, Part.KERAS: lambda: layers})
    words = card.card(model)
    assert "<script" not in elements.markup(words)
    assert HOSTILE in Reader(elements.markup(words)).text
    assert {"tab": "Layers", "what": {"name": HOSTILE}} in list(elements.links(words))
    # Where nothing can be clicked, nothing looks as if it could.
    assert "button" not in elements.markup(words)
    looks = [rule for rule in card.style().split("}") if "var(--link)" in rule or "pointer" in rule]
    assert looks
    assert all("button.tfm-link" in rule for rule in looks)


def test_what_only_leads_on_is_in_the_live_form_alone() -> None:
    link = elements.element("button", "Show in Ops", leads_to={"tab": "Ops"})._replace(is_live=True)
    words = elements.element("p", "It asks. ", link)
    assert elements.markup(words) == "<p>It asks. </p>"
    assert list(elements.texts(words)) == ["It asks. "]
    assert list(elements.links(words)) == [{"tab": "Ops"}]
    assert drawn(elements.data(words)) == "It asks. Show in Ops"


def test_a_page_has_the_card_its_style_and_its_picture(samples: Built) -> None:
    page = tfmagic.inspect(samples["keras_archive"])._repr_html_()
    assert page.count("<style>") == 1
    assert 'src="data:image/svg+xml,' in page
    assert page.index("tfm-card") < page.index("<details>")
    assert len(page) < 40_000


def test_what_holds_a_model_is_named_after_it(samples: Built) -> None:
    assert card.heading(tfmagic.inspect(samples["saved_model_versions"])).name == "served"
    assert card.heading(tfmagic.inspect(samples["tflite"])).name == "model.tflite"


def test_what_an_optimizer_keeps_is_no_parameter() -> None:
    rows = [
        VariableRow(name, "float32", shape, size, 4 * size, trainable=None)
        for name, shape, size in (
            ("dense/kernel", (4, 3), 12), ("dense/kernel/Adam", (4, 3), 12), ("dense/kernel/Adam_1", (4, 3), 12),
            ("beta1_power", (), 1), ("optimizer/vars/1", (4, 3), 12), ("dense/Adam", (3,), 3),
        )
    ]  # fmt: skip
    shown = Reader(
        elements.markup(card.card(Model("hand-made", "nowhere", {Part.VARIABLES: lambda: tuple(rows)})))
    ).text
    # A slot stands beside what it is for: a layer may be called Adam.
    assert "15 parameters" in shown
    assert "60 B weights loaded" in shown
    assert "37 in the optimizer's state" in shown
    assert "Adam_1" not in shown
    alone = (VariableRow("optimizer/vars/1", "float32", (4, 3), 12, 48, trainable=None),)
    assert (
        "12 parameters"
        in Reader(elements.markup(card.card(Model("hand-made", "nowhere", {Part.VARIABLES: lambda: alone})))).text
    )


def test_a_scope_around_all_weights_is_said_by_none() -> None:
    def shown(*names: str) -> str:
        rows = tuple(VariableRow(name, "float32", (2,), 2, 8, trainable=None) for name in names)
        return Reader(elements.markup(card.card(Model("hand-made", "nowhere", {Part.VARIABLES: lambda: rows})))).text

    assert "net/" not in shown("net/conv/kernel", "net/conv_1/kernel", "net/dense/kernel")
    assert "net/conv" in shown("net/conv/kernel", "other/kernel")
    assert "net" in shown("net/conv", "net/conv/inner/kernel")
    assert "net/conv" in shown("net/conv/kernel")
