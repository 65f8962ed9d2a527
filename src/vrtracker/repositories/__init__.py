"""Every question that is asked of the database: one file a subject, one set of verbs."""
