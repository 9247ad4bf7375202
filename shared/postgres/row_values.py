"""How rows become named tuples, and named tuples rows: a field is the column of its name. No SQL of its own."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_type_hints
from uuid import UUID

Value = TypeVar("Value", bound=tuple[Any, ...])

PLAIN: Final = (bool, int, str, date, datetime, UUID)
"""What a column holds as it is. A name of a closed set is text."""


@cache
def columns_of(kind: type[tuple[Any, ...]]) -> tuple[str, ...]:
    """The fields of a named tuple that are plain values, names of closed sets included; other fields are no columns."""
    return tuple(name for name, held in _classes(kind).items() if issubclass(held, PLAIN))


@cache
def _classes(kind: type[tuple[Any, ...]]) -> Mapping[str, type]:
    """What each field holds where it is not None; `object` where that is anything but one class."""
    found: dict[str, type] = {}
    for name, hint in get_type_hints(kind).items():
        held = [one for one in get_args(hint) if one is not NoneType] if isinstance(hint, UnionType) else [hint]
        found[name] = held[0] if len(held) == 1 and isinstance(held[0], type) else object
    return found


def reader(kind: type[Value], columns: tuple[str, ...] = ()) -> Callable[..., Value]:
    """What makes a named tuple of each row: names of closed sets become their members.

    Args:
        columns: the fields that a row holds, in its order; without any, all of them. The others are given by name with
            each row, or have their defaults.
    """
    make: Any = kind
    fields: tuple[str, ...] = make._fields
    own = columns or fields
    whole = own == fields
    closed = [
        (own.index(name), {member.value: member for member in held})
        for name, held in _classes(kind).items()
        if name in own and issubclass(held, StrEnum)
    ]

    def read(row: Iterable[Any], **others: Any) -> Value:
        values = list(row)
        for place, named in closed:
            if (name := values[place]) is not None:
                values[place] = named[name]
        value: Value = make._make(values) if whole else make(**dict(zip(own, values, strict=True)), **others)
        return value

    return read


@cache
def values_of(columns: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    """What takes the values of these fields, two or more of them, from anything that has them."""
    return attrgetter(*columns)


def row_of(columns: tuple[str, ...], item: object) -> dict[str, Any]:
    """The values of these fields by their names: a row for `Writes`."""
    return dict(zip(columns, values_of(columns)(item), strict=True))
