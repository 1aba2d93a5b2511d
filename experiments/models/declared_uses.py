"""What follows from the use that a run declares: whether it makes a model, and for what.

A permission to evaluate a recording, or to use it as reference audio, does not permit learning. So
what a run of such a use saves is its own, to resume from after an interruption; no other run starts
from it.
"""

from backline.uses import use_named
from rights.models import Use

# The use of a run without recordings.
NO_USE = ""
MODELS = frozenset({NO_USE, *(use.value for use in Use if use.facts.makes_model)})
# Uses in which a recording is reference audio and nothing is learned from it.
REFERENCES = frozenset(use.value for use in Use if use.facts.is_reference)


def makes_models(use: str) -> bool:
    return use in MODELS


def may_start_from(made_for: str, use: str) -> bool:
    """Whether a run of `use` may start from the weights of a run of the use `made_for`."""
    source_use = use_named(made_for)
    if source_use is None:
        # Free for any use; clearance.py then checks that use with everybody behind the weights.
        return made_for == NO_USE
    return source_use.facts.makes_model and (
        not source_use.facts.starts or use in source_use.facts.starts
    )
