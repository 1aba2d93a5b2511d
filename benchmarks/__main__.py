"""`python -m benchmarks [name ...]`: all of them, or those named; one table each."""

import os
import platform
import sys

from benchmarks import ingest, read, run_table, spool, startup, step_overhead

ALL = {
    "ingest": ingest.main,
    "read": read.main,
    "run_table": run_table.main,
    "step_overhead": step_overhead.main,
    "startup": startup.main,
}
# Asked for by name alone: it compares a disk with itself.
APART = {"spool": spool.main}


def main() -> None:
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}\n")
    for name in sys.argv[1:] or ALL:
        (ALL | APART)[name]()
        print()


if __name__ == "__main__":
    main()
