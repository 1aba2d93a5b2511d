"""Fills the one Job shape."""
