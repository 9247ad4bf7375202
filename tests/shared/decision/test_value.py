"""A changed copy of a value is what the standard library would make, only sooner."""

from typing import NamedTuple

import pytest

from shared.decision.value import changed_often


class Plain(NamedTuple):
    number: int
    name: str = "n"
    notes: tuple[str, ...] = ()


@changed_often
class Quick(NamedTuple):
    number: int
    name: str = "n"
    notes: tuple[str, ...] = ()


@pytest.mark.parametrize("changes", [{}, {"number": 2}, {"notes": ("a",), "name": "m"}])
def test_a_copy_differs_where_it_was_told_to_and_nowhere_else(changes: dict[str, object]) -> None:
    one = Quick(1)
    copy = one._replace(**changes)
    assert type(copy) is Quick
    assert copy == Plain(1)._replace(**changes)
    assert one == (1, "n", ())


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="nmae"):
        Quick(1)._replace(**{"nmae": "m"})
