"""`chairtime init`: `.env`, the secrets and a clinic's profile, by a few questions or by flags."""

import hashlib
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from deploy.commands.terminal import Exit, Json, Yes, err, fail, out, print_json
from deploy.preparing.secrets import API_KEYS, TWILIO_AUTH_TOKEN, write_missing
from shared.configuration.api_keys import Role
from shared.configuration.clinic import clinic_folders

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
TOKEN: Final = "CHAIRTIME_TWILIO_AUTH_TOKEN"
KEY_BYTES: Final = 32
NEXT: Final = ("chairtime check", "docker compose up --build --wait", "chairtime doctor")


def init(
    folder: Annotated[
        Path, typer.Option(help="where .env and secrets/ are written: beside docker-compose.yml")
    ] = Path(),
    clinics: Annotated[str | None, typer.Option(help="serve these profiles, separated by commas; no new one")] = None,
    clinic: Annotated[str | None, typer.Option(help="the new profile's folder, such as lakeside")] = None,
    name: Annotated[str | None, typer.Option(help="the clinic's name, as texts and papers call it")] = None,
    location: Annotated[str | None, typer.Option(help="its first place, as events name it")] = None,
    zone: Annotated[str | None, typer.Option(help="time zone of IANA")] = None,
    region: Annotated[str | None, typer.Option(help="country and state, such as US-IL")] = None,
    address: Annotated[str | None, typer.Option(help="postal address")] = None,
    phone: Annotated[str | None, typer.Option(help="E.164, such as +16305550100")] = None,
    chairs: Annotated[int | None, typer.Option(min=1, max=200)] = None,
    providers: Annotated[int | None, typer.Option(min=1, max=200)] = None,
    price_cents: Annotated[int | None, typer.Option(min=1, help="of one session")] = None,
    sms: Annotated[str | None, typer.Option(help="console shows texts; twilio sends them")] = None,
    twilio_sid: Annotated[str | None, typer.Option(help="Twilio's account: AC and 32 hexadecimal digits")] = None,
    twilio_number: Annotated[str | None, typer.Option(help="the clinic's own sender, E.164")] = None,
    public_url: Annotated[str | None, typer.Option(help="https address at which Twilio reaches reminders")] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Write .env, the secrets and a clinic's profile, by asking a few questions or by flags alone.

    With --yes nothing is asked: what has a default gets it, and what has none must be a flag. What is there already is
    kept, unless you say so when asked; a secret that is there is never replaced. Twilio's token comes from
    CHAIRTIME_TWILIO_AUTH_TOKEN or a question, never from a flag. The API keys, one a role, are shown once, at the end.
    """
    from deploy.preparing.new_clinic import NewClinic, write_profile
    from deploy.preparing.profiles import folder_of_profiles

    ask = _Asker(yes)
    profiles = folder_of_profiles()
    told: dict[str, list[str]] = {"written": [], "kept": []}
    if clinics is None:
        new = NewClinic(
            folder=ask("clinic", clinic, "The profile's name (small letters)", check=_is_name),
            name=ask("name", name, "The clinic's name"),
            location=ask("location", location, "Its first place, as events name it", "main", _is_name),
            zone=ask("zone", zone, "Time zone", "America/New_York"),
            region=ask("region", region, "Country and state", "US-NY"),
            address=ask("address", address, "Address"),
            phone=ask("phone", phone, "Phone (E.164)"),
            chairs=int(ask("chairs", chairs, "Chairs", "4", str.isdecimal)),
            providers=int(ask("providers", providers, "Providers", "4", str.isdecimal)),
            price_cents=int(ask("price-cents", price_cents, "Price of one session, in cents", check=str.isdecimal)),
        )
        there = (profiles / new.folder).exists()
        if _may_write(profiles / new.folder, there, yes, told):
            write_profile(new, profiles)
        clinics = new.folder
    else:
        clinic_folders(profiles, clinics.split(","))
    settings = {"CHAIRTIME_PRODUCTION": "true", "CHAIRTIME_CLINICS": clinics} | _texting(
        ask, clinics, sms, twilio_sid, twilio_number, public_url
    )
    keys = _secrets(folder, settings.pop(TOKEN, None), told)
    file = folder / ".env"
    if _may_write(file, file.exists(), yes, told):
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.writelines(f"{name}={value}\n" for name, value in settings.items())
    if json:
        return print_json({**told, "api_keys": keys, "next": NEXT})
    for name, files in told.items():
        out.print(f"{name}: {', '.join(files) or 'nothing'}")
    if keys:
        out.print("API keys, shown this once; the file holds their hashes:")
        for role, key in keys.items():
            out.print(f"  {role:<11} {key}", markup=False)
    if str(profiles / clinics) in told["written"]:
        out.print(f"The names and numbers in {profiles / clinics / 'billing.toml'} are examples: put your own there.")
    out.print("next:")
    for command in NEXT:
        out.print(f"  {command}")
    return None


class _Asker:
    """Takes what a flag says, else asks, else takes the default."""

    def __init__(self, yes: bool) -> None:
        self._yes = yes

    def __call__(
        self,
        flag: str,
        given: Any,
        question: str,
        default: str | None = None,
        check: Callable[[str], Any] | None = None,
        hidden: bool = False,
    ) -> str:
        asked = given is None and not self._yes and sys.stdin.isatty()
        value = typer.prompt(question, default, hide_input=hidden, err=True) if asked else given
        value = default if value is None else str(value)
        if value is None:
            raise typer.BadParameter("is needed where nobody can be asked", param_hint=f"--{flag}")
        if check is not None and not check(value):
            raise typer.BadParameter("is not of this form", param_hint=f"--{flag}")
        return value


def _is_name(value: str) -> bool:
    return NAME.fullmatch(value) is not None


def _texting(
    ask: _Asker, clinics: str, sms: str | None, sid: str | None, number: str | None, public_url: str | None
) -> dict[str, str]:
    """The settings of texts; the token is among them, and goes to the secrets."""
    how = ask("sms", sms, "Texts: console or twilio", "console", ("console", "twilio").__contains__)
    if how == "console":
        return {"CHAIRTIME_SMS": how}
    sender = ask(
        "twilio-number", number, "The clinic's own sender (E.164)", check=re.compile(r"\+[1-9]\d{6,14}").fullmatch
    )
    return {
        "CHAIRTIME_SMS": how,
        "CHAIRTIME_TWILIO_ACCOUNT_SID": ask(
            "twilio-sid", sid, "Twilio's account (AC...)", check=re.compile("AC[0-9a-f]{32}").fullmatch
        ),
        "CHAIRTIME_TWILIO_NUMBERS": ",".join(f"{clinic.strip()}={sender}" for clinic in clinics.split(",")),
        "CHAIRTIME_PUBLIC_URL": ask(
            "public-url",
            public_url,
            "Public address of reminders (https://...)",
            check=re.compile("https://.+").fullmatch,
        ),
        TOKEN: ask(
            TOKEN, os.environ.get(TOKEN), "Twilio's auth token", check=lambda token: len(token) >= 16, hidden=True
        ),
    }


def _may_write(file: Path, there: bool, yes: bool, told: dict[str, list[str]]) -> bool:
    """Whether a file or folder is to be written: one that is there only when somebody says so."""
    write = not there or (not yes and sys.stdin.isatty() and typer.confirm(f"{file} is there. Replace it?", err=True))
    told["written" if write else "kept"].append(str(file))
    return write


def _secrets(folder: Path, token: str | None, told: dict[str, list[str]]) -> dict[str, str]:
    """Make up the secrets that are missing; returns the API keys by role where these are new."""
    home = folder / "secrets"
    file = home / API_KEYS
    if file.exists() and not file.read_text().strip():
        file.unlink()
    keys = {} if file.exists() else {str(role): secrets.token_urlsafe(KEY_BYTES) for role in Role}
    given = {API_KEYS: "".join(_hashed(role, key) for role, key in keys.items())} if keys else {}
    try:
        written = write_missing(home, given | ({TWILIO_AUTH_TOKEN: token} if token else {}))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", Exit.FAILED)
    told["written"] += [str(home / name) for name in written]
    if token and TWILIO_AUTH_TOKEN not in written:
        err.print(f"{home / TWILIO_AUTH_TOKEN} is kept; to change it, write the new token there")
    return keys


def _hashed(role: str, key: str) -> str:
    return f'[[keys]]\nname = "{role}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nroles = ["{role}"]\n\n'
