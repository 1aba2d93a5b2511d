"""What a program adds to the config of its run, or changes in it, with its history."""

from typing import Any

from django.db import transaction

from backline import bounds, configs
from experiments.models import ConfigChange, Run


class NotChangeable(ValueError):
    """These values cannot be stored; the sentence says which and why."""


def complete(run: Run, values: dict[str, Any]) -> bool:
    """Set values of the first level of the run's config; False if nothing has changed by that.

    A program that was started outside may set any. One of the portal may add names, and change
    what it has added: what the run was submitted with stays, and NotChangeable is raised after the
    others are stored. It is also raised, and nothing stored, if the config becomes too long.
    """
    refused: list[str] = []
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
        config = run.config if isinstance(run.config, dict) else {}
        after = {
            name: value
            for name, value in values.items()
            if name not in config or not configs.same(value, config[name])
        }
        if run.origin == Run.Origin.PORTAL:
            refused = sorted(name for name in after if name in run.submitted_config)
            after = {name: value for name, value in after.items() if name not in refused}
        if after:
            _store(run, config, after)
    if refused:
        raise NotChangeable(
            f"What run {run.number} was submitted with stays as it is: {', '.join(refused)[:300]}."
        )
    return bool(after)


def _store(run: Run, config: dict[str, Any], after: dict[str, Any]) -> None:
    changed = config | after
    try:
        bounds.check_json(changed, "The config", most=bounds.MAX_CONFIG_BYTES)
    except bounds.NotStorable as error:
        raise NotChangeable(str(error)) from error
    added = run.added
    if run.origin == Run.Origin.PORTAL:
        added = sorted({*added, *after})
    Run.objects.filter(pk=run.pk).update(config=changed, added=added)
    before = {name: config[name] for name in after if name in config}
    ConfigChange.objects.create(run=run, before=before, after=after)
