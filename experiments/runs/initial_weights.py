"""The weights that a run starts from: which may be chosen, and what is wrong with a choice."""

from collections.abc import Mapping
from typing import Any

from experiments import recipes
from experiments.clearance.permission import why_not_start_from
from experiments.models import Checkpoint, CheckpointQuerySet, Project, Run, declared_uses
from experiments.recipes.flow_matching import SHAPE, FlowMatchingConfig
from portal.models import User

FIELD = "start_from"
NOT_THERE = "There is no such checkpoint that you may use."
NO_MODEL = "Fine-tuning starts from a model: choose a checkpoint, or train.generative as the use."


def choices(user: User, recipe: recipes.Recipe) -> CheckpointQuerySet:
    """Return the checkpoints that this person may see and that the recipe reads, newest first; also
    those that nobody may load any more, so that a page can say why."""
    rows = Checkpoint.objects.filter(run__in=Run.objects.visible_to(user))
    if recipe.reads is not None:
        rows = rows.filter(run__recipe=recipe.reads)
    return rows.select_related("run__project").order_by("-created_at", "-pk")


def check(
    *,
    by: User,
    project: Project,
    recipe: recipes.Recipe,
    config: Mapping[str, Any],
    checkpoint: Checkpoint | None,
) -> None:
    """Raise ConfigInvalid, with a sentence beside the field, unless a run may start from it."""
    if checkpoint is None:
        if recipe.weights == "must":
            raise recipes.ConfigInvalid({FIELD: recipes.NEEDS_WEIGHTS})
        if recipe.needs_dataset and config.get("use") == "finetune":
            raise recipes.ConfigInvalid({FIELD: NO_MODEL})
        return
    if recipe.weights == "none":
        raise recipes.ConfigInvalid({FIELD: recipes.NO_WEIGHTS})
    if not Run.objects.visible_to(by).filter(pk=checkpoint.run_id).exists():
        raise recipes.ConfigInvalid({FIELD: NOT_THERE})
    if recipe.reads is not None and checkpoint.run.recipe != recipe.reads:
        reads = recipes.get(recipe.reads).title.lower()
        raise recipes.ConfigInvalid({FIELD: f"This recipe reads checkpoints of {reads} only."})
    check_shape(recipe, config, checkpoint)
    use = recipe.use_of(config)
    if reason := why_not_start_from(checkpoint, project, recipe=recipe.name, use=use):
        raise recipes.ConfigInvalid({FIELD: reason})


def fitting_use(checkpoint: Checkpoint, recipe: recipes.Recipe) -> str:
    """Return the recipe's first use with which a run may start from these weights, else its own.
    It is checked before a person has chosen a use."""
    fitting = (use for use in recipe.uses if declared_uses.may_start_from(checkpoint.run.use, use))
    return next(fitting, recipe.use)


def shape(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the settings of the checkpoint's network, as far as they are known."""
    config = checkpoint.meta.get("config", {})
    settings = config if isinstance(config, dict) else {}
    return {name: settings[name] for name in SHAPE if isinstance(settings.get(name), int)}


def check_shape(recipe: recipes.Recipe, config: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Raise ConfigInvalid for another shape: weights fit one shape of network only."""
    if recipe.config is not FlowMatchingConfig:
        return
    titles = {name: field.title for name, field in FlowMatchingConfig.model_fields.items()}
    errors = {
        name: f"{titles[name]} must be {value:,}, as in the checkpoint; it is {config[name]:,}."
        for name, value in shape(checkpoint).items()
        if config[name] != value
    }
    if errors:
        summary = "The checkpoint's network has another shape: take the settings that it has."
        raise recipes.ConfigInvalid({FIELD: summary, **errors})
