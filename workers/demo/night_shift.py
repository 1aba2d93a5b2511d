"""The second project of the demo world: real runs that start by themselves, so that a newcomer sees
a tracker at work.

It is filled step by step by the task `workers.demo`, each step by the verbs that people use. How
far it is stands in the audit log: a step and its line are one transaction, so a portal that is
killed goes on where it was and does no step twice. The project is in the background
(experiments/runs/quotas.py), so nobody's run waits behind its queue.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.db import transaction

from experiments import recipes
from experiments.clearance.permission import NotAllowed, NotPermitted
from experiments.discussion import comments, subjects
from experiments.models import Membership, Project, Run, Sweep
from experiments.reports import reports
from experiments.runs import describing, runs
from experiments.sweeps import sweeps
from portal import audit
from portal.models import User

log = logging.getLogger(__name__)

SLUG, NAME = "night-shift", "Night shift"
BEGUN, STEP = "demo.begun", "demo.step"
TAG = "rates"
# At 0.02 the fit does not arrive within its steps, near 1 it follows the noise, beyond 2 it
# diverges: the best is between.
RATES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.8, 2.1)
SEEDS = (1, 2, 3, 4, 5)
RUNS = len(RATES) * len(SEEDS)
# Twice as loud as the tone, whose peak is 0.5.
NOISE = 1.0
STEPS, STEP_SECONDS, CLIP_SECONDS = 60, 0.03, 1.0
TRIALS = 8
REFUSALS = (
    NotAllowed, NotPermitted, runs.OverQuota, runs.NotPossible, recipes.ConfigInvalid,
    describing.Gone, comments.NotPossible, reports.NotPossible,
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing that is done in the project; `do` returns the run that it made, if it made one."""

    name: str
    do: Callable[[Project, User], Run | None]


def do_next() -> bool:
    """Do the next step, unless something of the project is still open; true if it was done."""
    project = Project.objects.filter(slug=SLUG).first()
    # A lab may have a project of that name: only the one that was made here is filled.
    if project is None or not audit.history(project).filter(verb=BEGUN).exists():
        return False
    if _done(project) >= len(PLAN) or _is_at_work(project):
        return False
    owners = project.memberships.filter(level=Membership.Level.OWNER).order_by("pk")
    owner = owners.select_related("user").first()
    if owner is None:
        return False
    try:
        with transaction.atomic():
            # Of two workers at once, the second waits here, and then finds the step done.
            Project.objects.select_for_update(no_key=True).get(pk=project.pk)
            number = _done(project)
            if number >= len(PLAN) or _is_at_work(project):
                return False
            step = PLAN[number]
            run = step.do(project, owner.user)
            audit.record(
                by=None, verb=STEP, subject=project, step=step.name, run=str(run.pk) if run else ""
            )
    except REFUSALS as refusal:
        log.info("The demo's next step was refused and is tried again later. %s", refusal)
        return False
    return True


def _done(project: Project) -> int:
    return audit.history(project).filter(verb=STEP).count()


def _is_at_work(project: Project) -> bool:
    going = project.runs.filter(state__in=Run.OPEN_STATES).exists()
    return going or project.sweeps.filter(state=Sweep.State.RUNNING).exists()


# --- The steps --------------------------------------------------------------------------------


def _run(project: Project, owner: User, *, rate: float, seed: int) -> Run:
    config = {
        "learning_rate": rate, "seed": seed, "noise": NOISE, "steps": STEPS,
        "step_seconds": STEP_SECONDS, "seconds": CLIP_SECONDS,
    }  # fmt: skip
    run = runs.submit(
        by=owner, project=project, recipe="tone_check", config=config, name=f"Tone, rate {rate:g}"
    )
    tags = [TAG, *(["beyond two"] if rate > 2 else []), *(["baseline"] if rate == 0.1 else [])]
    return describing.edit(run=run, by=owner, tags=tags)


def _sweep(project: Project, owner: User) -> None:
    sweeps.start(
        by=owner,
        project=project,
        wanted=sweeps.Wanted(
            recipe="tone_check",
            config={
                "noise": NOISE,
                "step_seconds": STEP_SECONDS,
                "seconds": CLIP_SECONDS,
                "seed": SEEDS[-1] + 1,
            },
            # Of the rates above: whoever groups by the rate has no group of one run.
            space={"learning_rate": list(RATES[:-1]), "steps": [20, 40, 60, 80]},
            method=Sweep.Method.TPE,
            objective={"metric": "eval/error_db", "goal": "minimize"},
            budget=sweeps.Budget(trials=TRIALS, parallel=1),
            name="Rate and steps",
        ),
    )


def _note(project: Project, owner: User, *, rate: float, text: str) -> None:
    if (run := _made(project, rate)) is not None:
        describing.edit(run=run, by=owner, notes=text)


def _discuss(project: Project, owner: User, *, rate: float, question: str, answer: str) -> None:
    """Have the member who came last ask about a run; its owner answers, and names the others."""
    run = _made(project, rate)
    others = project.memberships.exclude(user=owner).order_by("pk").select_related("user")
    names = [f"@{one.user.username}" for one in others]
    if run is None or not names:
        return
    about = subjects.of_run(run)
    asker = others[len(names) - 1].user
    asked = comments.post(by=asker, subject=about, text=f"@{owner.username} {question}")
    reply = f"{' '.join(reversed(names))} {answer}"
    comments.post(by=owner, subject=about, text=reply, parent=asked.comment)


def _report(project: Project, owner: User) -> None:
    """Write down what is known so far; its live parts go on with the runs."""
    report = reports.create(by=owner, project=project, title=REPORT_TITLE, text=REPORT)
    reports.publish(by=owner, report=report)


def _made(project: Project, rate: float) -> Run | None:
    """Return the first of the runs with this rate that were made here; None if it was deleted."""
    name = _name(rate, SEEDS[0])
    line = audit.history(project).filter(verb=STEP, body__step=name).first()
    found = (
        project.runs.filter(pk=line.body["run"], deleted_at=None) if line else project.runs.none()
    )
    return found.select_related("project", "submitted_by").first()


def _name(rate: float, seed: int) -> str:
    return f"rate {rate:g}, seed {seed}"


def _plan() -> tuple[Step, ...]:
    """One seed of each rate at a time, so that a table that is half full already compares all."""
    steps = [
        Step(_name(rate, seed), partial(_run, rate=rate, seed=seed))
        for seed in SEEDS
        for rate in RATES
    ]
    first = len(RATES)
    steps[first:first] = [
        Step("note on 0.1", partial(_note, rate=0.1, text=BASELINE)),
        Step("note on 2.1", partial(_note, rate=2.1, text=DIVERGED)),
        Step("comments", partial(_discuss, rate=1.0, question=QUESTION, answer=ANSWER)),
        Step("report", _report),
        Step("sweep", _sweep),
    ]
    return tuple(steps)


BASELINE = """The usual rate of this recipe; what the others are compared with.

Each step removes a **tenth** of the error, so after 60 steps 0.9^60, about 0.2 %, is left of it.
"""
DIVERGED = """Diverges, as it must: each step turns the error round and makes it a tenth larger.
Kept as the example of what the alert *Diverged* is for.
"""
QUESTION = "this one is there after a single step. Why not always take a rate of 1?"
ANSWER = (
    "each step then follows its own noise all the way, and nothing averages it out: look at "
    "`eval/error_db`, not at `loss`. Smaller rates end lower, if they have the steps."
)
REPORT_TITLE = "What the learning rate does to a noisy fit"
REPORT = f"""## What we wanted to know

Each step of a tone check removes a part of the error, and follows some of the noise. Which rate \
leaves the least behind after {STEPS} steps, and is the answer the same for every seed?

## What we see

Grouped by rate, over all seeds that have run so far. These are **live**: they go on with the runs.

```chart
title: What is wrong beside the tone, in dB
query: tag:{TAG}
y: eval/error_db
group: config.learning_rate
band: 95 % interval
```

```runs
query: tag:{TAG}
group: config.learning_rate
columns: metric.eval/error_db, metric.loss
sort: config.learning_rate
```

```chart
title: Where it ends
kind: bars
query: tag:{TAG}
y: metric.eval/error_db
group: config.learning_rate
```

## What one seed said

The first seed alone, **frozen** when this was written. With five seeds beside it one sees how \
much of such an order is chance.

```runs
title: The first seed
query: tag:{TAG} config.seed:1
columns: config.learning_rate, metric.eval/error_db
sort: metric.eval/error_db
frozen: yes
```

## How it sounds

```samples
query: tag:{TAG} config.seed:1
most: 4
```

## What next

- A sweep tries rates and numbers of steps together.
- Beyond 2 it diverges, as it must. The alert *Diverged* tells of it.
"""
PLAN = _plan()
