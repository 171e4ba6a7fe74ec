from __future__ import annotations

import random
from typing import Any

import pytest
from google.protobuf import text_format

from tests.findings.graph_defs import graph, node
from tfmagic.files import protos, text_messages

#: What stands in the place of one line of a printed graph: text that protobuf takes, or not, and never prints so.
LINES = (
    "", "}", "  }", "    }", "node {", "  attr {", "# a comment }", "  # {", "  name: 'single'", '  name: "a" op: "b"',
    '  input: "two"\n    "texts"', '  input: ["a", "b"]', "  name < >", "  name", '  name: "again"', "  unknown: 1",
    "  attr { key: 'x' value { i: 1 } }", '  attr {\n  key: "k"\n  }', '    key: "k"', "  device: 1", '\tname: "tab"',
    '  input: "\\"quoted\\" \\303\\244 \\x41\\n"', '  input: "ä\u2028b"', "  ;", ",", "  op: true",
    "versions { producer: 1 }",
    "versions {\n  producer: 1\n}", "library {\n}", '  attr {\n    key: "s"\n    value {\n      s: "}\\n}"\n    }\n  }',
)  # fmt: skip


def message() -> Any:
    """Return a graph with a function, attributes of each kind, and names that text format escapes."""
    first = node("a", "Const")
    first.attr["dtype"].type = 7
    first.attr["value"].tensor.string_val.extend([b"}\n}\n", b"\xff", b"node {\n"])
    second = node("ä/\u2028\"'\\\n}", "Relu", "a", "^a")
    second.attr["T"].type = 1
    second.attr["f"].func.name = "f"
    second.attr["f"].func.attr["n"].list.i.extend([1, -2])
    second.attr["floats"].list.f.extend([0.1, float("inf"), float("nan"), -0.0])
    result = graph(first, second, node("b", "Relu", "a"))
    result.versions.producer = 1000
    function = result.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="x", type=1)
    function.node_def.add().CopyFrom(second)
    function.ret["y"] = "b:0"
    function.attr["_a"].s = b"}\n"
    return result


def stock(text: str) -> Any:
    """Return what protobuf's own parser makes of a text, None where it takes it for wrong."""
    try:
        return text_format.Parse(text, protos.message("GraphDef")(), descriptor_pool=protos._pool())
    except text_format.ParseError:
        return None


def ours(text: str) -> Any:
    data = text_messages.serialized(protos.message("GraphDef"), text, protos._pool())
    return None if data is None else protos.parse("GraphDef", data)


def same(one: Any, other: Any) -> bool:
    """Say whether two messages are equal, NaN included."""
    return bool(one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True))


def test_what_protobuf_prints_is_read_as_protobuf_reads_it() -> None:
    text = protos.to_text(message())
    assert same(ours(text), message())
    assert same(ours(text.rstrip("\n")), message())


def test_large_blocks_are_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_messages, "_LARGE", 0)
    assert same(ours(protos.to_text(message())), message())


@pytest.mark.parametrize("large", [0, 10_000])
def test_what_is_read_is_what_protobuf_reads_whatever_stands_in_a_line(
    large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_messages, "_LARGE", large)
    lines = protos.to_text(message()).split("\n")
    read = 0
    for number, line in enumerate(LINES):
        for place in range(number % 3, len(lines), 3):
            text = "\n".join([*lines[:place], line, *lines[place + number % 2 :]])
            if (result := ours(text)) is not None:
                expected = stock(text)
                assert expected is not None, text
                assert same(result, expected), text
                read += 1
    assert read > 10


def test_lines_in_any_order_are_read_as_protobuf_reads_them() -> None:
    drawn = random.Random(1)
    lines = protos.to_text(message()).split("\n")
    for _ in range(300):
        changed = list(lines)
        for _ in range(drawn.randint(1, 4)):
            changed.insert(drawn.randrange(len(changed)), changed.pop(drawn.randrange(len(changed))))
        text = "\n".join(changed)
        if (result := ours(text)) is not None:
            assert (expected := stock(text)) is not None, text
            assert same(result, expected), text


def test_equal_blocks_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = text_format.Parse

    def count(text: str, *rest: Any, **options: Any) -> Any:
        parsed.append(text)
        return parse(text, *rest, **options)

    monkeypatch.setattr(text_format, "Parse", count)
    names = [f"n{number}" for number in range(100)]
    nodes = [node(name, "Relu", *names[:number][-1:]) for number, name in enumerate(names)]
    for each in nodes:
        each.attr["T"].type = 1
    assert same(ours(protos.to_text(graph(*nodes))), graph(*nodes))
    assert len(parsed) == 1


def test_blocks_nested_beyond_any_message_are_left_to_protobuf() -> None:
    depth = 4000
    block = "".join(f"{'  ' * level}attr {{\n" for level in range(1, 200))
    assert ours(f"node {{\n{block}") is None
    text = "node {\n  attr {\n    value {\n" + "func { attr { value { " * depth
    assert ours(text) is None
