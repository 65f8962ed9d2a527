"""A lab's database as a whole: opened, migrated, adopted, copied, backed up."""

from vrtracker.services.administration.adoption import adopt, inspect
from vrtracker.services.administration.backups import Backup, Restored, back_up, restore
from vrtracker.services.administration.cloning import Clone, clone
from vrtracker.services.administration.migrating import Migrated, downgrade, upgrade
from vrtracker.services.administration.opening import lab_of, plain_lab
from vrtracker.services.administration.past import past_of
from vrtracker.services.administration.roles import RoleService

__all__ = [
    "Backup",
    "Clone",
    "Migrated",
    "Restored",
    "RoleService",
    "adopt",
    "back_up",
    "clone",
    "downgrade",
    "inspect",
    "lab_of",
    "past_of",
    "plain_lab",
    "restore",
    "upgrade",
]
