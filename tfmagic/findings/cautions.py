"""What a person should know before trusting a graph: ops that TensorFlow lacks, layers in training mode, state at risk.

Each caution is a fact that was read, none a guess. Not for: how a model was read, which its notes say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from tfmagic import errors
from tfmagic.graphs import function_uses, pipelines, plumbing, signatures
from tfmagic.graphs.ops import of_kind, registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from tfmagic.graphs.metagraphs import MetaGraph

#: Nodes of one kind whose attributes are read: a display does not wait for more.
_MOST_READ = 2_000
#: Nodes of a graph in which the way to each signature is followed.
_MOST_FOLLOWED = 300_000
_PYTHON_OPS = of_kind("python")
_MUTABLE_TABLES = of_kind("mutable table")
_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")


class Caution(NamedTuple):
    """One thing to know.

    Attributes
    ----------
    text : str
        A sentence without its full stop.
    ops : tuple of str
        The types of the ops that it is about.
    names : tuple of str
        The nodes that it is about, where it is not about all of those types.
    """

    text: str
    ops: tuple[str, ...]
    names: tuple[str, ...] = ()


class GraphModel(Protocol):
    """What cautions need of a model: its graph and the table of its ops."""

    @property
    def meta_graph(self) -> MetaGraph:
        """The MetaGraphDef whose ops are shown."""

    def is_at_hand(self, part: str) -> bool:
        """Whether there is such a part, and a display may ask for it."""

    def table(self, name: str, *, all: bool = False) -> pd.DataFrame:  # noqa: A002 - the contract's name
        """Return one of the public tables."""


def cautions(model: GraphModel) -> list[Caution]:
    """Return what there is to know of a graph that is at hand."""
    if not model.is_at_hand("graph"):
        return []
    present = set(model.table("ops", all=True)["op"].cat.categories)
    return [caution for find in _FINDERS for caution in find(model, present)]


def _foreign(model: GraphModel, present: set[str]) -> Iterator[Caution]:
    """Find types of ops that are neither TensorFlow's nor functions of the graph."""
    functions = {signature.name for signature in model.meta_graph.graph.function_signatures}
    unknown = sorted(present - registered() - functions)
    if unknown:
        kinds = f"op types that TensorFlow itself does not have: {errors.listed(unknown)}"
        yield Caution(f"{kinds}; running needs the library that registers them", tuple(unknown))


def _python(_model: GraphModel, present: set[str]) -> Iterator[Caution]:
    calls = _those(_PYTHON_OPS, present)
    if calls:
        yield Caution(
            "calls Python functions that the model does not hold: it runs only in the process that made it", calls
        )


def _training(model: GraphModel, present: set[str]) -> Iterator[Caution]:
    """Find batch normalisation that takes the statistics of the batch instead of those it learned."""
    if not _those(_NORMS, present):
        return
    frame = _served(model)
    rows = frame.index[frame["op"].isin(_NORMS)][:_MOST_READ]
    # A SavedModel leaves out what has a default, and the default is to train (core/ops/nn_ops.cc).
    nodes = [model.meta_graph.graph.node_def(int(row)) for row in rows]
    names = [str(node.name) for node in nodes if "is_training" not in node.attr or node.attr["is_training"].b]
    if names:
        said = f"batch normalisation in training mode: {errors.listed(names)}; results depend on the rest of the batch"
        yield Caution(said, _those(_NORMS, present), tuple(names))


def _served(model: GraphModel) -> pd.DataFrame:
    """Return the rows that the signatures need: a Keras model is saved with its training step beside them."""
    frame = model.table("ops", all=True)
    definitions = [each for key, each in model.meta_graph.signature_def.items() if not signatures.is_hidden(key)]
    tensors = [end.tensor for each in definitions for end in signatures.endpoints(each.outputs)]
    if not tensors or len(frame) > _MOST_FOLLOWED:
        return frame
    nodes, called = plumbing.needed(frame, function_uses.read(model.meta_graph.graph), tensors)
    in_main = (frame["function"] == "") & frame["name"].isin(nodes)
    return frame[in_main | frame["function"].isin(called)]


def _tables(_model: GraphModel, present: set[str]) -> Iterator[Caution]:
    tables = _those(_MUTABLE_TABLES, present)
    if tables:
        yield Caution("has mutable lookup tables: a frozen graph cannot hold what is in them", tables)


def _pipelines(model: GraphModel, present: set[str]) -> Iterator[Caution]:
    """Find queues and iterators in front of the model, and where to cut them off."""
    handing_out = _those(pipelines.HANDING_OUT, present)
    frame = model.table("ops", all=True) if handing_out else None
    if frame is None or len(frame) > _MOST_FOLLOWED:
        return
    nodes = plumbing.main_graph(frame)
    ops = {name: node.op for name, node in nodes.items()}
    tensors = pipelines.handed_out(ops, ((name, node.inputs) for name, node in nodes.items()))
    tensors = tensors or [f"{name}:0" for name, op in ops.items() if op in pipelines.HANDING_OUT]
    if tensors:
        yield Caution(
            "its input comes out of queues or iterators, which wait for what nobody starts: name what they hand out as "
            f"inputs, {errors.listed(tensors)}",
            handing_out,
        )


def _those(wanted: Iterable[str], present: set[str]) -> tuple[str, ...]:
    return tuple(sorted(present.intersection(wanted)))


_FINDERS: tuple[Callable[[GraphModel, set[str]], Iterator[Caution]], ...] = (
    _foreign,
    _python,
    _training,
    _tables,
    _pipelines,
)
