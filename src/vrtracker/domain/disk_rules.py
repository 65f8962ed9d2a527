"""What a lab expects of its disk."""

from __future__ import annotations

from dataclasses import dataclass

SUITE2P_FILES = ("stat", "ops", "F", "Fneu", "iscell", "spks")
"""What suite2p leaves of each plane, without ``.npy``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRules:
    """When output on disk counts as complete, and when the disk is not to be believed.

    `suite2p_files`: what each plane must have, without ``.npy``. `registration_files`: what the
    output folder must have, as paths below it. Without any, one file is enough for what is marked
    done, and nothing is marked done because of its files. `loss_limit`: share of what is marked
    done, 0 to 1; where more than that would be lost, the root is taken for the wrong one.
    """

    suite2p_files: tuple[str, ...] = SUITE2P_FILES
    registration_files: tuple[str, ...] = ()
    loss_limit: float = 0.5
