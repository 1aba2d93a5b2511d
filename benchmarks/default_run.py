"""The default run of the demo world, from the form's defaults to its end, on this machine.

`--avx2` lets it use no more than AVX2, as most laptops have; `--beside N` runs N busy loops while
it trains; `--seed N` another seed. Prints what it chose to compute in, how long it took, and how
many of 16 control clips were heard as the genre that was asked for.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.arithmetic import AVX2, company
from benchmarks.startup import call, demo_portal, until

TARGET_MINUTES, TARGET_CONTROL, CLIPS = 4, 14, 16
CONTROL = "control/genre_accuracy"


def measured(folder: Path, *, seed: int, beside: int, environment: dict[str, str]) -> str:
    """One run in a fresh clone with this environment of Python; a row of the table."""
    with demo_portal(folder, **environment) as (url, token):
        with company(beside):
            began = time.perf_counter()
            wanted = {"project": "first-light", "recipe": "flow_matching", "dataset": 1}
            run = call(f"{url}/api/v1/submissions", token, {**wanted, "config": {"seed": seed}})
            address = f"{url}/api/v1/runs/{run['id']}"
            until(lambda: over(call(address, token)), seconds=3600)
            took = time.perf_counter() - began
        found = call(address, token)
    values = {metric["name"]: metric["last"] for metric in found["metrics"]}
    chosen = found["arithmetic"] or {}
    return (
        f"{found['state']} | {chosen.get('precision')}, {chosen.get('threads')} threads | "
        f"{took:.0f} | {values.get(CONTROL, 0) * CLIPS:.0f} of {CLIPS}"
    )


def over(run: dict[str, object]) -> bool:
    # Asked for seldom, so that the question costs the run nothing.
    time.sleep(2)
    return run["state"] in {"finished", "failed", "cancelled"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--beside", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    environment = AVX2 if asked.avx2 else {}
    print("| The default run | state | arithmetic | wall, s | control |")
    print("|---|---|---|--:|--:|")
    title = f"{'AVX2' if asked.avx2 else 'this processor'}, beside {asked.beside}, {asked.seed}"
    with tempfile.TemporaryDirectory(prefix="backline-bench-") as temporary:
        row = measured(
            Path(temporary) / "ours", seed=asked.seed, beside=asked.beside, environment=environment
        )
    print(f"| {title} | {row} |")
    print(f"\nTarget: {TARGET_CONTROL} of {CLIPS} in {TARGET_MINUTES} minutes on two idle cores.")


if __name__ == "__main__":
    main()
