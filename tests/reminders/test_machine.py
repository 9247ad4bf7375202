"""Any sequence of what may happen to a patient: no text that must not be, and each text's state goes its way only."""

from datetime import datetime
from math import ceil
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.reminders.text.provider import Accepted, Outcome, OutgoingText, ProviderRefused, Unknown, Unsent
from services.reminders.text.text import Text, TextState
from shared.contract.closed_sets import SuppressedReason
from shared.contract.reminders import TextDelivered, TextFailed, TextSent, TextSuppressed
from tests.facts.course import MINUTE
from tests.stand_ins.reminders_oracle import astray, faults
from tests.stand_ins.reminders_patient import OF_PEOPLE, Patient

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

PICKS = st.integers(0, 99)
"""One of what there is, whatever there is."""


class Texts(RuleBasedStateMachine):
    """A patient to whom anything happens that changes something."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[UUID, Text] = {}
        self.answer: Outcome | None = None

    @initialize(seed=st.integers(1, 10**6), days=st.sampled_from([0, 0, 5, 10, 20, 30]))
    def begin(self, seed: int, days: int) -> None:
        """In a life that has already lasted some days."""
        self.patient = Patient(seed)
        self.patient.world.provider = self.provider
        self.patient.begin()
        self.patient.live_on(days)

    def provider(self, text: OutgoingText) -> Outcome:
        return self.answer or Accepted(f"SM{text.attempt_id.hex}")

    def pass_to(self, instant: datetime) -> None:
        self.patient.pass_time(max(0, ceil((instant - self.patient.world.now) / MINUTE)))

    def happens(self, what: str, pick: int) -> None:
        sessions = self.patient.open_to(what)
        self.patient.happens(what, sessions[pick % len(sessions)])

    @precondition(lambda self: self.patient.open_to("_confirm"))
    @rule(pick=PICKS)
    def a_session_is_confirmed(self, pick: int) -> None:
        self.happens("_confirm", pick)

    @precondition(lambda self: self.patient.open_to("_lose"))
    @rule(pick=PICKS)
    def a_confirmed_place_is_lost(self, pick: int) -> None:
        self.happens("_lose", pick)

    @precondition(lambda self: self.patient.open_to("_move"))
    @rule(pick=PICKS)
    def a_session_is_moved(self, pick: int) -> None:
        self.happens("_move", pick)

    @precondition(lambda self: self.patient.open_to("_cancel"))
    @rule(pick=PICKS, what=st.sampled_from(["_cancel", "_release"]))
    def a_session_is_given_up(self, pick: int, what: str) -> None:
        self.happens(what if self.patient.open_to(what) else "_cancel", pick)

    @precondition(lambda self: self.patient.open_to("_demand"))
    @rule(pick=PICKS, what=st.sampled_from(["_demand", "_demand", "_paid"]))
    def billing_speaks(self, pick: int, what: str) -> None:
        self.happens(what, pick)

    @precondition(lambda self: self.patient.open_to("_demand"))
    @rule(pick=PICKS)
    def money_is_demanded_at_night(self, pick: int) -> None:
        """What is said in quiet hours waits for the morning, and may meet what is said then."""
        self.pass_to(self.patient.next_night())
        if self.patient.open_to("_demand"):
            self.happens("_demand", pick)

    @precondition(lambda self: self.patient.outdated())
    @rule(pick=PICKS)
    def booking_is_read_again(self, pick: int) -> None:
        old = self.patient.outdated()
        self.patient.world.hear(old[pick % len(old)])

    @rule()
    def somebody_comes_along_or_no_more(self) -> None:
        self.patient.change_companions()

    @precondition(lambda self: self.patient.allowed())
    @rule()
    def the_patient_stops(self) -> None:
        self.patient.happens("_stop", 1)

    @precondition(lambda self: not self.patient.allowed())
    @rule(what=st.sampled_from(["_start", "_form", "_stop"]))
    def the_patient_may_be_texted_again(self, what: str) -> None:
        self.patient.happens(what, 1)

    @rule(what=st.sampled_from(OF_PEOPLE))
    def something_else_is_said_of_people(self, what: str) -> None:
        self.patient.happens(what, 1)

    @precondition(lambda self: self.patient.world.attempted)
    @rule()
    def the_provider_reports(self) -> None:
        self.patient.happens("_report", 1)

    @rule(minutes=st.integers(1, 60 * 48))
    def time_passes(self, minutes: int) -> None:
        self.patient.pass_time(minutes)

    @precondition(lambda self: self.patient.next_start())
    @rule()
    def the_next_visit_takes_place(self) -> None:
        start = self.patient.next_start()
        assert start is not None
        self.pass_to(start)

    @precondition(lambda self: self.patient.world.next_look())
    @rule()
    def the_next_text_falls_due(self) -> None:
        due_at = self.patient.world.next_look()
        assert due_at is not None
        self.pass_to(due_at)

    @rule(answer=st.sampled_from(ANSWERS))
    def the_provider_answers(self, answer: Outcome | None) -> None:
        self.answer = answer

    @precondition(lambda self: self.patient.world.recallable())
    @rule(pick=PICKS)
    def what_went_out_is_recalled(self, pick: int) -> None:
        texts = self.patient.world.recallable()
        self.patient.world.recall_sending(texts[pick % len(texts)])

    @precondition(lambda self: self.patient.world.opt_out_can_be_recalled())
    @rule()
    def an_opt_out_is_recalled(self) -> None:
        self.patient.world.recall_opt_out()
        assert not self.patient.world.contacts[self.patient.id].allowed

    @invariant()
    def the_ladder_is_as_what_was_told(self) -> None:
        assert list(astray(self.patient.world)) == []

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
    max_examples=800, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
