"""`reminders.toml`: the name a clinic uses in texts, its ladder of texts, and their wording in each language."""

import logging
from pathlib import Path

from jinja2 import Template

from services.reminders.text.clinic import Places, RemindersProfile, TextingPlace
from services.reminders.text.lint import fault_of, not_gsm_7
from services.reminders.text.wording import compiled
from shared.configuration.clinic import clinic_folders, read_clinics, read_profile
from shared.configuration.settings import Misconfigured
from shared.contract.closed_sets import TextKind

log = logging.getLogger(__name__)


def read_places(folder: Path, clinics: tuple[str, ...] | None) -> Places:
    """The profiles of all clinics that are served, every wording tried.

    Raises:
        Misconfigured: with the file, the key and the reason.
    """
    folders = clinic_folders(folder, clinics)
    places: dict[str, TextingPlace] = {}
    for name, clinic in read_clinics(folders).items():
        profile = read_profile(RemindersProfile, folders[name] / "reminders.toml")
        locations = tuple(clinic.locations.values())
        templates: dict[tuple[str, TextKind], Template] = {}
        for language, texts in profile.wording.items():
            for kind, source in texts.items():
                if fault := fault_of(source, kind, language, profile.sender, locations):
                    raise Misconfigured(f"{name}/reminders.toml: wording.{language}.{kind}: {fault}")
                if odd := not_gsm_7(source, kind, language, profile.sender, locations):
                    log.warning(
                        "%s/reminders.toml: wording.%s.%s: %r makes it twice as long", name, language, kind, odd
                    )
                templates[language, kind] = compiled(source)
        places |= {key: TextingPlace(name, location, profile, templates) for key, location in clinic.locations.items()}
    return places
