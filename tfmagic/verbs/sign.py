"""Sign: give a SavedModel on disk other signatures, keys, method names or tags, in place or as a copy.

Not for: the edit itself (:mod:`tfmagic.transforms.signature_edit`), or how it gets to the disk
(:mod:`tfmagic.verbs.signed_files`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfmagic import errors, readers
from tfmagic.files import places, write_checks
from tfmagic.graphs.signatures import tag_set
from tfmagic.transforms.signature_plans import Changes, Wanted
from tfmagic.verbs.conversion import destinations, signature_maps
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.signed_files import SignedFile
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from tfmagic.models.model import Model
    from tfmagic.verbs.conversion.options import SignatureMap

_FIELDS = ("signature", "inputs", "outputs", "method")


@undisturbed
def sign(  # noqa: PLR0913 - the contract's options
    source: object,
    destination: str | os.PathLike[str] | None = None,
    *,
    signatures: SignatureMap | None = None,
    rename: Mapping[str, str] | None = None,
    remove: Sequence[str] | str | None = None,
    rename_tags: Mapping[str, str] | str | None = None,
    overwrite: bool = False,
    verify: bool | None = None,
    trust: bool = False,
) -> Model:
    """Give a SavedModel on disk other signatures, keys, method names or tags; no variable is read or written.

    Parameters
    ----------
    source : path-like or Model
        The SavedModel. Of one with several MetaGraphDefs, all that have a signature are changed;
        ``tfmagic.inspect(path, tags=…)`` gives a source that stands for one.
    destination : path-like, optional
        Where to write a copy with the changes. Without, the SavedModel is changed in place.
    signatures : mapping, optional
        Signatures to add or replace, by key, each a mapping with any of ``inputs`` and ``outputs`` (keys or names of
        tensors, by the keys that they are to have or as a list), ``method``, and ``signature``, the key of the one
        that it is made from: by default that of the same key, else ``serving_default``, else the only one. What is
        left out is as there. Signatures that are not mentioned stay. In a SavedModel of TensorFlow 1, any tensors of
        the graph may be named; in one of TensorFlow 2, inputs and outputs of that signature.
    rename : mapping of str to str, optional
        New keys of signatures by their old ones.
    remove : sequence of str, optional
        Keys of signatures to take away.
    rename_tags : mapping of str to str, optional
        New tag-sets by old ones, tags joined by commas: ``{"serve": "eval"}`` or ``"serve=eval"``.
    overwrite : bool
        Whether an existing destination is replaced, once the new one is complete.
    verify : bool, optional
        Whether the changed signatures are run before and after, if TensorFlow is loaded and the model is small.
        Left out, the notes say what cannot be checked; True makes that an error, False leaves the check out.
    trust : bool
        Whether they are run though they would act outside the model.

    Returns
    -------
    Model
        Of the result; its notes say what was not verified, and why.

    Raises
    ------
    UnknownNameError
        If there is no such signature, input, output, tensor or tag-set.
    ConversionError
        If the source is no SavedModel, or what is asked for contradicts itself.
    VerificationError
        If a signature gives other numbers than before; nothing was changed then.
    WriteError
        If the destination exists, or cannot be written.
    """
    changes = _changes(signatures, rename, remove, rename_tags)
    model = readers.read(source, trust=trust)
    if model.reader.message != "SavedModel" or model.file is None:
        raise errors.ConversionError(
            f"only a SavedModel on disk can be signed again, and this is a {model.form}: "
            "tfmagic.export(source, destination, signatures={…}) writes one with the signatures that you name"
        )
    if destination is None and not places.is_here(model.path):
        raise errors.WriteError(
            f"{model.origin!r} lies at an address, where a SavedModel is never replaced: name a destination"
        )
    model = model.here()
    assert model.file is not None  # noqa: S101 - a copy has what was copied
    job = SignedFile.of(model, model.file, changes)
    place = job.directory if destination is None else write_checks.resolved(destination)
    if not places.is_here(place):
        return _uploaded(job, model, place, check=verify)
    if destination is not None:
        write_checks.require_replaceable(place, overwrite=overwrite, directory=True)
    if destination is None or place == write_checks.resolved(job.directory):
        notes = job.in_place(check=verify, trust=model.is_trusted)
    else:
        notes = job.to(place, overwrite=overwrite, check=verify, trust=model.is_trusted)
    result = readers.read(place, trust=trust)
    if destination is not None:
        result = replace(result, origin=destinations.in_words(destination, place))
    said = [note for note in model.notes if destination is None and note not in result.notes]
    return result.with_notes(*said, *notes)


def _uploaded(job: SignedFile, model: Model, place: Path, *, check: bool | None) -> Model:
    """Sign a copy on this machine, and bring it to an address."""
    # With it comes what uploads.
    from tfmagic.files.addresses import uploads  # noqa: PLC0415

    with uploads.staging(places.as_address(place), overwrite=False, several=True) as aside:
        notes = job.to(aside, overwrite=False, check=check, trust=model.is_trusted)
    return readers.read(place, trust=model.is_trusted).with_notes(*notes)


def _changes(
    signatures: SignatureMap | None,
    rename: Mapping[str, str] | None,
    remove: Sequence[str] | str | None,
    rename_tags: Mapping[str, str] | str | None,
) -> Changes:
    """Read what is asked for; refused if it has no meaning."""
    described = signature_maps.checked_mapping(signatures, "signatures")
    wanted = {key: _wanted(key, fields) for key, fields in described.items()}
    gone = (remove,) if isinstance(remove, str) else tuple(remove or ())
    tags = {frozenset(_tags(old)): _tags(new) for old, new in _tag_pairs(rename_tags).items()}
    changes = Changes(wanted, dict(signature_maps.checked_mapping(rename, "rename")), gone, tags)
    if not changes.for_signatures and not tags:
        raise errors.ConversionError(
            "nothing is to be changed: give signatures={…}, rename={…}, remove=[…] or rename_tags={…} (--rename, "
            "--remove, --rename-tags in a magic or shell)"
        )
    return changes


def _wanted(key: str, fields: Mapping[str, Any]) -> Wanted:
    """Read an entry of a signature map."""
    signature_maps.check_fields(key, fields, _FIELDS)
    inputs, outputs = (conversion_options.named(fields.get(side)) for side in ("inputs", "outputs"))
    return Wanted(fields.get("signature"), inputs, outputs, fields.get("method"))


def _tag_pairs(pairs: Mapping[str, str] | str | None) -> Mapping[str, str]:
    if not isinstance(pairs, str):
        return pairs or {}
    old, equals, new = pairs.partition("=")
    if not equals:
        raise errors.ConversionError(f"rename_tags wants OLD=NEW, such as 'serve=eval', not {pairs!r}")
    return {old: new}


def _tags(tags: str | Collection[str]) -> tuple[str, ...]:
    return tag_set(tags) or ()
