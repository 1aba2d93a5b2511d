"""Catalogues that come in and go out: CSV, JSON and DDEX ERN."""
