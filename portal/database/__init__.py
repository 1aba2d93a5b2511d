"""Writes in order and in bulk: the commit order, long work, rehearsals, SQLite's log."""
