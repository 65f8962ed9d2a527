"""What is wrong with a lab's database and with what it needs around it.

`diagnosis` holds what is found, `patient` what is looked at; `machine` and `database`
have one function for each check, `examining` runs them.
"""

from vrtracker.services.doctor.diagnosis import Check, Diagnosis
from vrtracker.services.doctor.examining import examine

__all__ = ["Check", "Diagnosis", "examine"]
