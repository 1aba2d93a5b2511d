"""The program a job starts: `python -m workers.run`.

Everything it needs comes from its environment through the client. Exit codes: 0 done, 143 stopped
on request, 75 preempted after a checkpoint, 1 failed; the last line on stderr says why.
"""

import importlib
import os
import sys
import traceback
from typing import NoReturn, Protocol

# Read by the OpenMP runtime when torch loads it: how long a thread spins for its sibling before it
# sleeps. In small steps threads meet hundreds of times a step. On two cores, in steps per second,
# idle and beside a busy program: endless spinning 8.4 and 2.2, none 5.0 and 4.7, this 7.9 and 3.5.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import backline
from backline.job import exit_reasons
from experiments import recipes
from workers.training import interruption

FAILED = 1

# The program of each recipe: a module with `main(run, config)`. Imported by name, so that a tone
# check does not wait for torch.
PROGRAMS = {
    "flow_matching": "workers.training.flow_matching",
    "generate": "workers.generation.from_checkpoint",
    "tone_check": "workers.training.tone_check",
}


class Program(Protocol):
    def main(self, run: backline.Run, config: object) -> None: ...


def perform(run: backline.Run) -> int:
    """Run the spec's program; return the exit code. The one place where every error is caught."""
    try:
        config = recipes.validate(run.spec.recipe, run.spec.config)
        program: Program = importlib.import_module(PROGRAMS[run.spec.recipe])
        program.main(run, config)
    except interruption.Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        exit_reasons.leave_reason(str(interrupted), code=interrupted.exit_code)
        return interrupted.exit_code
    except Exception as error:  # noqa: BLE001 - the outer edge of the process: reported, not hidden.
        exit_reasons.leave_reason(reason(error), code=FAILED)
        traceback.print_exc()
        print(reason(error), file=sys.stderr)
        return FAILED
    return 0


def reason(error: Exception) -> str:
    """Return one line on why the run failed: the first line of the error's message."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    sentence_types = (ValueError, LookupError, ArithmeticError, interruption.PeerEnded)
    is_sentence = isinstance(error, sentence_types) and " " in first
    return first[:500] if is_sentence else f"{type(error).__name__}: {first}"[:500].rstrip(": ")


def main() -> int:
    exit_reasons.end_with_launcher()
    interruption.BELL.listen()
    try:
        run = backline.init()
    except (backline.Refused, backline.Unreachable, ValueError) as error:
        exit_reasons.leave_reason(reason(error), code=FAILED)
        print(reason(error), file=sys.stderr)
        return FAILED
    code = perform(run)
    run.finish()
    return code


def end(code: int) -> NoReturn:
    """End the process, all of whose work is done, without the end of the interpreter.

    DistributedDataParallel keeps the threads of its process group alive for good (torch 2.13). One
    that drops a tensor while the interpreter ends aborts the process, and a finished run fails.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
