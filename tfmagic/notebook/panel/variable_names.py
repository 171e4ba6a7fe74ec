"""Names for new variables of the notebook: what is wrong with one, and what it would hide.

Not for: putting a value there.
"""

from __future__ import annotations

import builtins
import keyword
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Naming(NamedTuple):
    """What is wrong with a name, and what is to be known of it; empty where there is nothing."""

    problem: str = ""
    note: str = ""


def checked_name(name: str, variables: Mapping[str, object]) -> Naming:
    """Check a name for a new variable of the notebook."""
    name = name.strip()
    if not name:
        return Naming("give it a name")
    if not name.isidentifier():
        return Naming(f"{name!r} is no name for a variable: letters, digits and _, no digit first")
    if keyword.iskeyword(name):
        return Naming(f"{name!r} is a word of Python's own")
    if name in variables:
        return Naming(note=f"{name} is there already ({type(variables[name]).__name__}) and will be replaced")
    return Naming(note=f"{name} would hide Python's own {name}") if hasattr(builtins, name) else Naming()
