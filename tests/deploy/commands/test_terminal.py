"""Instants and counts as people read them."""

from datetime import datetime

from deploy.commands.terminal import counted, instant


def test_instants_and_counts_as_people_read_them() -> None:
    assert instant("2030-01-04T12:00:00.250000Z") == "2030-01-04 12:00:00Z"
    assert instant(datetime.fromisoformat("2030-01-04T12:00:00+00:00")) == "2030-01-04 12:00:00Z"
    assert (counted(1, "event"), counted(1200, "event")) == ("1 event", "1,200 events")
