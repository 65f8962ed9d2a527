"""A lab's database as a whole: opened, migrated, adopted, copied, backed up."""
