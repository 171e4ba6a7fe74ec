"""The code that brings a source to where it can be converted: a ConcreteFunction, or a session.

Not for: what is made of those (:mod:`tfmagic.verbs.snippets.results`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.files import places
from tfmagic.functions import nested_structures
from tfmagic.functions.keras import calls as keras_calls
from tfmagic.graphs import tensor_names
from tfmagic.graphs.signatures import DEFAULT_TAGS, tag_set
from tfmagic.models.model import Part
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.snippets import choices, example_values
from tfmagic.verbs.snippets.choices import Choice
from tfmagic.verbs.snippets.example_values import Bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model


@dataclass(frozen=True)
class Source:
    """A source, and what the user said of it.

    Attributes
    ----------
    name : str
        What it is called in the code, if it is live.
    model : Model
        What was read.
    options : mapping
        The verb's options.
    """

    name: str
    model: Model
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def function(self) -> NamedFunction:
        """The function that is meant."""
        options: dict[str, Any] = {
            each: self.options.get(each) for each in ("signature", "inputs", "outputs", "method")
        }
        functions = conversion_options.functions(self.model, Wish(**options), every=False)
        return next(iter(functions.values()))

    @cached_property
    def choice(self) -> Choice:
        """The ends that are meant, of a source whose function is called as it is."""
        options: dict[str, Any] = {each: self.options.get(each) for each in ("signature", "method")}
        whole = conversion_options.functions(self.model, Wish(**options), every=False)
        return Choice.of(self.model.form, next(iter(whole.values())), self.options)

    @property
    def computed(self) -> frozenset[Part]:
        """The parts that the source does not hold, and a library makes."""
        return self.model.computed

    @property
    def is_session(self) -> bool:
        """Whether the code works with a session of TensorFlow 1."""
        return self.model.reader.is_session

    @property
    def is_keras(self) -> bool:
        """Whether it is a Keras model, live or in a file."""
        return Part.KERAS in self.model.loaders

    @property
    def is_whole(self) -> bool:
        """Whether its own inputs and outputs are meant."""
        return not self.choice.is_other

    @property
    def place(self) -> str:
        """The path, in quotes."""
        return repr(self.where)

    @property
    def where(self) -> str:
        """The path as the code names it: of what lies at an address, that of the copy which the code makes."""
        return str(self.path) if self.path is None or places.is_here(self.path) else self.path.name

    @property
    def path(self) -> Path | None:
        """The path."""
        return self.model.path

    @property
    def live(self) -> Any:  # noqa: ANN401 - any live object
        """What the user gave, if that is a live object."""
        return self.model.live

    @property
    def form(self) -> str:
        """The source's form."""
        return self.model.form

    @property
    def whole(self) -> NamedFunction:
        """The function as it is, whichever of its ends are meant."""
        return self.choice.function

    def named(self, name: str) -> Source:
        """Return the same under another name."""
        return replace(self, name=name)

    def lines(self) -> list[str]:
        """Return the code that makes ``function``, or ``session``.

        Raises
        ------
        UnsupportedConversionError
            If stock TensorFlow has no way.
        """
        begun = self.begun
        if begun is None:
            raise errors.UnsupportedConversionError(self.form, "code", (), "stock TensorFlow has no way back from it")
        return begun

    @cached_property
    def begun(self) -> list[str] | None:
        """The code that makes ``function``, or ``session``; None if stock TensorFlow has no way."""
        lines = self.model.reader.code(self)
        return None if lines is None else ["", *lines]

    @property
    def holder(self) -> str:
        """What has to be saved with the function: an object that holds its variables and tables."""
        return self.model.reader.holder(self)

    def specs(self, ends: Iterable[Endpoint]) -> str:
        """Return the code of TensorSpecs, joined by commas."""
        return ", ".join(spec(end) for end in ends)

    def traced(self, ends: Iterable[Endpoint], call: str, arguments: str | None = None) -> list[str]:
        """Return the code that traces a call on these ends, one after the other unless its arguments are told."""
        inputs = list(ends)
        return [
            *_decorated(inputs),
            f"    return {call}({', '.join(_arguments(inputs)) if arguments is None else arguments})",
            "",
            "function = serve.get_concrete_function()",
        ]

    def chosen_ends(self) -> list[str]:
        """Return the code that gives the function the ends that are meant, none if they are its own."""
        if not self.choice.is_other:
            return []
        call, paths = choices.calling(self.choice, form=self.form, is_loaded=self.model.reader.has_tag_sets)
        return ["whole = function", "", *_decorated(self.choice.specs), *_ended(call, self.choice.results(paths))]

    def serving(self, name: str) -> list[str]:
        """Return the code that traces a Keras model under the user's keys, in inference mode."""
        return _serving(name, self.choice)

    # A call on example values

    @property
    def key(self) -> str:
        """The key of the signature that is called."""
        return str(self.options.get("signature") or example_values.default_key(self.model.signatures))

    @property
    def tags(self) -> list[str]:
        """The tag-set of that signature."""
        if self.options.get("tags"):
            return list(tag_set(self.options["tags"]) or ())
        # Not from the table, where they are joined: a tag may hold anything.
        having = [tags for tags, signed in self.model.part(Part.SIGNATURES) if self.key in signed]
        return list(DEFAULT_TAGS if DEFAULT_TAGS in having or not having else having[0])

    def ends(self, side: str) -> list[Endpoint]:
        """Return the inputs or outputs of that signature; side is ``input`` or ``output``."""
        return example_values.ends(self.model.signatures, self.options.get("signature"), side)

    def fed(self) -> list[tuple[str, str]]:
        """Return the inputs of that signature by key, each with an example value."""
        return [(end.key, example_values.array(end)) for end in self.ends("input")]

    def keywords(self, *, constants: bool = True) -> list[str]:
        """Return a line an argument of a call on example values, as constants or as arrays."""
        return example_values.keywords(self.ends("input"), constants=constants)

    def session_run(self) -> list[str]:
        """Return the code that runs ``session`` on example values."""
        fetches = {end.key: tensor_names.full(end.tensor) for end in self.ends("output")}
        feeds = (f"{tensor_names.full(end.tensor)!r}: {example_values.array(end)}" for end in self.ends("input"))
        return [f"outputs = session.run({fetches!r}, {{{', '.join(feeds)}}})"]

    def tensors(self, side: str) -> dict[str, str]:
        """Return the names of the graph's own tensors, for sessions, by key."""
        ends = self.function.inputs if side == "inputs" else self.function.outputs
        return {end.key: _tensor(self, end, of=side) for end in ends}


def _tensor(source: Source, end: Endpoint, of: str = "inputs") -> str:
    """Return the name that a tensor has in the source's own graph."""
    named = conversion_options.named(source.options.get(of)) or {}
    if Part.SIGNATURES in source.model.loaders:
        for _, signed in source.model.part(Part.SIGNATURES):
            for signature in signed.values():
                side = getattr(signature, of)
                if end.key in side:
                    return str(side[end.key].name)
    name = named.get(end.key, end.key)
    return tensor_names.full(name)


def spec(end: Endpoint) -> str:
    """Return the code of a TensorSpec."""
    shape = "None" if end.shape is None else repr(list(end.shape))
    return f"tf.TensorSpec({shape}, {end.dtype!r}, name={_arguments([end])[0]!r})"


def _arguments(ends: Sequence[Endpoint]) -> list[str]:
    return nested_structures.identifiers(end.key for end in ends)


def _decorated(ends: Sequence[Endpoint]) -> list[str]:
    specs = ", ".join(spec(end) for end in ends)
    return [f"@tf.function(input_signature=[{specs}])", f"def serve({', '.join(_arguments(ends))}):"]


def _serving(name: str, choice: Choice) -> list[str]:
    """Return the code that traces a Keras model under the user's keys, in inference mode."""
    function = choice.function
    call = keras_calls.call_of(function.model)
    names = [Bare(choice.arguments[end.key]) for end in function.inputs]
    args, kwargs = nested_structures.rebuild((call.args, call.kwargs), iter(names))
    arguments = [*(repr(each) for each in args), *(f"{key}={each!r}" for key, each in kwargs.items()), "training=False"]
    results = choice.results(function.returned)
    return ["", *_decorated(choice.specs), *_ended(f"{name}({', '.join(arguments)})", results)]


def _ended(call: str, results: str) -> list[str]:
    return [f"    found = {call}", f"    return {results}", "", "function = serve.get_concrete_function()"]
