"""Attempts in the database: what is looked for in the provider's list."""

from services.reminders.store import attempts
from services.reminders.text.provider import Unknown
from shared.contract.closed_sets import TextKind
from tests.facts.clinic import contact_updated
from tests.facts.course import MINUTE, NOW, PHONE
from tests.facts.reminders import answer_wanted
from tests.stand_ins.reminders_rig import Rig


async def test_what_could_be_taken_for_another_attempt_is_not_looked_for(rig: Rig) -> None:
    await rig.hear(contact_updated())
    rig.sender.outcome = Unknown("TimeoutError")
    await rig.say(answer_wanted(TextKind.HELP))
    await rig.walk(NOW)
    (first,) = rig.sender.texts

    async with rig.database.begin() as connection:
        found = await attempts.sought(connection, {first.attempt_id}, {"stella": "stella"})
        assert [(one.to, one.body) for one in found.values()] == [(PHONE, first.body)]
        assert await attempts.sought(connection, {first.attempt_id}, {}) == {}, "its location is served no more"
    rig.clock.move(NOW + MINUTE)
    await rig.say(answer_wanted(TextKind.HELP))
    await rig.walk(NOW + MINUTE)

    async with rig.database.begin() as connection:
        assert len({text.body for text in rig.sender.texts}) == 1
        both = {text.attempt_id for text in rig.sender.texts}
        assert await attempts.sought(connection, both, {"stella": "stella"}) == {}
