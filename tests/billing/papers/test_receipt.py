"""What stands on a receipt."""

from services.billing.papers.receipt import Receipt, receipt
from tests.stand_ins.papers_story import PLACE, ROBIN, TWO_WEEKS_ON, PapersStory, made


def test_a_receipt_is_for_the_day_of_care_and_not_of_the_payment() -> None:
    story = PapersStory(*TWO_WEEKS_ON)
    paper = made(receipt(story.account, story.share(2), story.give(2), PLACE, ROBIN))
    assert isinstance(paper, Receipt)
    assert (paper.on.isoformat(), paper.paid_cents, paper.methods, paper.title) == (
        "2026-11-19",
        45000,
        ("hsa",),
        "Ketamine infusion",
    )
