"""`backline.sweep`: many runs of one recipe in the portal, whose settings a method chooses.

sweep = backline.sweep("first-light", "flow_matching", dataset=3,
                       space={"learning_rate": {"min": 1e-4, "max": 1e-2, "log": True}},
                       objective="loss", method="tpe", trials=20, parallel=2)
sweep.wait()
print(sweep.best().params)
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from backline import configs, wire
from backline.delivery.transport import Transport, persist

# A portal that restarts is waited for so long.
AWAY_SECONDS = 600.0
LOOK_SECONDS = 5.0


class Sweep:
    """A sweep in the portal. Each call asks the portal how it stands."""

    def __init__(self, body: wire.SweepBody, url: str, token: str) -> None:
        self._body, self._url, self._token = body, url, token

    @property
    def id(self) -> int:
        return self._body.id

    @property
    def number(self) -> int:
        """Its number in its project."""
        return self._body.number

    @property
    def url(self) -> str:
        """The address of its page."""
        return self._url + self._body.url

    @property
    def state(self) -> str:
        """As of the last look: running, paused, finished, stopped, failed or withheld."""
        return self._body.state

    @property
    def reason(self) -> str:
        """What it waits for or why it ended, as a sentence."""
        return self._body.reason

    def refresh(self) -> "Sweep":
        """Look again."""
        self._body = self._ask("GET", f"/api/v1/sweeps/{self.id}")
        return self

    def trials(self) -> Sequence[wire.SweepTrialBody]:
        """Return all trials so far, in order: number, params, state, values, run."""
        return self.refresh()._body.trials

    def best(self) -> wire.SweepTrialBody | None:
        """Return the best complete trial; of several objectives the first of `front()`."""
        return next(iter(self.front()), None)

    def front(self) -> list[wire.SweepTrialBody]:
        """Return the trials that no other beats in all objectives; of one objective, the best."""
        body = self.refresh()._body
        return [trial for trial in body.trials if trial.number in body.best]

    def wait(self, *, seconds: float | None = None, every: float = LOOK_SECONDS) -> "Sweep":
        """Return when the last trial has ended. Raises TimeoutError after `seconds`.

        A paused sweep is waited for, as somebody may continue it.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while self.refresh()._body.active:
            if end is not None and time.monotonic() + every > end:
                raise TimeoutError(f"Sweep {self.number} is still {self.state}: {self.url}")
            time.sleep(every)
        return self

    def stop(self) -> "Sweep":
        """End it and cancel all of its runs."""
        return self._act("stop")

    def pause(self) -> "Sweep":
        """Start no further trial; those that run go on."""
        return self._act("pause")

    def resume(self) -> "Sweep":
        """Go on after a pause or a stop."""
        return self._act("resume")

    def _act(self, act: str) -> "Sweep":
        self._body = self._ask("POST", f"/api/v1/sweeps/{self.id}/{act}")
        return self

    def _ask(self, method: str, path: str) -> wire.SweepBody:
        with Transport(self._url, self._token) as transport:
            send = transport.get if method == "GET" else lambda at: transport.post(at, b"")
            return wire.SweepBody.model_validate(persist(lambda: send(path), seconds=AWAY_SECONDS))


def sweep(
    project: str,
    recipe: str,
    config: Any = None,
    space: Mapping[str, Any] | None = None,
    objective: str | Mapping[str, Any] | Sequence[Any] = "loss",
    *,
    method: str = "",
    trials: int | None = None,
    parallel: int = 2,
    pruning: str | Mapping[str, Any] | None = None,
    hours: float | None = None,
    cost: float | None = None,
    failures: int = 3,
    seed: int = 1,
    dataset: int | None = None,
    start_from: int | None = None,
    resources: Mapping[str, Any] | None = None,
    name: str = "",
    url: str | None = None,
    token: str | None = None,
) -> Sweep:
    """Start a sweep in the portal and return a handle of it at once.

    `space` has for each setting a list of values or a range: {"min", "max", "log", "step"}.
    `objective` is a metric, {"metric", "goal", "reading"}, or a list of these. Without `method` a
    small grid is run whole, else TPE searches. Raises Refused with the portal's sentence.
    """
    url = (url or os.environ.get("BACKLINE_URL", "http://127.0.0.1:8000")).rstrip("/")
    token = token or os.environ.get("BACKLINE_TOKEN", "")
    if not token:
        raise ValueError("A token is needed: token= or BACKLINE_TOKEN. The portal makes them.")
    asked = wire.SweepSubmission(
        project=project,
        recipe=recipe,
        config=configs.as_json(configs.plain(config, say=_say)),
        dataset=dataset,
        start_from=start_from,
        name=name,
        resources=dict(resources or {}),
        sweep=wire.SweepOptions(
            space=configs.as_json(configs.plain(dict(space or {}), say=_say)),
            objective=_plain(objective), method=method,
            pruning=_plain(pruning), trials=trials, parallel=parallel, hours=hours, cost=cost,
            failures=failures, seed=seed,
        ),
    )  # fmt: skip
    with Transport(url, token) as transport:
        answer = transport.post("/api/v1/sweeps", asked)
    return Sweep(wire.SweepBody.model_validate(answer), url, token)


def find(sweep_id: int, *, url: str | None = None, token: str | None = None) -> Sweep:
    """Return the handle of a sweep that was started before, by its id."""
    url = (url or os.environ.get("BACKLINE_URL", "http://127.0.0.1:8000")).rstrip("/")
    token = token or os.environ.get("BACKLINE_TOKEN", "")
    with Transport(url, token) as transport:
        answer = transport.get(f"/api/v1/sweeps/{int(sweep_id)}")
    return Sweep(wire.SweepBody.model_validate(answer), url, token)


def _say(sentence: str) -> None:
    sys.stderr.write(f"backline: {sentence}\n")


def _plain(value: Any) -> Any:
    """Return mappings and sequences as JSON has them; a text as it is."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
