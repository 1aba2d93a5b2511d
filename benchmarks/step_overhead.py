"""What the client costs a training step: the same loop with it and without, in turns.

A step is about 20 ms of matrix products on one thread, and logs ten metrics. Programs with and
without the client alternate. Three figures: the time of an undisturbed step (the fastest tenth,
since other work on the machine only ever adds time), the processor time of the whole
program per step, with the client's threads in it, and, steadiest of them, the processor time
that passes in `run.log` and in the client's thread.
"""

import json
import statistics
import subprocess
import sys

from benchmarks import portal

STEPS = 300
PAIRS = 5
TARGET_PERCENT = 1

PROGRAM = """
import json, statistics, sys, time
import numpy as np
run = None
if sys.argv[1] == "with":
    import backline
    run = backline.init("bench", url=sys.argv[2], token=sys.argv[3])
size = 640
a = np.random.default_rng(1).normal(size=(size, size)).astype(np.float32)
took = []
used, main, logging = time.process_time(), time.thread_time(), 0.0
for step in range(int(sys.argv[4])):
    start = time.perf_counter()
    b = a
    for _ in range(4):
        b = a @ b
        b /= np.abs(b).max()
    loss = float(b.mean())
    if run:
        before = time.thread_time()
        run.log({f"metric_{n}": loss for n in range(10)}, step=step)
        logging += time.thread_time() - before
    took.append(time.perf_counter() - start)
used, main = time.process_time() - used, time.thread_time() - main
# numpy has one thread here, so whatever is not the main thread's is the client's.
own = (used - main + logging) / len(took)
step = statistics.quantiles(took, n=10)[0]
print(json.dumps({"step": step, "cpu": used / len(took), "own": own}), flush=True)
if run:
    run.finish()
"""


def once(which: str, found: portal.Portal) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, which, found.url, found.token, str(STEPS)],
        cwd=portal.ROOT, env=found.environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    said: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def main() -> None:
    with portal.running() as found:
        pairs = [(once("without", found), once("with", found)) for _ in range(PAIRS)]
    print(f"| One step, {PAIRS} programs of {STEPS} steps each | without ms | with ms | more |")
    print("|---|--:|--:|--:|")
    for key, title in (("step", "undisturbed step"), ("cpu", "processor time, whole program")):
        bare, used = (min(pair[side][key] for pair in pairs) * 1000 for side in (0, 1))
        print(f"| {title} | {bare:.3f} | {used:.3f} | {100 * (used / bare - 1):+.2f} % |")
    own = statistics.median(pair[1]["own"] for pair in pairs) * 1000
    print(f"| the client's own processor time | | {own:.3f} | {100 * own / bare:+.2f} % |")
    print(f"\nTarget: at most {TARGET_PERCENT} % more.")


if __name__ == "__main__":
    main()
