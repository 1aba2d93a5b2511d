"""The program a job starts: `python -m workers.run`."""
