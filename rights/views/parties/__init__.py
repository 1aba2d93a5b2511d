"""Pages of parties, their mandates and split sheets."""
