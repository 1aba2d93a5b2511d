"""Discussions: as a page of their own, or as a part of another page."""
