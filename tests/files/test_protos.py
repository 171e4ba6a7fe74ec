from __future__ import annotations

import importlib
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import any_pb2, wrappers_pb2

from tests.wire_samples import field
from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

needs_tensorflow = pytest.mark.tensorflow

#: Where TensorFlow declares what the schema repeats.
MODULES = (
    "tensorflow.core.protobuf.saved_model_pb2",
    "tensorflow.core.protobuf.meta_graph_pb2",
    "tensorflow.core.protobuf.saved_object_graph_pb2",
    "tensorflow.core.protobuf.trackable_object_graph_pb2",
    "tensorflow.core.protobuf.tensor_bundle_pb2",
    "tensorflow.core.protobuf.control_flow_pb2",
    "tensorflow.core.framework.graph_debug_info_pb2",
    "tensorflow.core.framework.variable_pb2",
    "tensorflow.core.util.saved_tensor_slice_pb2",
    "tensorflow.python.checkpoint.checkpoint_state_pb2",
    "tensorflow.python.training.checkpoint_state_pb2",
)

#: Declared in the older syntax, in which a zero may be written out; it is read the same.
PROTO2 = "tensorflow.GraphDebugInfo"


def declared() -> dict[str, Descriptor]:
    """Return the messages that TensorFlow declares, by full name, and those of protobuf's own that they hold."""
    found: dict[str, Descriptor] = {}
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue  # The last two are one module, which moved.
        waiting = [module.DESCRIPTOR]
        while waiting:
            file = waiting.pop()
            for message in file.message_types_by_name.values():
                found |= {each.full_name: each for each in nested(message)}
            waiting += file.dependencies
    return found


def nested(message: Descriptor) -> Iterator[Descriptor]:
    yield message
    for inner in message.nested_types:
        yield from nested(inner)


def our_messages() -> list[Descriptor]:
    pool = protos._pool()
    files = [pool.FindFileByName(f"tfmagic/{package}.proto") for package in ("tensorflow", "google.protobuf")]
    return [each for file in files for top in file.message_types_by_name.values() for each in nested(top)]


def is_repeated(each: FieldDescriptor) -> bool:
    """Say whether a field repeats; protobuf 5, which TensorFlow 2.18 comes with, says it by a label only."""
    if hasattr(each, "is_repeated"):
        return bool(each.is_repeated)
    return bool(each.label == each.LABEL_REPEATED)  # type: ignore[attr-defined] # the stubs are of protobuf 7


def facts(each: FieldDescriptor) -> tuple[Any, ...]:
    """Return all that the wire, the text format or a caller can tell of a field."""
    target = each.message_type or each.enum_type
    oneof = each.containing_oneof
    return (
        each.name, each.number, each.type, is_repeated(each),
        min(one.number for one in oneof.fields) if oneof else None, target.full_name if target else None,
        bool(each.message_type and each.message_type.GetOptions().map_entry),
    )  # fmt: skip


def presence(each: FieldDescriptor) -> tuple[bool, bool | None]:
    """Return what only a writer can tell: whether a zero is written, and how a list is."""
    # The oldest protobuf does not tell which fields are packed.
    return each.has_presence, getattr(each, "is_packed", None)


@needs_tensorflow
def test_every_message_is_declared_as_tensorflow_declares_it() -> None:
    theirs = declared()
    ours = our_messages()
    assert len(ours) > 100
    for message in ours:
        assert message.full_name in theirs, f"{message.full_name} is none of TensorFlow's"
        known = {each.number: each for each in theirs[message.full_name].fields}
        # Another TensorFlow may have fewer fields, so those in common are compared.
        for each in [each for each in message.fields if each.number in known]:
            assert facts(each) == facts(known[each.number]), f"{message.full_name}.{each.name}"
            if not message.full_name.startswith(PROTO2):
                assert presence(each) == presence(known[each.number]), f"{message.full_name}.{each.name}"


@needs_tensorflow
def test_the_schema_has_every_field_of_the_newest_tensorflow() -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that only this test should take

    if not tf.__version__.startswith("2.21."):
        pytest.skip("the schema is that of TensorFlow 2.21")
    theirs = declared()
    for message in our_messages():
        assert {each.number for each in message.fields} == {each.number for each in theirs[message.full_name].fields}, (
            message.full_name
        )


@needs_tensorflow
def test_every_enum_is_declared_as_tensorflow_declares_it() -> None:
    theirs, ours = enums(declared().values()), enums(our_messages())
    assert len(ours) >= 6
    for name, enum in ours.items():
        known = {value.number: value.name for value in theirs[name].values}
        assert {value.number: value.name for value in enum.values if value.number in known} == known


@needs_tensorflow
def test_dtype_names_are_those_of_tf_as_dtype() -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    numbers = [number for number in range(1, 200) if known_dtype(tf, number)]
    assert {1, 7, 14, 20, 21, 101, 107} <= set(numbers)
    for number in numbers:
        assert protos.dtype_name(number) == tf.as_dtype(number).name
    for number in [number for number in numbers if number < 100]:
        assert protos.dtype_number(tf.as_dtype(number).name) == number


def enums(messages: Iterable[Descriptor]) -> dict[str, EnumDescriptor]:
    types = [each.enum_type for message in messages for each in message.fields]
    return {each.full_name: each for each in types if each is not None}


def known_dtype(tf: Any, number: int) -> bool:
    try:
        tf.as_dtype(number)
    except TypeError:
        return False
    return True


def test_dtypes_that_nobody_gave_out() -> None:
    assert protos.dtype_name(0) == "invalid"
    assert protos.dtype_name(77) == "dtype_77"
    with pytest.raises(KeyError):
        protos.dtype_number("float33")


@needs_tensorflow
def test_item_sizes_are_those_in_memory() -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    sizeless = {"string", "resource", "variant"}
    for number in [number for number in range(1, 100) if known_dtype(tf, number)]:
        dtype = tf.as_dtype(number)
        assert protos.item_size(dtype.name) == (None if dtype.name in sizeless else dtype.size), dtype.name


@pytest.mark.parametrize("shape", [None, (), (None,), (3, None, 0), (2**40,)])
def test_shapes_come_back(shape: tuple[int | None, ...] | None) -> None:
    assert protos.shape_of(protos.shape_proto(shape)) == shape


@needs_tensorflow
@pytest.mark.parametrize("shape", [None, (), (None,), (3, None, 0)])
def test_shapes_are_those_of_tensorflow(shape: tuple[int | None, ...] | None) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    theirs = tf.TensorShape(shape).as_proto()
    assert protos.shape_of(protos.adopt(theirs)) == shape
    assert protos.native(protos.shape_proto(shape)) == theirs


def test_grapplers_symbolic_dimensions_are_unknown() -> None:
    shape = protos.message("TensorShapeProto")(dim=[{"size": -17}, {"size": 4}])
    assert protos.shape_of(shape) == (None, 4)


def unknown_content(rng: random.Random) -> bytes:
    """A field of a number that no message has, as a newer TensorFlow may write."""
    return field(rng.randrange(5000, 6000), rng.randbytes(rng.randrange(20)))


@pytest.mark.parametrize("seed", range(5))
def test_what_the_schema_does_not_know_survives_a_round_trip(seed: int) -> None:
    rng = random.Random(seed)
    value = field(6, b"") + unknown_content(rng)
    node = field(1, "n") + field(2, "Op") + field(5, field(1, "key") + field(2, value)) + unknown_content(rng)
    data = field(1, node) + unknown_content(rng)
    parsed = protos.parse("GraphDef", data)
    assert parsed.SerializeToString() == data
    parsed.node[0].name = "m"
    assert parsed.SerializeToString() == data.replace(field(1, "n"), field(1, "m"), 1)


def test_a_message_that_is_none() -> None:
    with pytest.raises(protos.ParseError):
        protos.parse("GraphDef", b"\x0a\xff")
    with pytest.raises(protos.TextParseError):
        protos.parse_text("GraphDef", "node { name: }")
    with pytest.raises(protos.TextParseError):
        protos.parse_text("GraphDef", 'node { name: "a"')


def test_text_with_references() -> None:
    text = 'node { name: "v" op: "RefIdentity" attr { key: "T" value { type: DT_FLOAT_REF } } }'
    parsed = protos.parse_text("GraphDef", text)
    assert parsed.node[0].attr["T"].type == 101
    assert "DT_FLOAT_REF" in protos.to_text(parsed)
    assert protos.parse_text("GraphDef", protos.to_text(parsed)) == parsed


def test_text_with_fields_of_another_version_is_read_without_them() -> None:
    text = 'node { name: "a" op: "Op" shiny_new_field { x: [1, 2] } }\nother: "x"'
    assert protos.parse_text("GraphDef", text) == protos.parse_text("GraphDef", 'node { name: "a" op: "Op" }')


def test_text_with_an_error_beside_an_unknown_field_is_an_error() -> None:
    with pytest.raises(protos.TextParseError):
        protos.parse_text("GraphDef", "shiny_new_field: 1\nnode { name: 7 }")


def test_deep_nesting_in_text_is_refused() -> None:
    deep = "type_state { list_value { values " * 2000
    with pytest.raises((protos.TextParseError, RecursionError)):
        protos.parse_text("TypeSpecProto", deep)


def test_deep_nesting_in_binary_is_a_parse_error() -> None:
    data = b""
    for _ in range(500):
        data = field(1, field(51, data))
    with pytest.raises(protos.ParseError):
        protos.parse("ListValue", data)


@needs_tensorflow
def test_text_is_what_tensorflow_reads_and_writes() -> None:
    from google.protobuf import text_format  # noqa: PLC0415 - with TensorFlow's classes only
    from tensorflow.core.framework import graph_pb2  # noqa: PLC0415 - as above

    theirs = sample_graph()
    assert protos.native(protos.parse_text("GraphDef", text_format.MessageToString(theirs))) == theirs
    assert text_format.Parse(protos.to_text(protos.adopt(theirs)), graph_pb2.GraphDef()) == theirs


@needs_tensorflow
def test_native_and_adopt_change_the_class_and_nothing_else() -> None:
    theirs = sample_graph()
    ours = protos.adopt(theirs)
    assert type(ours) is protos.message("GraphDef")
    assert type(protos.native(ours)) is type(theirs)
    assert protos.native(ours) == theirs
    assert protos.adopt(protos.native(ours)) == ours


def sample_graph() -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    double = tf.function(lambda x: x * 2.0)
    concrete = tf.function(lambda x: {"y": double(x)}).get_concrete_function(tf.TensorSpec([None, 3]))
    return concrete.graph.as_graph_def(add_shapes=True)


def test_without_tensorflow_a_message_stays_ours() -> None:
    program = """
import sys
from tfmagic.files import protos
ours = protos.message("GraphDef")()
assert protos.native(ours) is ours
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_messages_of_protobufs_own_are_wired_as_its_own() -> None:
    held = any_pb2.Any()
    held.Pack(wrappers_pb2.BoolValue(value=True))
    info = protos.message("MetaGraphDef.MetaInfoDef")()
    info.any_info.MergeFromString(held.SerializeToString())
    assert (info.any_info.type_url, info.any_info.value) == (held.type_url, held.value)


def test_threads_that_ask_first_share_one_pool() -> None:
    program = """
import sys, threading
sys.setswitchinterval(1e-6)
from tfmagic.files import protos
begin = threading.Barrier(4)
classes = []
def ask(name):
    begin.wait()
    classes.append(protos.message(name))
names = ("TensorShapeProto", "TensorInfo", "NodeDef", "GraphDef")
threads = [threading.Thread(target=ask, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
pools = {id(each.DESCRIPTOR.file.pool) for each in classes}
assert len(pools) == 1, pools
protos.message("TensorInfo")().tensor_shape.CopyFrom(protos.message("TensorShapeProto")())
"""
    subprocess.run([sys.executable, "-c", program], check=True)
