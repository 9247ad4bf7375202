"""Any sequence of what may happen to a patient: no text that must not be, and each text's state goes its way only."""

from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.reminders.text.provider import Accepted, Outcome, OutgoingText, ProviderRefused, Unknown, Unsent
from services.reminders.text.text import Text, TextState
from shared.contract.closed_sets import SuppressedReason
from shared.contract.reminders import TextDelivered, TextFailed, TextSent, TextSuppressed
from tests.stand_ins.reminders_oracle import faults
from tests.stand_ins.reminders_patient import HAPPENINGS, Patient

T = TextState

WAYS = {
    (T.SCHEDULED, T.SUPPRESSED),
    (T.SCHEDULED, T.SENT),
    (T.SCHEDULED, T.FAILED),
    (T.SCHEDULED, T.UNKNOWN),
    (T.SUPPRESSED, T.SCHEDULED),  # taken back, and wanted again
    (T.UNKNOWN, T.SENT),
    (T.UNKNOWN, T.DELIVERED),
    (T.UNKNOWN, T.FAILED),
    (T.SENT, T.DELIVERED),
    (T.SENT, T.FAILED),
}
"""From one look at a text to the next, in the whole of which other things may have come between."""

ANSWERS: list[Outcome | None] = [None, Unsent("20429"), ProviderRefused("21211"), Unknown("TimeoutError")]


class Texts(RuleBasedStateMachine):
    """A patient to whom anything happens."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[UUID, Text] = {}
        self.answer: Outcome | None = None

    @initialize(seed=st.integers(1, 10**6))
    def begin(self, seed: int) -> None:
        self.patient = Patient(seed)
        self.patient.world.provider = self.provider
        self.patient.begin()

    def provider(self, text: OutgoingText) -> Outcome:
        return self.answer or Accepted(f"SM{text.attempt_id.hex}")

    @rule(what=st.sampled_from(HAPPENINGS), number=st.integers(1, 5))
    def something_happens(self, what: str, number: int) -> None:
        sessions = sorted(self.patient.sessions)
        self.patient.happens(what, sessions[number % len(sessions)])

    @rule(minutes=st.integers(1, 60 * 48))
    def time_passes(self, minutes: int) -> None:
        self.patient.pass_time(minutes)

    @rule(answer=st.sampled_from(ANSWERS))
    def the_provider_answers(self, answer: Outcome | None) -> None:
        self.answer = answer

    @invariant()
    def every_text_goes_its_way(self) -> None:
        texts = [*self.patient.texts()]
        for text in texts:
            before = self.known.get(text.text_id)
            if before is not None and before.state is not text.state:
                assert (before.state, text.state) in WAYS
                assert before.state is not T.SUPPRESSED or before.reason is SuppressedReason.SUPERSEDED
        self.known = {text.text_id: text for text in texts}

    def teardown(self) -> None:
        if not hasattr(self, "patient"):
            return
        world = self.patient.world
        assert list(faults(world)) == []
        told = [(type(e), e.text_id) for e in world.events if isinstance(e, TextSent | TextDelivered | TextFailed)]
        assert len(told) == len(set(told)), "nothing is told twice"
        ends = {T.SENT: TextSent, T.DELIVERED: TextDelivered, T.FAILED: TextFailed}
        for text in self.known.values():
            if text.state in ends:
                assert (ends[text.state], text.text_id) in told
        called_off = {e.text_id for e in world.events if isinstance(e, TextSuppressed)}
        assert {text.text_id for text in self.known.values() if text.state is T.SUPPRESSED} <= called_off


TestTexts = Texts.TestCase
TestTexts.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
