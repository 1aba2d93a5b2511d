"""Pages of withdrawal cases, and of a party that leaves."""
