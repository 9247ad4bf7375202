"""Ten thousand days of patients who move, pay late, cancel, change numbers and write back, judged by an oracle."""

import os

import pytest

from tests.stand_ins.reminders_oracle import faults
from tests.stand_ins.reminders_patient import DAYS, Patient

PATIENTS = int(os.environ.get("CHAIRTIME_PATIENT_DAYS", "10000")) // DAYS
"""CHAIRTIME_PATIENT_DAYS=100000 plays more."""


@pytest.mark.parametrize("part", range(5))
def test_ten_thousand_days_of_patients_are_as_the_oracle_says(part: int) -> None:
    sent = 0
    for seed in range(part, PATIENTS, 5):
        patient = Patient(seed + 1)
        patient.live()
        assert list(faults(patient.world)) == [], f"seed {seed + 1}"
        sent += len(patient.world.sent)
    assert sent > PATIENTS, "it would say nothing if nothing went out"
