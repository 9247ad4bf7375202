"""The profile of a new clinic."""

from deploy.preparing.new_clinic import NewClinic, files_of


def test_a_new_clinics_texts_begin_with_its_own_name_and_nothing_of_the_shipped_one_is_left() -> None:
    clinic = NewClinic("lake", 'Lake "West"', "main", "America/Chicago", "US-IL", "x", "+16305550100", 2, 3, 45000)
    files = files_of(clinic)
    assert 'sender = "Lake \\"West\\""' in files["reminders.toml"]
    assert not [name for name, content in files.items() if "tabilization" in content]
