"""Runs in a table and beside each other: the query line, the columns, the comparison."""
