"""Agreements and the grants under them: drafted, offered, put in force, changed, ended."""
