"""Microsoft Access: drivers, SQLAlchemy dialects, schema changes and bulk reading."""
