"""What an operator is told of what the services answer."""

import pytest

from deploy.operating.services import without_phone


@pytest.mark.parametrize(
    ("aggregate", "told"),
    [("phone:+16305550100", "phone"), ("stop:+16305550100", "stop"), ("course:1", "course:1"), (None, None)],
)
def test_a_phone_number_is_told_to_nobody(aggregate: str | None, told: str | None) -> None:
    assert without_phone(aggregate) == told
