"""Races need a database in which two transactions are open at once: PostgreSQL."""

import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def _parallel_database() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Races are run on PostgreSQL only: make test-postgres.")
