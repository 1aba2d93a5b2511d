"""Reservations of text and data mining: those of sites and files, and those that we publish."""
