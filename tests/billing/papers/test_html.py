"""Papers as pages: valid HTML that anybody can read, made for print, with nothing from elsewhere."""

import re
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from justhtml import JustHTML

from services.billing.papers.folder import Kind
from services.billing.papers.html import clock, day, dollars
from shared.contract.clinic import PatientUpdated
from shared.contract.closed_sets import Basis
from tests.facts.clinic import patient_updated
from tests.stand_ins.papers_story import ROBIN, SIX, PapersStory


def pages(patient: PatientUpdated = ROBIN, **more: Any) -> dict[Kind, str]:
    """The three papers of a package, after its first session was given."""
    basis = more.pop("basis", Basis.PAID)
    story = PapersStory(*SIX, **({"package": "six", "price_cents": 74434} | more), patient=patient)
    story.change(2, provider="kim")
    story.look()
    story.give(1, minutes=100, basis=basis)
    story.look("2026-11-16 12:00")
    return {paper.kind: paper.html for paper in story.printed}


PAGES = pages()
ALL = pytest.mark.parametrize("html", PAGES.values(), ids=PAGES)


def read(html: str) -> JustHTML:
    """The page, as the parsing rules of HTML say.

    Raises:
        StrictModeError: it is not valid.
    """
    return JustHTML(html, strict=True, sanitize=False)


def texts(page: JustHTML, selector: str) -> list[str]:
    return [" ".join(node.to_text().split()) for node in page.query(selector)]


def text(html: str) -> str:
    return " ".join(read(html).query("body")[0].to_text().split())


@ALL
def test_a_page_has_a_language_a_title_landmarks_and_one_headline(html: str) -> None:
    page = read(html)
    assert page.query("html")[0].attrs["lang"] == "en"
    (title,), (headline,) = texts(page, "head > title"), texts(page, "main h1")
    assert title.startswith(headline)
    for landmark in ("body > header", "body > main", "body > footer"):
        assert len(page.query(landmark)) == 1


@ALL
def test_headings_go_down_one_step_at_a_time_and_name_their_sections(html: str) -> None:
    page = read(html)
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    named = [section.attrs["aria-labelledby"] for section in page.query("section")]
    ids = [node.attrs["id"] for node in page.query("[id]")]
    assert named == ids == list(dict.fromkeys(ids)), "each section by its own headline, and no id stands twice"


@ALL
def test_tables_have_a_caption_and_headers_with_a_scope(html: str) -> None:
    page = read(html)
    tables = page.query("table")
    assert len(tables) == len(page.query("table > caption")) == len(page.query("table > thead")) > 0
    assert {node.attrs["scope"] for node in page.query("thead th")} == {"col"}
    assert {node.attrs["scope"] for node in page.query("tfoot th")} <= {"row"}
    for table in tables:
        columns = len(table.query("thead th"))
        for row in table.query("tr"):
            cells = [*row.query("th"), *row.query("td")]
            assert sum(int((cell.attrs or {}).get("colspan") or 1) for cell in cells) == columns


@ALL
def test_nothing_is_fetched_and_nothing_runs(html: str) -> None:
    page = read(html)
    for tag in ("script", "link", "img", "iframe", "object", "embed", "form", "input", "a"):
        assert page.query(tag) == []
    assert not re.search(r"url\(|@import|https?:|\son\w+=|\sstyle=", html)


@ALL
def test_a_page_is_made_for_print(html: str) -> None:
    style = read(html).query("style")[0].to_text()
    assert "@page" in html
    assert "break-inside: avoid" in html
    assert "@media print" in html
    assert "gray" not in style


@ALL
def test_what_a_name_holds_is_only_text(html: str) -> None:
    assert "Robin &lt;Canary&gt; Example" in html
    assert "Robin <Canary> Example" not in html


@ALL
def test_a_page_names_its_practice_id_version_and_day(html: str) -> None:
    page = read(html)
    (header,), (footer,) = texts(page, "body > header"), texts(page, "body > footer")
    assert "The Albany Clinic" in header
    assert "1 Main Street" in header
    assert "618-555-0148" in header
    assert re.search(r"[0-9a-f-]{36}, version 1, issued (Mon Nov 2|Mon Nov 16), 2026", footer)


@pytest.mark.parametrize("no_claims", [False, True])
def test_the_wish_that_no_plan_be_told_stands_on_every_paper(no_claims: bool) -> None:
    for kind, html in pages(ROBIN.model_copy(update={"no_claims": no_claims})).items():
        assert ("asked that nothing about this care be told to a health plan" in text(html)) is no_claims, kind
        assert ("An insurer may give you back" in text(html)) is (not no_claims and kind is not Kind.RECEIPT), kind


@pytest.mark.parametrize(
    "fact",
    [
        "Robin <Canary> Example",
        "Date of birth May 17, 1984",
        "Ketamine infusion",
        "6 sessions from Mon Nov 16, 2026 to Mon Nov 30, 2026",
        "F33.2, F43.10",
        "96365",
        "J3490",
        "Integration therapy (talk therapy, not an infusion)",
        "Dana Reyes, MD: NPI 1245319599",
        "Kim O'Neil, CRNA: NPI 1679576722",
        "12-3456789",
        "(IL)",
        "Total expected charges: $4,466.04",
        "Evaluation after the series",
        "gets an estimate of its own when it is scheduled, or whenever you ask for one",
        "further items or services",
        "This is an estimate only.",
        "$400 or more above this estimate",
        "patient-provider dispute resolution process",
        "120 calendar days",
        "www.cms.gov/nosurprises",
        "will not affect the quality of the care that you receive",
        "This is not a contract.",
        "at most $1,737.50",
    ],
)
def test_an_estimate_tells_all_that_the_law_asks_for(fact: str) -> None:
    """Source: 45 CFR 149.610(c)(1)."""
    assert fact in text(PAGES[Kind.ESTIMATE])


def test_the_list_of_what_is_scheduled_separately_stands_right_below_its_disclaimer() -> None:
    (section,) = [s for s in read(PAGES[Kind.ESTIMATE]).query("section") if s.attrs["aria-labelledby"] == "later"]
    assert [node.name for node in section.children if not node.name.startswith("#")] == ["h2", "p", "ul"]


def test_an_estimate_has_a_table_for_each_who_gives_a_session() -> None:
    page = read(PAGES[Kind.ESTIMATE])
    assert [caption.split(":")[0] for caption in texts(page, "caption")] == [
        "Services of Dana Reyes, MD",
        "Services of Kim O'Neil, CRNA",
    ]
    first = texts(page, "tbody tr")[0]
    assert first == "Mon Nov 16, 2026 Infusion into a vein, first hour 96365 1 $579.17"


@pytest.mark.parametrize(
    "fact",
    [
        "Robin <Canary> Example",
        "Date of birth May 17, 1984",
        "M-77",
        "Dana Reyes, MD",
        "1245319599",
        "1234567893",
        "12-3456789",
        "Mon Nov 16, 2026",
        "from 10:15 AM to 11:55 AM",
        "11 (office)",
        "F33.2, F43.10",
        "Signature: Dana Reyes, MD",
        "Charged $744.34",
        "Paid by the patient $744.34",
        "at most $289.58",
    ],
)
def test_a_superbill_tells_all_that_a_claim_asks_for(fact: str) -> None:
    assert fact in text(PAGES[Kind.SUPERBILL])


def test_a_superbill_bills_services_under_their_codes_and_integration_under_none() -> None:
    assert texts(read(PAGES[Kind.SUPERBILL]), "tbody tr") == [
        "Mon Nov 16, 2026 96365 Infusion into a vein, first hour 1 $579.17",
        "Mon Nov 16, 2026 96366 Infusion into a vein, each further hour 1 included",
        "Mon Nov 16, 2026 J3490 Drug without a code of its own 1 included",
        "Mon Nov 16, 2026 none Integration therapy (talk therapy, not an infusion) 1 $165.17",
    ]


def test_what_was_waived_stands_on_the_superbill() -> None:
    html = pages(basis=Basis.WAIVED)[Kind.SUPERBILL]
    assert "Waived by the clinic $744.34" in text(html)
    assert "Paid by the patient $0.00" in text(html)


@pytest.mark.parametrize(
    "fact",
    ["Robin <Canary> Example", "Mon Nov 16, 2026", "Ketamine infusion", "Paid $744.34", "Paid by: HSA", "12-3456789"],
)
def test_a_receipt_tells_what_a_health_account_asks_for(fact: str) -> None:
    assert fact in text(PAGES[Kind.RECEIPT])


def test_a_receipt_tells_no_diagnosis() -> None:
    assert "F33" not in PAGES[Kind.RECEIPT]


def test_a_patient_of_whom_little_is_known_gets_a_page_without_holes() -> None:
    little = patient_updated(name="Robin", born_on=ROBIN.born_on, diagnoses=None)
    story = PapersStory(*SIX, patient=little)
    story.look()
    html = story.printed[0].html
    assert "Address" not in text(html)
    assert "Diagnosis codes none yet" in text(html)
    assert "None" not in text(html)


@pytest.mark.parametrize(
    ("cents", "told"), [(0, "$0.00"), (5, "$0.05"), (57917, "$579.17"), (123456789, "$1,234,567.89")]
)
def test_money_is_told_to_the_cent(cents: int, told: str) -> None:
    assert dollars(cents) == told


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-11-01 00:05", "Sun Nov 1, 2026 12:05 AM"),
        ("2026-12-31 12:00", "Thu Dec 31, 2026 12:00 PM"),
        ("2027-05-02 23:59", "Sun May 2, 2027 11:59 PM"),
    ],
)
def test_days_and_times_are_told_as_people_here_do(at: str, told: str) -> None:
    wall = datetime.fromisoformat(at)
    assert f"{day(wall.date())} {clock(wall.time())}" == told
