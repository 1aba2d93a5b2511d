"""How many examples a property is tried with: a part of them in each run of the tests, all of them
by `THOROUGH=1` (`make test-thorough`)."""

import os

THOROUGH = bool(os.environ.get("THOROUGH"))


def examples(number: int) -> int:
    """`number` where all are asked for, else a quarter of it, and ten at least."""
    return number if THOROUGH else min(number, max(10, number // 4))
