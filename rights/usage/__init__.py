"""How much of each recording was used, by what: the ledger, credit statements, statements."""
