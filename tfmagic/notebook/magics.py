"""The front in IPython: line magics, their completion, and the one place where errors become usage errors.

A magic declares itself and delegates. Not for: what a verb does (``verbs/``), how its line is parsed
(:mod:`tfmagic.commands.declarations`), or what the words of a line stand for (:mod:`tfmagic.notebook.expressions`).
"""

from __future__ import annotations

import importlib
import inspect
import keyword
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class
from traitlets import Enum, default

from tfmagic import errors
from tfmagic.commands import arguments, declarations
from tfmagic.commands import words as command_words
from tfmagic.display import render
from tfmagic.notebook import expressions, live_display

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell


@magics_class
class TfMagic(Magics):
    """Inspect and convert TensorFlow models; ``%config TfMagic`` lists the settings."""

    display = Enum(
        render.MODES,
        help="How results are displayed: auto (the best that the front end has), html (static) or text.",
    ).tag(config=True)

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell, parent=shell)
        self.observe(self._set_display, "display")
        self._set_display({"new": self.display})

    @default("display")
    def _default_display(self) -> str:
        return render.display.mode

    def _set_display(self, change: Mapping[str, Any]) -> None:
        render.display.mode = change["new"]

    @line_magic
    def tf_inspect(self, line: str) -> object:
        """Show what is inside a model, or one of its tables as a DataFrame.

        ::

            %tf_inspect model
            ops = %tf_inspect ./served --ops --op Conv

        is

        ::

            import tfmagic
            tfmagic.inspect(model)
            ops = tfmagic.inspect("./served").ops

        ``%tf_inspect --help`` lists the options.
        """
        return self._run("inspect", line)

    @line_magic
    def tf_freeze(self, line: str) -> object:
        """Freeze a model into one graph without variables.

        ::

            %tf_freeze model -o model.pb

        is

        ::

            import tfmagic
            tfmagic.freeze(model, output="model.pb")

        ``%tf_freeze --help`` lists the options.
        """
        return self._run("freeze", line)

    @line_cell_magic
    def tf_export(self, line: str, cell: str | None = None) -> object:
        """Write a model in another format, and check the result against the source.

        ::

            %tf_export model ./served/1

        is

        ::

            import tfmagic
            tfmagic.export(model, "./served/1")

        and a cell whose body is a map of signatures, tensors or their names alike,

        ::

            %%tf_export sess ./served --tags serve
            {"predict_images": {"inputs": {"images": x}, "outputs": {"scores": "out/Sigmoid:0"}, "method": "predict"}}

        is

        ::

            tfmagic.export(sess, "./served", tags="serve", signatures={"predict_images": {"inputs": {"images": x}, …}})

        ``%tf_export --help`` lists the options.
        """
        return self._run("export", line, cell)

    @line_magic
    def tf_run(self, line: str) -> object:
        """Run a model, and say how long loading, the first call and a warm one take.

        ::

            %tf_run ./served x=images[:8] --repeat 10

        is

        ::

            import tfmagic
            tfmagic.run("./served", {"x": images[:8]}, repeat=10)

        Inputs that are left out are generated. With ``photos = "./photos"``, ``%tf_run ./classifier image=photos
        --labels labels.txt --pixels "-1 to 1"`` runs it on the pictures of a folder, and ranks the classes:
        ``tfmagic.run("./classifier", {"image": photos}, labels="labels.txt", pixels="-1 to 1").top()``.

        ``%tf_run --help`` lists the options.
        """
        return self._run("run", line)

    @line_magic
    def tf_verify(self, line: str) -> object:
        """Run two models on the same inputs, and compare what they give.

        ::

            %tf_verify model ./served x=images

        is

        ::

            import tfmagic
            tfmagic.verify(model, "./served", {"x": images})

        Without values, inputs are generated. ``%tf_verify --help`` lists the options.
        """
        return self._run("verify", line)

    @line_magic
    def tf_merge(self, line: str) -> object:
        """Make one model of two: outputs of the first feed inputs of the second.

        ::

            %tf_merge decoder ./classifier --connect flat=x --map -o ./merged

        is

        ::

            import tfmagic
            tfmagic.merge(decoder, "./classifier", connect={"flat": "x"}, map=True, output="./merged")

        ``%tf_merge --help`` lists the options.
        """
        return self._run("merge", line)

    @line_cell_magic
    def tf_sign(self, line: str, cell: str | None = None) -> object:
        """Give a SavedModel other signatures, keys, methods or tags, in place or as a copy.

        ::

            %tf_sign ./served --rename serving_default=predict --remove train

        is

        ::

            import tfmagic
            tfmagic.sign("./served", rename={"serving_default": "predict"}, remove=["train"])

        and a cell whose body is a dict

        ::

            %%tf_sign ./served ./signed
            {"predict": {"inputs": {"images": "x"}, "outputs": {"scores": "y"}, "method": "predict"}}

        is

        ::

            tfmagic.sign("./served", "./signed", signatures={"predict": {"inputs": {"images": "x"}, …}})

        ``%tf_sign --help`` lists the options.
        """
        return self._run("sign", line, cell)

    @line_magic
    def tf_scan(self, line: str) -> object:
        """Say what a model could do to whoever loads or runs it, without doing either.

        ::

            %tf_scan ./downloaded

        is

        ::

            import tfmagic
            tfmagic.scan("./downloaded")

        ``%tf_scan --help`` lists the options.
        """
        return self._run("scan", line)

    @line_magic
    def tf_slim(self, line: str) -> object:
        """Say where the bytes of a model go, and write a copy without those that are not needed.

        ::

            %tf_slim ./served ./slim --retain assets

        is

        ::

            import tfmagic
            tfmagic.slim("./served", "./slim", retain=["assets"])

        ``%tf_slim --help`` lists the options.
        """
        return self._run("slim", line)

    @line_magic
    def tf_diff(self, line: str) -> object:
        """Say what differs between two models of any forms, without running either.

        ::

            %tf_diff ./served frozen.pb
            %tf_diff model before.keras

        stands for::

            tfmagic.diff("./served", "frozen.pb")
            tfmagic.diff(model, "before.keras")

        Returns a Diff: its ``table`` has a row for each signature, op, attribute, layer or weight that differs, and for
        each scope that is only called otherwise; ``equal`` is the answer.
        """
        return self._run("diff", line)

    @line_magic
    def tf_catalog(self, line: str) -> object:
        """Show a row for each model below some places, whatever its form.

        ::

            %tf_catalog ./models "./more/**/prod" --output models.parquet
            %tf_catalog ./models --previous models.parquet --executor pool

        stands for::

            tfmagic.catalog("./models", "./more/**/prod", output="models.parquet")
            tfmagic.catalog("./models", previous="models.parquet", executor=pool)

        Returns a DataFrame: what each model is, takes and gives, its fingerprints, what it could do to who loads it, or
        why it cannot be read. ``%tf_catalog --help`` lists the options.
        """
        return self._run("catalog", line)

    @line_magic
    def tf_restore(self, line: str) -> object:
        """Put the values of a checkpoint or a file of weights into a live model, module or session.

        ::

            %tf_restore model ./old.weights.h5 --partial --rename encoder=body

        is

        ::

            import tfmagic
            tfmagic.restore(model, "./old.weights.h5", partial=True, rename={"encoder": "body"})

        ``%tf_restore --help`` lists the options.
        """
        return self._run("restore", line)

    @line_magic
    def tf_panel(self, line: str) -> object:
        """Show a model in a live panel: see, explore, run and convert it.

        ::

            %tf_panel model

        is

        ::

            import tfmagic
            tfmagic.panel(model)

        and ``%tf_panel model --color flops``, or ``--color series``, is ``tfmagic.panel(model, color="flops")``, or
        ``color=series``: numbers by the names of nodes, layers or scopes; ``%tf_panel model --compare before.keras`` is
        ``tfmagic.panel(model, compare="before.keras")``.

        Without SOURCE the choice is among the notebook's models and the files around it. ``%tf_panel --help`` lists the
        options.
        """
        return self._run("panel", line)

    @line_magic
    def tf_forms(self, line: str) -> object:
        """Show which forms can be read, and in which formats each can be written.

        ``%tf_forms`` is ``tfmagic.forms()``.
        """
        return self._run("forms", line)

    @line_cell_magic
    def tf_graph(self, line: str, cell: str | None = None) -> object:
        """Run a cell of TensorFlow 1 in a fresh graph and session, and bind NAME to the session.

        ::

            %%tf_graph net
            x = tf.placeholder(tf.float32, [None, 2], name="x")
            w = tf.get_variable("w", [2, 1])
            y = tf.matmul(x, w, name="y")

        is, but for all the ways in which old code makes, imports and closes things,

        ::

            import tensorflow as tf
            v1 = tf.compat.v1
            with tf.Graph().as_default():
                x = v1.placeholder(tf.float32, [None, 2], name="x")
                w = v1.get_variable("w", [2, 1])
                y = tf.matmul(x, w, name="y")
                net = v1.Session()
                net.run(v1.global_variables_initializer())

        In the cell, and nowhere else, ``tf`` is ``tensorflow.compat.v1``, also after ``import tensorflow as tf``. What
        the cell assigns is the notebook's afterwards. NAME is the last session that the cell made on its graph, still
        open; without one, a new session whose variables and tables are initialised by the ops that the graph has.

        ``%tf_graph --help`` shows this.
        """
        name = line.strip()
        if name in ("-h", "--help"):
            print(f"usage: %%tf_graph NAME\n\n{inspect.getdoc(TfMagic.tf_graph)}")  # noqa: T201 - as in _run
            return None
        if cell is None:
            raise UsageError("%%tf_graph NAME is for a cell, whose code follows in the lines below; put %% before it")
        if not name.isidentifier() or keyword.iskeyword(name):
            what = f"not {name!r}" if name else "and no name is given"
            raise UsageError(f"%%tf_graph NAME wants the name of the variable for the session, {what}")
        body = self.shell.transform_cell(cell)  # type: ignore[no-untyped-call]
        where = self.shell.compile.cache(body, self.shell.execution_count, raw_code=cell)
        try:
            ran = importlib.import_module("tfmagic.notebook.tf1_cells").run(body, self.shell.user_ns, where)
        except errors.MissingDependencyError as error:
            raise UsageError(str(error)) from error
        self.shell.user_ns[name] = ran.session
        return ran.value

    def _run(self, name: str, line: str, cell: str | None = None) -> object:
        """Run a command: the one boundary at which our errors lose their traceback."""
        command = declarations.COMMANDS[name]
        try:
            values = command.parse(line)
            words = expressions.NotebookWords(self.shell.user_ns, self.shell.ev)
            words.evaluate(command, values, cell)
            setattr(values, arguments.PANEL, _show_panel)
            return command.run(values)
        except arguments.HelpRequest as request:
            # Help is for reading, not a value.
            print(request)  # noqa: T201
            return None
        except (errors.TfMagicError, command_words.CommandError, FileNotFoundError) as error:
            # IPython hides the traceback of this very type only, not of its subclasses.
            raise UsageError(str(error)) from error
        except KeyboardInterrupt as error:
            # What IPython asks an exception for before it makes a traceback.
            vars(error)["_render_traceback_"] = lambda: [f"KeyboardInterrupt: %tf_{name} was stopped"]
            raise


def _late(name: str) -> ModuleType:
    """Import what brings the readers with its first use: loading the extension must stay light."""
    return importlib.import_module(f"tfmagic.{name}")


def _show_panel(source: object, **options: object) -> object:
    """Show the panel; widgets are imported when they are shown."""
    return _late("notebook.panel.widgets.verb").panel(source, **options)


class Matcher:
    """Completes the lines of our magics, in every front end that asks the kernel."""

    matcher_api_version = 2
    matcher_identifier = "tfmagic"
    matcher_priority = 0

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        # IPython reports a matcher by this name.
        self.__qualname__ = "tfmagic.Matcher"

    def __call__(self, context: CompletionContext) -> SimpleMatcherResult:
        """Return what can follow; keep the other matchers out when something can."""
        from IPython.core.completer import SimpleCompletion  # noqa: PLC0415 - loaded with the first completion

        line = context.text_until_cursor.rpartition("\n")[2]
        word, proposals = _late("commands.completion").complete(line, self.shell.user_ns)
        completions = [SimpleCompletion(text=each.text, type=each.kind) for each in proposals]
        return {"completions": completions, "matched_fragment": word, "suppress": bool(completions)}


def load(shell: InteractiveShell) -> None:
    """Register the magics and their completion; loading twice is loading once."""
    unload(shell)
    live_display.install()
    shell.register_magics(TfMagic(shell))
    shell.Completer.custom_matchers.append(Matcher(shell))


def unload(shell: InteractiveShell) -> None:
    """Take the magics and their completion away again."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if not isinstance(each, Matcher)]
    shell.configurables[:] = [each for each in shell.configurables if not isinstance(each, TfMagic)]
    for kind, names in TfMagic.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.magics_manager.registry.pop(TfMagic.__name__, None)
