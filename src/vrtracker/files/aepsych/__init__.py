"""Databases of AEPsych: read at any age of their schema, and written at the newest."""
