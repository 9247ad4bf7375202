"""`billing.toml`: what a clinic charges and until when, what becomes of money, and what its papers must name."""

from pathlib import Path

from services.billing.account.tariff import PracticeLocation, Tariff
from shared.configuration.clinic import clinic_folders, read_clinics, read_profile


def read_places(folder: Path, clinics: tuple[str, ...] | None) -> dict[str, PracticeLocation]:
    """Every served location, by its name; a clinic's tariff holds at all of its own.

    Raises:
        Misconfigured: with file, key and reason.
    """
    folders = clinic_folders(folder, clinics)
    return {
        name: PracticeLocation(folder_name, name, clinic.name, location, tariff)
        for folder_name, clinic in read_clinics(folders).items()
        for tariff in (read_profile(Tariff, folders[folder_name] / "billing.toml"),)
        for name, location in clinic.locations.items()
    }
