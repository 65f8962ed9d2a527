"""Caches of ONE: parquet files that ONE-api loads, written and read; no database here."""
