"""What the tracker speaks of: keys, stages, states, QC levels, records. No database here."""
