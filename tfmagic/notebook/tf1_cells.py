"""Run code of TensorFlow 1 as it was written, in a graph and a session of its own, inside TensorFlow 2.

While the code runs, ``tf`` means ``tensorflow.compat.v1``, also where the code imports it. No global switch is
touched: the code gets names, builtins and sessions of its own, and the notebook has its names back afterwards, also
when the code raises. Not for: IPython (:mod:`tfmagic.notebook.magics`).
"""

from __future__ import annotations

import ast
import builtins
import difflib
import types
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from tfmagic import errors
from tfmagic.runtime import error_texts
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TENSORFLOW = "tensorflow"
_V1 = "tensorflow.compat.v1"
#: Names that the code may leave bound to our stand-in, and that the notebook gets back as they were.
_OWN_NAMES = ("tf", _TENSORFLOW, "__builtins__")
_ABSENT = object()
#: Rewritten code asks this builtin for what follows ``.value``.
_VALUE = "__tfmagic_value__"

#: What left TensorFlow with 2.0, and what does its work today.
_GONE = {
    "contrib": "its parts live on in other packages (tf.contrib.layers and slim: tf_slim; learn, rnn, seq2seq: Keras, "
    "tensorflow_addons), or as tf.layers, tf.nn and tf.data",
    "estimator": "TensorFlow 2.16 dropped estimators; build the graph itself, or use Keras",
    "examples": "the data are in keras.datasets: keras.datasets.mnist.load_data()",
    "models": "it was never a part of the package; its code is in the repository tensorflow/models",
}
#: Names that TensorFlow 1.0 changed.
_RENAMED = {
    "batch_matmul": "matmul", "complex_abs": "abs", "inv": "reciprocal", "merge_summary": "summary.merge",
    "merge_all_summaries": "summary.merge_all", "mul": "multiply", "neg": "negative", "pack": "stack",
    "scalar_summary": "summary.scalar", "histogram_summary": "summary.histogram",
    "image_summary": "summary.image", "select": "where", "sub": "subtract", "unpack": "unstack",
}  # fmt: skip
#: Switches of the whole process. In a cell there is nothing left for the first to do, and the second cannot be.
_NEEDLESS = (
    "disable_v2_behavior", "disable_eager_execution", "disable_resource_variables", "enable_resource_variables",
    "disable_v2_tensorshape", "enable_v2_tensorshape", "disable_tensor_equality", "enable_tensor_equality",
    "disable_control_flow_v2", "enable_control_flow_v2",
)  # fmt: skip
_IMPOSSIBLE = ("enable_eager_execution", "enable_v2_behavior")


class Ran(NamedTuple):
    """What came of a cell.

    Attributes
    ----------
    session : tf.compat.v1.Session
        The last session that the code made on its graph, open even if the code closed it; else the one that it was
        given, with its variables and tables initialised.
    value : object
        What the code's last line is worth, if that is an expression.
    """

    session: runtime.Live
    value: object


def run(source: str, namespace: dict[str, Any], filename: str = "<tf_graph>") -> Ran:
    """Run code of TensorFlow 1.

    Parameters
    ----------
    source : str
        Python; IPython's own syntax has been translated.
    namespace : dict
        The notebook's variables. What the code assigns stays there, except ``tf``.
    filename : str
        What tracebacks call the code.
    """
    tree = _Rewriter().visit(ast.parse(source, filename))
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    ast.fix_missing_locations(tree)
    with _borrowed(namespace, _Cell()) as cell:
        exec(compile(tree, filename, "exec"), namespace)  # noqa: S102 - the user's own code, as any cell's
        value = None
        if last is not None:
            expression = ast.fix_missing_locations(ast.Expression(last.value))
            value = eval(compile(expression, filename, "eval"), namespace)  # noqa: S307 - as above
        return Ran(cell.finish(), value)


class _Rewriter(ast.NodeTransformer):
    """Lets ``shape[0].value`` be a number although a dimension is one already in TensorFlow 2."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr != "value" or not isinstance(node.ctx, ast.Load):
            return node
        return ast.copy_location(ast.Call(ast.Name(_VALUE, ast.Load()), [node.value], []), node)


def _value(item: runtime.Live) -> object:
    """Return what ``item.value`` is in TensorFlow 1; a dimension that is not known is None."""
    if item is None or (isinstance(item, int) and not hasattr(item, "value")):
        return item
    return item.value


@contextmanager
def _borrowed(namespace: dict[str, Any], cell: _Cell) -> Iterator[_Cell]:
    """Give the code its names; afterwards the notebook has its own again."""
    before = {name: namespace.get(name, _ABSENT) for name in _OWN_NAMES}
    namespace.update({"tf": cell.module, "__builtins__": cell.builtins()})
    try:
        with cell:
            yield cell
    finally:
        for name, value in before.items():
            if value is not _ABSENT:
                namespace[name] = value
            elif name != _TENSORFLOW or isinstance(namespace.get(name), _StandIn):
                namespace.pop(name, None)
        namespace.update({name: value.real for name, value in namespace.items() if isinstance(value, _StandIn)})


class _StandIn(types.ModuleType):
    """A module of TensorFlow with some of its names exchanged, for the code of one cell."""

    def __init__(self, real: types.ModuleType, exchanged: dict[str, object]) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.real = real
        vars(self).update(exchanged)

    def __getattr__(self, name: str) -> object:
        try:
            return getattr(self.real, name)
        except AttributeError:
            raise AttributeError(_advice(name, dir(self.real)), name=name, obj=self) from None

    def __dir__(self) -> list[str]:
        return dir(self.real)


def _advice(name: str, known: Sequence[str]) -> str:
    """Say what to write instead of a name that TensorFlow no longer has."""
    if name in _GONE:
        return f"tf.{name} is not in TensorFlow 2: {_GONE[name]}"
    near = [_RENAMED[name]] if name in _RENAMED else difflib.get_close_matches(name, known)
    return f"tensorflow.compat.v1 has no {name!r}" + (f"; did you mean {errors.listed(near)}?" if near else "")


class _Cell:
    """The graph, the sessions and the ``tf`` of one cell, which it enters as the defaults."""

    def __init__(self) -> None:
        self.tf = runtime.tensorflow()
        self.module = self._module()
        self.is_running = False
        self.sessions: list[runtime.Live] = []
        self._closing: list[runtime.Live] = []
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        self.is_running = True
        self._begin()
        return self

    def _begin(self) -> None:
        self.graph = self.tf.Graph()
        self.own_session = self.tf.compat.v1.Session(graph=self.graph)
        self._entered.enter_context(self.graph.as_default())
        self._entered.enter_context(self.own_session.as_default())

    def finish(self) -> runtime.Live:
        """Return the session that the cell's name is to stand for; the others that the code closed are closed."""
        in_graph = [session for session in self.sessions if session.graph is self.graph]
        chosen = (in_graph or self.sessions or [self.own_session])[-1]
        if chosen is self.own_session:
            _initialise(self.own_session)
        self._closing = [each for each in self._closing if each is not chosen]
        if chosen is not self.own_session:
            self._closing.append(self.own_session)
        return chosen

    def __exit__(self, kind: object, *_: object) -> None:
        self.is_running = False
        self._entered.close()
        if kind is not None:
            self._closing.append(self.own_session)
        for session in self._closing:
            session.close()
        self.sessions, self._closing = [], []

    def builtins(self) -> dict[str, Any]:
        """Return the builtins of the code, whose imports of TensorFlow give the cell's."""
        return {**vars(builtins), "__import__": self._import, _VALUE: _value}

    def _import(self, name: str, *others: Any, **options: Any) -> Any:  # noqa: ANN401 - as Python's own
        fromlist = others[2] if len(others) > 2 else options.get("fromlist")  # noqa: PLR2004 - its place
        level = others[3] if len(others) > 3 else options.get("level", 0)  # noqa: PLR2004 - as above
        parts = name.split(".")
        if not self.is_running or level or parts[0] != _TENSORFLOW:
            return builtins.__import__(name, *others, **options)
        asked = parts[1:] if parts[1:] or not fromlist else list(fromlist)
        gone = next((part for part in asked if part in _GONE), None)
        if gone is not None:
            raise ModuleNotFoundError(_advice(gone, ()), name=name)
        if name in (_TENSORFLOW, _V1):
            return self.module
        module = builtins.__import__(name, *others, **options)
        return module if fromlist else self.module

    def _module(self) -> _StandIn:
        """Return what the code sees as ``tf``."""
        v1 = self.tf.compat.v1
        session = _recorded(v1.Session, self)
        exchanged: dict[str, object] = {
            "Session": session,
            "InteractiveSession": _interactive(session, self),
            "reset_default_graph": self._reset,
            **dict.fromkeys(_NEEDLESS, _needless),
            **{name: _impossible(name) for name in _IMPOSSIBLE},
        }
        module = _StandIn(v1, exchanged)
        vars(module)["compat"] = _StandIn(v1.compat, {"v1": module})
        vars(module)["layers"] = _Layers(v1.layers)
        return module

    def _reset(self) -> None:
        """Begin with another graph, as the code wants; TensorFlow itself refuses inside a ``with``."""
        if self.graph.get_operations() or self.sessions:
            self._entered.close()
            self._closing.append(self.own_session)
            self._begin()

    def enter(self, context: runtime.Live) -> None:
        """Enter a context until the cell ends."""
        self._entered.enter_context(context)

    def close_later(self, session: runtime.Live) -> None:
        """Note that the code is done with a session."""
        self._closing.append(session)


def _recorded(base: type, cell: _Cell) -> type:
    """Return a class of sessions that the cell knows of, and that stay open until it ends."""

    class Session(base):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - TensorFlow's
            super().__init__(*args, **options)
            if cell.is_running:
                cell.sessions.append(self)

        def close(self) -> None:
            if cell.is_running:
                cell.close_later(self)
            else:
                super().close()

    Session.__doc__ = base.__doc__
    return Session


def _interactive(base: type, cell: _Cell) -> type:
    """Return a class of sessions that are the default from the moment they are made, until the cell ends."""

    class InteractiveSession(base):  # type: ignore[misc]
        def __init__(self, target: str = "", graph: runtime.Live = None, config: runtime.Live = None) -> None:
            super().__init__(target, graph, config)
            if cell.is_running:
                cell.enter(self.as_default())
                if graph is not None:
                    cell.enter(graph.as_default())

    return InteractiveSession


class _Layers(_StandIn):
    """``tf.layers``, which only Keras 2 still has."""

    def __init__(self, real: types.ModuleType) -> None:
        types.ModuleType.__init__(self, "tensorflow.compat.v1.layers")
        self.real = real

    def __getattr__(self, name: str) -> object:
        return getattr(keras_runtime.legacy_layers(), name)


def _needless(*_: object, **__: object) -> None:
    """Do nothing: in this cell TensorFlow 1 is in force, and no switch of the whole process is touched."""


def _impossible(name: str) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError(
            f"tf.{name}() has no place in a %%tf_graph cell, which builds a graph: eager code runs in a plain cell"
        )

    return refuse


def _initialise(session: runtime.Live) -> None:
    """Run the initializers of the variables without a value and of the tables; they are in the graph already."""
    if not session.graph.get_operations():
        return
    keys = runtime.tensorflow().compat.v1.GraphKeys
    collections = [session.graph.get_collection(name) for name in (keys.GLOBAL_VARIABLES, keys.LOCAL_VARIABLES)]
    variables = {id(each): each for collection in collections for each in collection}.values()
    try:
        session.run([each.initializer for each in variables if not _has_value(session, each)])
        session.run(session.graph.get_collection(keys.TABLE_INITIALIZERS))
    except runtime.tensorflow().errors.OpError as error:
        warnings.warn(
            "the cell's variables or tables are without values, because their initializer fails: "
            f"{error_texts.gist(error)}; run it in the cell, with what it needs",
            stacklevel=4,
        )


def _has_value(session: runtime.Live, variable: runtime.Live) -> bool:
    """Read a variable where it lies, by an op that the graph has."""
    try:
        session.run(session.graph.as_graph_element(variable).op)
    except runtime.tensorflow().errors.FailedPreconditionError:
        return False
    return True
