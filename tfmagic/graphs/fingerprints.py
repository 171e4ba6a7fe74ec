"""Short texts that are the same for two computations that are alike, whatever their nodes are called.

What stands for a weight is its dtype and shape, so that a model, what was frozen of it and what was trained on have one
fingerprint. Not for: saying what differs (:mod:`tfmagic.graphs.computation_matching`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tfmagic.graphs.computation import tensors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfmagic.graphs.computation import Computation

#: Bytes of a fingerprint: among a million models two are taken for one with a chance of one in 10**26.
_BYTES = 16


def of_parts(parts: Iterable[str | bytes]) -> str:
    """Return the fingerprint of a sequence of texts, each of which counts as a whole."""
    digest = hashlib.blake2b(digest_size=_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def of_computation(whole: Computation) -> str:
    """Return the fingerprint of what comes out of a computation, in any order and under any keys."""
    known: list[str] = []
    sources, offsets = tensors(whole.sources.tolist()), whole.offsets.tolist()
    for place, code in enumerate(whole.codes.tolist()):
        op, attributes = whole.described[code]
        texts = (text for pair in attributes for text in pair)
        own = sources[offsets[place] : offsets[place + 1]]
        # What comes around a loop is no part of it.
        inputs = (f"{known[source]}:{number}" for source, number in own if source < place)
        known.append(of_parts((op, whole.kinds.get(place, ""), *texts, "", *inputs)))
    return of_parts(sorted(f"{known[source]}:{number}" for source, number in whole.outputs.values()))
