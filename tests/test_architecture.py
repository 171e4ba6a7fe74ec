"""The shape of the package: what may import what, and how large a function is.

The order is that of DESIGN section 3 and of CONTRIBUTING's rooms. A module imports only what stands above it, so that a
reader can start at the top and never meet a name that comes later.
"""

from __future__ import annotations

import ast
import importlib
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = Path(__file__).resolve().parent.parent / "tfmagic"

#: The rooms in the order of dependency, as DESIGN section 3 prints them: a module imports only what stands above its
#: room. Modules of one room may import one another as long as there is no cycle.
ROOMS = (
    "errors",
    "escaping",
    "frames",
    "progress",
    "optional",
    "files",
    "graphs",
    "findings",
    "display",
    "runtime",
    "functions",
    "models",
    "readers",
    "transforms",
    "writers",
    "verbs",
    "commands",
    "shell",
    "notebook",
    "__init__",
    "__main__",
)

#: Which modules may import a library; a package covers all modules in it.
ONLY_IN = {
    "tensorflow": ("runtime",),
    "keras": ("runtime",),
    "tf_keras": ("runtime",),
    "IPython": ("notebook.magics",),
    "ipywidgets": ("notebook.panel.widgets",),
    "anywidget": ("notebook.panel.widgets",),
}

#: What opens, lists or stats a path: the methods of a Path, and the functions of ``os``.
OF_PATHS = frozenset(
    {
        *(
            "open",
            "is_file",
            "is_dir",
            "exists",
            "iterdir",
            "glob",
            "rglob",
            "stat",
            "lstat",
            "read_bytes",
            "read_text",
        ),
        *("is_symlink", "readlink", "resolve"),
    }
)
OF_OS = frozenset({"open", "scandir", "listdir", "stat", "lstat", "access", "walk", "readlink"})

#: Names of forms and formats that are other words as well: parts of a model, a library.
OTHER_WORDS = frozenset({"function", "keras"})
#: Words that say nothing of a value: allowed for what lives in one expression alone.
VAGUE = frozenset({"each", "found", "made", "told", "given", "one"})
#: Names that are part of what TensorFlow logs.
LOGGED = {("verbs.signed_results", "saved_model")}

#: What `tfmagic.inspect` must not bring in: what only scans, writes or draws takes as long as all that reads.
NOT_TO_READ = frozenset(
    {
        *("findings.file_scan", "findings.graph_scan", "findings.keras_scan", "display.graph.svg"),
        *("files.writing", "files.hdf5", "files.keras.python_code", "transforms", "writers", "verbs.conversion"),
    }
)
#: What `import tfmagic` and `%load_ext tfmagic` must not bring in: seconds of start for who only reads a file.
NOT_AT_START = ("tensorflow", "keras", "tf_keras", "ipywidgets", "anywidget", "h5py", "fast_sugiyama")


def module_name(path: Path) -> str:
    """Return a file's name within the package: ``readers.saved_model``, ``readers`` for its ``__init__``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


class Trees(Mapping[str, ast.Module]):
    """The modules' syntax trees, each parsed once, when it is asked for."""

    def __init__(self) -> None:
        self._parsed: dict[str, ast.Module] = {}

    def __getitem__(self, name: str) -> ast.Module:
        if name not in self._parsed:
            self._parsed[name] = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


TREES = Trees()


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name; nothing for what is none."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and last_name(node.test) == "TYPE_CHECKING"


def running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: everything but the bodies of ``if TYPE_CHECKING``."""
    yield node
    if isinstance(node, ast.If) and is_type_checking(node):
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from running_nodes(child)


@cache
def imported(module: str, *, annotations: bool = False) -> tuple[str, ...]:
    """Return the full names that a module imports, by statement or by ``import_module``, in functions too.

    With ``annotations`` those are among them that only a type checker imports.
    """
    tree = TREES[module]
    return tuple(imports(ast.walk(tree) if annotations else running_nodes(tree)))


def imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}: imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and last_name(node.func) in {"import_module", "__import__"}:
            yield from (
                name.value for name in node.args[:1] if isinstance(name, ast.Constant) and isinstance(name.value, str)
            )


@cache
def own_imports(name: str) -> set[str]:
    """Return the package's own modules that a module imports, for annotations too."""
    found = set()
    for full in imported(name, annotations=True):
        package, _, rest = full.partition(".")
        if package == "tfmagic":
            found.add(nearest_module(rest))
    return found - {name}


def nearest_module(dotted: str) -> str:
    """Return the longest beginning of a dotted name that is a module of ours."""
    parts = dotted.split(".") if dotted else []
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((candidate for candidate in candidates if candidate in MODULES), "__init__")


def room(name: str) -> str:
    """Return the room in which a module stands."""
    top = name.partition(".")[0]
    assert top in ROOMS, f"module {name!r} stands in no room of DESIGN section 3"
    return top


def test_a_module_imports_only_what_stands_above_it() -> None:
    below = {
        f"{name} imports {other}"
        for name in MODULES
        for other in own_imports(name)
        if ROOMS.index(room(other)) > ROOMS.index(room(name))
    }
    assert not below, "what stands in a lower room is imported"


def test_there_are_no_import_cycles() -> None:
    graph = {name: own_imports(name) for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a cycle: {' -> '.join([*path[path.index(name) :], name])}"
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_only_the_class_of_a_form_or_a_format_knows_its_name() -> None:
    """What a form or a format is able to do is asked of its class, so that a new one is one new file."""
    readers, writers = (importlib.import_module(f"tfmagic.{room}") for room in ("readers", "writers"))
    names = {reader.form for reader in readers.READERS} | {writer.format for writer in writers.WRITERS}
    told = {
        f"{name} (line {node.lineno}): {node.value!r}"
        for name, tree in TREES.items()
        if room(name) in {"display", "findings", "models", "verbs", "commands", "shell", "notebook"}
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in names - OTHER_WORDS and (name, node.value) not in LOGGED
    }
    assert not told, f"ask the reader or the writer instead of comparing its name: {sorted(told)}"


def test_models_and_readers_look_at_paths_through_files_alone() -> None:
    """So that an address can be a path one day."""
    strangers = [
        f"{name} (line {node.lineno}): {ast.unparse(node.func)}"
        for name, tree in TREES.items()
        if room(name) in {"models", "readers"}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name) and looks_at_a_path(node.func)
    ]
    assert not strangers, f"tfmagic.files.places has a function for it: {strangers}"


def looks_at_a_path(function: ast.Attribute | ast.Name) -> bool:
    """Say whether a call opens, lists or stats a path by itself."""
    if isinstance(function, ast.Name):
        return function.id == "open"
    owner = ast.unparse(function.value)
    return (owner == "os" and function.attr in OF_OS) or (
        function.attr in OF_PATHS and owner not in {"places", "reading"}
    )


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    places = {name for name in MODULES if any(full.partition(".")[0] == library for full in imported(name))}
    strangers = {name for name in places if not f"{name}.".startswith(tuple(f"{home}." for home in ONLY_IN[library]))}
    assert not strangers, f"{library} is imported in {sorted(strangers)}, not only in {ONLY_IN[library]}"


def test_a_module_is_named_by_a_noun_and_says_what_it_is_for() -> None:
    vague = {"utils", "util", "helpers", "common", "misc"}
    assert [name for name in MODULES if name.rpartition(".")[2] in vague] == []
    assert [name for name, tree in TREES.items() if not ast.get_docstring(tree)] == []


def lasting_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the names of parameters, attributes and variables, but for those of a comprehension or a lambda."""
    match node:
        case ast.arg(arg=name) | ast.keyword(arg=str(name)) | ast.Name(id=name, ctx=ast.Store()):
            yield name, node.lineno
        case ast.Attribute(attr=name) | ast.FunctionDef(name=name) | ast.MatchAs(name=str(name)):
            yield name, node.lineno
    lasting = [child for child in ast.iter_child_nodes(node) if not is_fleeting(node, child)]
    for child in lasting:
        yield from lasting_names(child)


def is_fleeting(node: ast.AST, child: ast.AST) -> bool:
    """Say whether what a node binds in a child lives no longer than the node."""
    return (isinstance(node, ast.comprehension) and child is node.target) or (
        isinstance(node, ast.Lambda) and child is node.args
    )


def test_names_say_what_the_value_is() -> None:
    vague = [
        f"{module} (line {line}): {name}"
        for module, tree in TREES.items()
        for name, line in lasting_names(tree)
        if name in VAGUE
    ]
    assert not vague, f"call a writer a writer, signatures signatures: {vague}"


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with the name to report it by."""
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}.{node.name} (line {node.lineno})", node


def bare_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the arguments that have no annotation."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return [one.arg for one in named if one.annotation is None and one.arg not in {"self", "cls"}]


def test_every_function_is_annotated() -> None:
    bare = [name for name, function in functions() if function.returns is None or bare_arguments(function)]
    assert not bare, f"without annotations: {bare}"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function in lines, its docstring not counted."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_functions_are_short() -> None:
    sizes = sorted((code_lines(function), name) for name, function in functions())
    lines = [size for size, _ in sizes]
    longest = [f"{name}: {size}" for size, name in sizes[-5:]]
    assert statistics.median(lines) <= 9, f"the median is {statistics.median(lines)}; the longest: {longest}"
    assert statistics.quantiles(lines, n=10)[-1] <= 35, f"a tenth is longer than 35 lines; the longest: {longest}"


def test_the_public_names_are_sorted_and_there() -> None:
    tfmagic = importlib.import_module("tfmagic")
    names = list(tfmagic.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(tfmagic, name)] == []


def test_the_extension_loads_without_tensorflow_and_widgets() -> None:
    program = f"""
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
import tfmagic
shell.extension_manager.load_extension("tfmagic")
assert "tf_inspect" in shell.magics_manager.magics["line"]
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(*sorted(new & set({NOT_AT_START!r})))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_what_only_scans_writes_or_draws_is_not_loaded_to_read() -> None:
    program = (
        "import sys, tfmagic; tfmagic.inspect; print(*(name for name in sys.modules if name.startswith('tfmagic.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {name.removeprefix("tfmagic.") for name in done.stdout.split()}
    assert "readers.saved_model" in loaded
    assert sorted(loaded & NOT_TO_READ) == []


def test_no_test_and_no_notebook_calls_keras_as_only_new_ones_have_it() -> None:
    """The suite runs on the oldest Keras, too, whose ``Model.export`` knows no ``verbose``."""
    root = PACKAGE.parent
    texts = {path: path.read_text("utf-8") for path in (*root.glob("tests/**/*.py"), *root.glob("notebooks/*.ipynb"))}
    calls = [
        str(path.relative_to(root)) for path, text in texts.items() if re.search(r"\.export\([^\n]*\bverbose=", text)
    ]
    assert not calls, "leave out verbose=: Keras 3.5 has no such argument, and pytest keeps what is printed"
