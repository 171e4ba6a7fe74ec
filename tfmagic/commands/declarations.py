"""The verbs as commands: name, summary, arguments, options, and what the shell makes of the result.

A front (the magics, the shell) parses a line by this table, evaluates what stands for an object, and calls ``run``. Not
for: what is called then (:mod:`tfmagic.commands.calls`), the fronts (``shell/``, ``notebook/``) or the work itself
(``verbs/``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.commands import calls
from tfmagic.commands import words as command_words
from tfmagic.commands.arguments import (  # fmt: skip
    BOUND,
    COUNT,
    FEED,
    FORM,
    FORMAT,
    METHOD,
    NAME,
    OP,
    PATH,
    SIGNATURE,
    SOURCE,
    TAGS,
    TENSOR,
    VALUE,
    Argument,
    Command,
    ShellSide,
)
from tfmagic.findings import scan
from tfmagic.models.quantisation import QUANTISED
from tfmagic.verbs.slimming import shares
from tfmagic.verbs.verification import tolerances

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def _drawn(model: Any) -> str:  # noqa: ANN401 - a Model, or a table of one
    """Return the folded graph of a model as SVG."""
    picture = getattr(model, "picture", None)
    if picture is None and hasattr(model, "form"):
        raise errors.MissingPartError("picture", model.form, ("tables",))
    if picture is None:
        message = f"{type(model).__name__!r} has no picture, only a whole model: leave the option out that asks for it"
        raise errors.ConversionError(message)
    svg: str = picture.svg
    return svg


def _differs(frame: Any, _values: argparse.Namespace) -> bool:  # noqa: ANN401 - a DataFrame
    """Say whether an output differs; one that tells nothing does not."""
    return any(equal is not None and not equal for equal in frame["equal"].astype(object))


def _sarif(result: Any) -> str:  # noqa: ANN401 - a Scan, which would load what scans
    log: str = result.sarif()
    return log


def _is_grave(result: Any, values: argparse.Namespace) -> bool:  # noqa: ANN401 - as above
    """Say whether a scan reached what it must not."""
    return values.fail_on is not None and bool(result.reaches(command_words.unquote(values.fail_on)))


_SOURCE = Argument(("SOURCE",), "a Python expression over the notebook's variables, else a path", SOURCE)
_SIGNATURE = Argument(("--signature",), "key of the signature that is meant", SIGNATURE)
_TAGS = Argument(("--tags",), "tag-set, joined by commas", TAGS)
_CODE = Argument(("--code",), "show the plain TensorFlow code that does the same, and do nothing", None)
_OVERWRITE = Argument(("--overwrite",), "replace what is there, once the new one is complete", None)
_VERIFY = Argument(("--verify",), "an error if source and result cannot be run to be compared", None)
_NO_VERIFY = Argument(("--no-verify",), "do not run source and result on the same inputs", None)
_FEEDS = Argument(
    (command_words.FEEDS,), "values for inputs: keys or tensors, and Python expressions; others are generated", FEED
)
_BIND = Argument(("--bind",), "INPUT=VALUE: make an input a constant, such as keep_prob=1.0", BOUND, repeats=True)
_EMA = Argument(("--ema",), "moving averages of the weights in their place, where they are kept", None)
_OPTIMIZE = Argument(("--optimize",), "fold constants and batch norms once, so that the first call is quicker", None)
_TRUST = Argument(("--trust",), "let the model run what acts outside it: Python code, files, the network", None)

#: What the pixels of a picture may become: the keys of :data:`tfmagic.verbs.input_files.PIXELS`, which a test compares.
_PIXELS = ("0 to 1", "-1 to 1", "0 to 255")
#: What the verbs mean that compare.
_EQUAL = f"Outputs count as equal so: {tolerances.MEANING}. Trials run on copies: what a run changes stays as it was."

#: What the body of a cell is to be, and the file that stands for it.
_SIGNATURE_MAP = (
    'a map of signatures: {"KEY": {"inputs": {"KEY": "TENSOR"}, "outputs": {"KEY": "TENSOR"}, "method": "predict"}}'
)

COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        Command(
            "inspect",
            "Show what is inside a model, or one of its tables as a DataFrame.",
            (
                _SOURCE,
                Argument(("--signatures",), "inputs and outputs of each SignatureDef", None),
                Argument(("--ops",), "nodes of the main graph and of all functions", None),
                Argument(("--functions",), "the function library", None),
                Argument(("--variables",), "variables, without their values", None),
                Argument(("--metagraphs",), "MetaGraphDefs by tag-set", None),
                Argument(("--assets",), "asset files", None),
                Argument(("--layers",), "Keras layers", None),
                Argument(("--costs",), "FLOPs and bytes of a run by layer or name scope, for a batch of one", None),
                Argument(("--depth",), "of --costs: how many parts of a name make its scope", COUNT),
                Argument(("--op",), "only ops whose type matches this regular expression", OP),
                Argument(("--name",), "only rows whose name matches this regular expression", NAME),
                Argument(("--signature",), "only this signature, or the ops that it needs", SIGNATURE),
                _TAGS,
                Argument(("--form",), "take the source for this form instead of recognising it", FORM),
                Argument(("--all",), "include what only saves, restores or is TensorFlow's bookkeeping", None),
                _TRUST,
            ),
            calls.inspect,
            examples=("./served", "./served --ops --op Conv", "model.keras --costs --depth 2"),
            shell=ShellSide(printers={"svg": _drawn}),
        ),
        Command(
            "freeze",
            "Freeze a model into one graph without variables, and write it if a file is given.",
            (
                _SOURCE,
                Argument(("-o", "--output"), "file to write: .pb or .pbtxt", PATH),
                _SIGNATURE,
                Argument(("--inputs",), "names of the inputs, joined by commas", TENSOR, repeats=True),
                Argument(("--outputs",), "names of the outputs, joined by commas", TENSOR, repeats=True),
                _TAGS,
                _BIND,
                Argument(("--keep-variables",), "variables that stay variables, joined by commas", NAME, repeats=True),
                _EMA,
                _OPTIMIZE,
                _OVERWRITE,
                _CODE,
                _VERIFY,
                _NO_VERIFY,
                _TRUST,
            ),
            calls.freeze,
            _EQUAL,
            examples=("./served -o model.pb", "model.keras -o model.pb --optimize"),
            shell=ShellSide(required=("--output",), writes="output"),
        ),
        Command(
            "export",
            "Write a model in another format, and check the result against the source.",
            (
                _SOURCE,
                Argument(("DEST",), "where to write; the suffix chooses the format, none means a SavedModel", PATH),
                Argument(("--format",), "format, where the suffix does not say it", FORMAT),
                _TAGS,
                Argument(("--signature",), "key of the signature to export", SIGNATURE),
                Argument(("--method",), "predict, classify, regress or a method name's URI", METHOD),
                Argument(("--input",), "KEY=TENSOR: an input of the signature", TENSOR, repeats=True),
                Argument(("--output",), "KEY=TENSOR: an output of the signature", TENSOR, repeats=True),
                _BIND,
                _EMA,
                _OPTIMIZE,
                Argument(("--quantize",), "of TFLite: smaller numbers; int8 wants --samples", NAME, choices=QUANTISED),
                Argument(("--samples",), "typical inputs to quantise for, and to compare on", VALUE),
                Argument(("--select-tf-ops",), "of TFLite: take TensorFlow's own ops where it lacks them (Flex)", None),
                Argument(("--text",), "write a SavedModel's message as text, saved_model.pbtxt", None),
                Argument(("--keep",), "of a checkpoint: number it, and keep so many in its directory", COUNT),
                Argument(("--batch",), "size of the batch, fixed in the result; else it stays open", COUNT),
                _OVERWRITE,
                _CODE,
                _VERIFY,
                _NO_VERIFY,
                _TRUST,
            ),
            calls.export,
            _EQUAL,
            examples=("model.keras ./served/1", "./served/1 model.tflite --quantize float16"),
            body=_SIGNATURE_MAP,
            shell=ShellSide(writes="DEST"),
        ),
        Command(
            "run",
            "Run a model, and say how long loading, the first call and a warm one take.",
            (
                _SOURCE,
                _FEEDS,
                _SIGNATURE,
                Argument(("--outputs",), "keys or tensors to compute, joined by commas", TENSOR, repeats=True),
                Argument(("--repeat",), "how many warm calls are timed (1)", COUNT),
                Argument(("--timeout",), "seconds after which the run is given up", COUNT),
                Argument(("--labels",), "what the classes are called: a file with one in each line, or a list", SOURCE),
                Argument(("--pixels",), "what a picture's pixels become (0 to 1)", NAME, choices=_PIXELS),
                _TRUST,
            ),
            calls.run,
            examples=("./served", "./served --signature serving_default --repeat 10"),
            shell=ShellSide((Argument(("-o", "--output"), "file to keep the outputs in: .npz", PATH), _OVERWRITE)),
        ),
        Command(
            "verify",
            "Run two models on the same inputs, and compare what they give.",
            (
                Argument(("A",), "a model, as SOURCE elsewhere", SOURCE),
                Argument(("B",), "the other one", SOURCE),
                _FEEDS,
                _SIGNATURE,
                _TRUST,
            ),
            calls.verify,
            _EQUAL,
            examples=("model.keras ./served/1",),
            shell=ShellSide(denies=_differs),
        ),
        Command(
            "merge",
            "Make one model of two: outputs of the first feed inputs of the second.",
            (
                Argument(("FIRST",), "a model, as SOURCE elsewhere", SOURCE),
                Argument(("SECOND",), "the one that goes on from there", SOURCE),
                Argument(
                    ("--connect",), "OUT=IN: an output of the first, an input of the second", TENSOR, repeats=True
                ),
                _SIGNATURE,
                Argument(("-o", "--output"), "where to write; the suffix chooses the format", PATH),
                _BIND,
                Argument(("--freeze",), "make variables and tables constants", None),
                Argument(("--map",), "run the first for each element of a batch by itself", None),
                _OVERWRITE,
                _CODE,
                _VERIFY,
                _NO_VERIFY,
                _TRUST,
            ),
            calls.merge,
            _EQUAL,
            examples=("decoder.pb ./classifier --connect flat=x -o ./merged",),
            shell=ShellSide(required=("--output",), writes="output"),
        ),
        Command(
            "scan",
            "Say what a model could do to whoever loads or runs it, without doing either.",
            (
                _SOURCE,
                Argument(("--all",), "include what stays within the model: its state, random numbers", None),
            ),
            calls.scan,
            examples=("downloaded.keras", "./served --all"),
            shell=ShellSide(
                (
                    Argument(
                        ("--fail-on",), "end with status 3 if it is as grave as this", NAME, choices=scan.SEVERITIES[1:]
                    ),
                ),
                printers={"sarif": _sarif},
                denies=_is_grave,
            ),
        ),
        Command(
            "diff",
            "Say what differs between two models of any forms, without running either.",
            (
                Argument(("A",), "a model, as SOURCE elsewhere", SOURCE),
                Argument(("B",), "the other one", SOURCE),
                _SIGNATURE,
                _TAGS,
                _TRUST,
            ),
            calls.diff,
            examples=("./served/1 ./served/2",),
            shell=ShellSide(denies=lambda result, _: not result.equal),
        ),
        Command(
            "catalog",
            "Show a row for each model below some places, whatever its form.",
            (
                Argument(
                    ("PLACE",),
                    "a folder, a model, or a pattern: * for letters of a name, ** for any folders",
                    PATH,
                    repeats=True,
                ),
                Argument(("--previous",), "an earlier catalogue's file: what did not change is not read again", PATH),
                Argument(("-o", "--output"), "file to write as well: .csv, .jsonl or .parquet", PATH),
                Argument(("--read-weights",), "read values where no checksums are stored, to find copies", None),
                Argument(
                    ("--executor",),
                    "where models are read: an executor, or one of the words threads and processes",
                    VALUE,
                    choices=("threads", "processes"),
                ),
                _OVERWRITE,
            ),
            calls.catalog,
            examples=("./models", "s3://bucket/team/** -o models.csv"),
        ),
        Command(
            "sign",
            "Give a SavedModel other signatures, keys, methods or tags, in place or as a copy.",
            (
                Argument(("DIR",), "the SavedModel's directory", SOURCE),
                Argument(
                    ("DEST",), "where to write a copy; without, the SavedModel is changed in place", PATH, optional=True
                ),
                Argument(("--rename",), "OLD=NEW: another key for a signature", SIGNATURE, repeats=True),
                Argument(("--remove",), "keys of signatures to take away, joined by commas", SIGNATURE, repeats=True),
                Argument(("--rename-tags",), "OLD=NEW: another tag-set, tags joined by commas", TAGS, repeats=True),
                _OVERWRITE,
                _CODE,
                _VERIFY,
                Argument(("--no-verify",), "do not run the changed signatures before and after", None),
                _TRUST,
            ),
            calls.sign,
            _EQUAL,
            examples=("./served --rename serving_default=predict", "./served ./signed --remove train"),
            body=_SIGNATURE_MAP,
        ),
        Command(
            "slim",
            "Say where the bytes of a model go, and write a copy without those that are not needed.",
            (
                _SOURCE,
                Argument(("DEST",), "where to write the copy; without, nothing is written", PATH, optional=True),
                Argument(
                    ("--retain",), "a kind that the copy has all the same", NAME, repeats=True, choices=shares.KINDS
                ),
                _OVERWRITE,
                _VERIFY,
                _NO_VERIFY,
                _TRUST,
            ),
            calls.slim,
            _EQUAL,
            examples=("./served", "./served ./slim"),
        ),
        Command(
            "restore",
            "Put the values of a checkpoint or a file of weights into a live model, module or session.",
            (
                _SOURCE,
                Argument(("CHECKPOINT",), "a checkpoint, a .weights.h5, .h5 or .keras file, or a SavedModel", PATH),
                Argument(("--partial",), "take what fits by name and shape, and list the rest", None),
                Argument(
                    ("--rename",),
                    "OLD=NEW: a variable or layer in the file, and what the model calls it; one * on each side",
                    NAME,
                    repeats=True,
                ),
                _CODE,
                _TRUST,
            ),
            calls.restore,
            examples=("model ./ckpt-1000",),
            shell=ShellSide(absent="it puts values into a live model or session, and a shell has none"),
        ),
        Command(
            "panel",
            "Show a model in a live panel: see, explore, run and convert it.",
            (
                Argument(("SOURCE",), f"{_SOURCE.help}; without, a choice of what is at hand", SOURCE, optional=True),
                Argument(
                    ("--color",),
                    "what colours the graph: parameters, bytes, flops, time, or numbers by the names of nodes",
                    VALUE,
                    choices=("parameters", "bytes", "flops", "time"),
                ),
                Argument(("--compare",), "another model, as SOURCE: drawn over this one, with a tab Diff", SOURCE),
                _TRUST,
            ),
            calls.panel,
            examples=("", "./served --color bytes"),
            shell=ShellSide(absent="it is made of live widgets"),
        ),
        Command(
            "forms",
            "Show which forms can be read, and in which formats each can be written.",
            (),
            calls.forms,
        ),
    )
}
