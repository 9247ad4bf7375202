"""The profile of a new clinic from a few answers: four complete files, to be changed by hand afterwards.

How it texts is taken from the shipped profile `stabilization`; what it gives is one treatment, which a clinic extends.
"""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.preparing.profiles import PROFILES, READERS
from services.billing.account.tariff import NPI_PREFIX

TEXTS_LIKE: Final = "stabilization"
TREATMENT: Final = "ketamine_induction"


@dataclass(frozen=True, slots=True)
class NewClinic:
    """What is asked about a clinic.

    Attributes:
        folder: the profile's, and so the clinic's name in settings: small letters, digits, - and _.
        name: as papers and people call it; at most 40 characters, since texts begin with it.
        location: the name of its first place in events.
        zone: of IANA, such as America/Chicago.
        region: country and state, such as US-IL: its law says when texts are quiet.
        phone: E.164; texts and papers name it.
        price_cents: of one session.
    """

    folder: str
    name: str
    location: str
    zone: str
    region: str
    address: str
    phone: str
    chairs: int
    providers: int
    price_cents: int


def write_profile(clinic: NewClinic, profiles: Path) -> Path:
    """Write a clinic's profile, all of it or nothing; one that is there is replaced.

    Raises:
        Misconfigured: an answer cannot be; with file, key and reason.
        OSError: the folder cannot be written.
    """
    with tempfile.TemporaryDirectory() as trial:
        folder = Path(trial) / clinic.folder
        folder.mkdir()
        for name, content in files_of(clinic).items():
            (folder / name).write_text(content)
        for read in READERS:
            read(Path(trial), (clinic.folder,))
        profiles.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copytree(folder, profiles / clinic.folder, dirs_exist_ok=True))


def files_of(clinic: NewClinic) -> dict[str, str]:
    """Content by file."""
    return {
        "clinic.toml": _clinic(clinic),
        "booking.toml": _booking(clinic),
        "billing.toml": _billing(clinic),
        "reminders.toml": _reminders(clinic),
    }


def _clinic(clinic: NewClinic) -> str:
    return f"""\
# What all three services need to know of the clinic.
name = {_toml(clinic.name)}

[locations.{clinic.location}]
zone = {_toml(clinic.zone)}
region = {_toml(clinic.region)}
address = {_toml(clinic.address)}
phone = {_toml(clinic.phone)}
public_name = {_toml(clinic.name)}
holidays = []  # days on which it is closed, such as 2030-12-25

[[locations.{clinic.location}.hours]]
days = ["mon", "tue", "wed", "thu", "fri"]
opens = 08:00:00
closes = 18:00:00
"""


def _booking(clinic: NewClinic) -> str:
    chairs = [f"chair-{number}" for number in range(1, clinic.chairs + 1)]
    return f"""\
# How the clinic holds and gives sessions.

# How long a course is held while nothing of it is paid or covered.
[hold_hours]
self_pay = 72
insurance = 168

[locations.{clinic.location}]
chairs = {_toml(chairs)}
providers = {_toml(_providers(clinic))}

# Six infusions over three weeks; a session takes all of its minutes from the chair.
[protocols.{TREATMENT}]
preparation_minutes = 15
treatment_minutes = 40
recovery_minutes = 30
count = 6
smallest_gap_hours = 24
usual_gap_hours = 84
largest_gap_hours = 240
window_days = 21
"""


def _billing(clinic: NewClinic) -> str:
    providers = "".join(
        f"""
[providers.{provider}]
name = "Provider {number}"
credentials = "MD"
npi = "{_npi(number)}"
"""
        for number, provider in enumerate(_providers(clinic), start=1)
    )
    return f"""\
# What the clinic charges, in cents.

[due]
lead_hours = 48   # a session must be paid two days before it starts...
grace_hours = 24  # ...but a patient has at least one day from the moment the course was accepted

[policy]
missed = "return"  # unused prepaid sessions are refundable in full, and a late cancellation costs nothing

[treatments.{TREATMENT}]
approval = "off_label"
session_cents = {clinic.price_cents}

[treatments.{TREATMENT}.papers]
title = "Ketamine infusion"
codes = ["J3490"]  # the drug, beside the infusion's own code by its start and stop
infusion = true

# Whom papers name. All of these numbers and names are examples: put the practice's and the providers' own here.
[practice]
npi = "{_npi(0)}"
ein = "00-0000000"
{providers}"""


def _reminders(clinic: NewClinic) -> str:
    """As the shipped profile has it, but for who writes."""
    shipped = (PROFILES / TEXTS_LIKE / "reminders.toml").read_text()
    own = re.sub(r"^#.*", '# How the clinic texts. Spans: "30 min", "72 h", "2 days".', shipped, count=1)
    return re.sub(r"^sender = .*", lambda _: f"sender = {_toml(clinic.name)}", own, count=1, flags=re.MULTILINE)


def _providers(clinic: NewClinic) -> list[str]:
    return [f"provider-{number}" for number in range(1, clinic.providers + 1)]


def _npi(number: int) -> str:
    """An example of a National Provider Identifier whose check digit is right."""
    digits = [int(digit) for digit in f"{NPI_PREFIX}1{number:08d}"][::-1]
    total = sum(sum(divmod(2 * digit, 10)) for digit in digits[0::2]) + sum(digits[1::2])
    return f"1{number:08d}{-total % 10}"


def _toml(value: str | list[str]) -> str:
    """A string, or a list of them, in TOML; JSON's are the same."""
    return json.dumps(value, ensure_ascii=False)
