"""What is done before anything runs, by the command line alone: profiles checked, and a deployment begun."""

import asyncio
import hashlib
import json
import shutil
import stat
import tomllib
from pathlib import Path

import pytest

from deploy.preparing.databases import MIGRATIONS
from deploy.preparing.profiles import PROFILES
from deploy.preparing.secrets import MADE_UP
from shared.configuration.api_keys import Role
from shared.configuration.settings import weakness
from shared.postgres.migrations import newest_revision
from tests.stand_ins.command_line import Ran, Terminal, chairtime
from tests.stand_ins.revisions import set_revision

LAKESIDE = {
    "--clinic": "lakeside",
    "--name": "Lakeside Clinic",
    "--zone": "America/Chicago",
    "--region": "US-IL",
    "--address": "1 Lake Street",
    "--phone": "+16305550100",
    "--price-cents": "45000",
}


def init(folder: Path, *more: str, **environment: str) -> Ran:
    flags = [part for pair in LAKESIDE.items() for part in pair]
    profiles = {"CHAIRTIME_PROFILES": str(folder / "clinics")}
    return chairtime("init", "--folder", str(folder), *flags, "--yes", *more, **profiles | environment)


def test_check_tells_what_each_clinic_has() -> None:
    checked = chairtime("check", "--json")
    assert (checked.code, checked.json["mistakes"]) == (0, [])
    stella = next(clinic for clinic in checked.json["clinics"] if clinic["clinic"] == "stella")
    assert stella["locations"] == {"stella": "America/Chicago"}
    assert stella["packages"] == ["induction", "induction-with-integration", "maintenance-with-integration"]
    shown = chairtime("check")
    assert shown.out.splitlines()[-1] == f"all profiles in {PROFILES} are in order"


def test_every_file_with_a_mistake_is_one_line_with_key_and_reason(tmp_path: Path) -> None:
    for clinic in ("stella", "sturges"):
        shutil.copytree(PROFILES / clinic, tmp_path / clinic)
    for clinic, file, right, wrong in (
        ("stella", "clinic.toml", "America/Chicago", "America/Gotham"),
        ("sturges", "booking.toml", '"chair-2"', '"chair-1"'),
        ("sturges", "billing.toml", "session_cents = 40000", "session_cents = 400.5"),
    ):
        path = tmp_path / clinic / file
        path.write_text((PROFILES / clinic / file).read_text().replace(right, wrong, 1))
    checked = chairtime("check", CHAIRTIME_PROFILES=str(tmp_path))
    assert (checked.code, checked.out) == (78, "")
    assert checked.err.splitlines() == [
        "stella/clinic.toml: locations.stella.zone: is not a time zone of the IANA database",
        "sturges/booking.toml: locations.sturges: chair 'chair-1' stands twice",
        "sturges/billing.toml: treatments.ketamine_induction.session_cents: Input should be a valid integer",
    ]


def test_two_clinics_with_a_location_of_the_same_name_are_a_mistake(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(PROFILES / "stella", tmp_path / name)
    checked = chairtime("check", CHAIRTIME_PROFILES=str(tmp_path))
    assert (checked.code, checked.err) == (78, "two/clinic.toml: locations.stella: one has it already\n")


def test_init_writes_a_deployment_that_check_finds_in_order(tmp_path: Path) -> None:
    begun = init(tmp_path)
    assert begun.code == 0, begun.err
    checked = chairtime("check", "--json", CHAIRTIME_PROFILES=str(tmp_path / "clinics"))
    assert [clinic["name"] for clinic in checked.json["clinics"]] == ["Lakeside Clinic"]
    assert (tmp_path / ".env").read_text() == (
        "CHAIRTIME_PRODUCTION=true\nCHAIRTIME_CLINICS=lakeside\nCHAIRTIME_SMS=console\n"
    )
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    made_up = [file.read_text() for file in (tmp_path / "secrets").iterdir() if file.name.endswith("_password")]
    assert len(set(made_up)) == len(made_up) == len(MADE_UP)
    assert [weakness(secret) for secret in made_up] == [None] * len(made_up)
    assert not [secret for secret in made_up if secret in begun.out + begun.err]


def test_init_shows_a_key_for_each_role_once_and_keeps_its_hash_alone(tmp_path: Path) -> None:
    keys = json.loads(init(tmp_path, "--json").out)["api_keys"]
    assert set(keys) == set(Role)
    file = (tmp_path / "secrets" / "keys" / "api_keys.toml").read_text()
    kept = {key["roles"][0]: key["sha256"] for key in tomllib.loads(file)["keys"]}
    assert kept == {role: hashlib.sha256(key.encode()).hexdigest() for role, key in keys.items()}
    assert not [key for key in keys.values() if key in file or len(key) < 40]


def test_init_again_keeps_all_that_is_there(tmp_path: Path) -> None:
    init(tmp_path)
    profile = tmp_path / "clinics" / "lakeside" / "billing.toml"
    profile.write_text(profile.read_text() + "# our own\n")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    again = json.loads(init(tmp_path, "--json").out)
    assert (again["written"], again["api_keys"]) == ([], {})
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_init_asks_for_what_no_flag_says_and_before_it_replaces_anything(tmp_path: Path) -> None:
    answers = ["lakeside", "Lakeside Clinic", "", "America/Chicago", "US-IL", "1 Lake Street", "+16305550100"]
    numbers = ["2", "2", "45000"]
    command, where = ("init", "--folder", str(tmp_path)), {"CHAIRTIME_PROFILES": str(tmp_path / "clinics")}
    begun = chairtime(*command, stdin=Terminal("\n".join([*answers, *numbers, "", ""])), **where)
    assert begun.code == 0, begun.err
    assert "Time zone [America/New_York]:" in begun.err
    booking = tmp_path / "clinics" / "lakeside" / "booking.toml"
    assert 'chairs = ["chair-1", "chair-2"]' in booking.read_text()
    again = chairtime(*command, stdin=Terminal("\n".join([*answers, "3", *numbers[1:], "y", "", "n", ""])), **where)
    assert f"{tmp_path / '.env'} is there. Replace it? [y/N]:" in again.err
    assert f"kept: {tmp_path / '.env'}\n" in again.out
    assert 'chairs = ["chair-1", "chair-2", "chair-3"]' in booking.read_text()


def test_init_for_twilio_takes_the_token_from_the_environment_and_writes_it_to_its_secret_alone(tmp_path: Path) -> None:
    twilio = ("--sms", "twilio", "--twilio-sid", "AC" + "0" * 32, "--twilio-number", "+15550100001")
    url = ("--public-url", "https://texts.lakeside.example")
    token = "0123456789abcdef0123456789abcdef"
    begun = init(tmp_path, *twilio, *url, CHAIRTIME_TWILIO_AUTH_TOKEN=token)
    assert begun.code == 0, begun.err
    assert (tmp_path / "secrets" / "twilio_auth_token").read_text() == token
    settings = (tmp_path / ".env").read_text()
    assert "CHAIRTIME_TWILIO_NUMBERS=lakeside=+15550100001\n" in settings
    assert token not in settings + begun.out + begun.err


@pytest.mark.parametrize(
    ("flag", "value", "code", "told"),
    [
        ("--phone", "630", 78, "lakeside/clinic.toml: locations.main.phone: "),
        ("--zone", "America/Gotham", 78, "lakeside/clinic.toml: locations.main.zone: "),
        ("--region", "Illinois", 78, "lakeside/clinic.toml: locations.main.region: "),
        ("--clinic", "../away", 2, "Usage: chairtime init"),
        ("--sms", "pigeon", 2, "Usage: chairtime init"),
        ("--public-url", "http://plain.example", 2, "Usage: chairtime init"),
        ("--clinics", "atlantis", 78, "CHAIRTIME_CLINICS: there is no clinic 'atlantis'"),
    ],
)
def test_init_writes_nothing_where_an_answer_cannot_be(
    tmp_path: Path, flag: str, value: str, code: int, told: str
) -> None:
    twilio = ("--sms", "twilio", "--twilio-sid", "AC" + "0" * 32, "--twilio-number", "+15550100001")
    refused = init(
        tmp_path, *(twilio if flag == "--public-url" else ()), flag, value, CHAIRTIME_TWILIO_AUTH_TOKEN="x" * 32
    )
    assert (refused.code, refused.err.startswith(told)) == (code, True), refused.err
    assert not list(tmp_path.rglob("*_password"))
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize("wrong", [("booking@", "stranger@"), ("/booking_", "/nothing_"), ("%2Frun", "%2Fnowhere")])
def test_migrate_says_in_one_line_what_is_not_there(databases: dict[str, str], wrong: tuple[str, str]) -> None:
    passwords = {f"CHAIRTIME_{service.upper()}_DATABASE_PASSWORD": "a password" for service in databases}
    ran = chairtime("migrate", CHAIRTIME_ADMIN_DATABASE=databases["booking"].replace(*wrong), **passwords)
    assert (ran.code, ran.out) == (69, "")
    assert ran.err.splitlines()[-1].startswith("CHAIRTIME_ADMIN_DATABASE: ")
    assert ran.err.splitlines()[-1].endswith(": no such server, role or database")


async def test_migrate_says_in_one_line_what_to_do_about_a_database_of_another_release(postgres: str) -> None:
    admin = {"CHAIRTIME_ADMIN_DATABASE": postgres} | {
        f"CHAIRTIME_{service.upper()}_DATABASE_PASSWORD": "a password" for service in MIGRATIONS
    }
    billing = postgres.replace("/postgres?", "/billing?")
    assert (await asyncio.to_thread(chairtime, "migrate", **admin)).code == 0
    await set_revision(billing, "of-another-release")
    try:
        ran = await asyncio.to_thread(chairtime, "migrate", **admin)
    finally:
        await set_revision(billing, newest_revision(MIGRATIONS["billing"]))
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.splitlines()[-1] == (
        "billing's database is at revision of-another-release, which this release does not know: "
        "run the release that made it, or begin with a fresh database"
    )
