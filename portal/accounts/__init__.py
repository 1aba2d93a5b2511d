"""Logging in: passwords, second factors, sessions, known devices, limits on tries."""
