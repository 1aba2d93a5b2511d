"""What follows from the use that a run declares: whether it makes a model, and for what.

A permission to evaluate, or to be heard as reference audio, is none to learn. So what a run of
such a use saves is its own, to go on from after an interruption, and nothing else begins with it.
"""

from backline.uses import use_named
from rights.models import Use

# Without recordings there is nobody's use.
NONE = ""
MODELS = frozenset({NONE, *(use.value for use in Use if use.facts.makes_model)})
# Uses by which a recording is heard and nothing is learned from it.
REFERENCES = frozenset(use.value for use in Use if use.facts.is_reference)


def makes_models(use: str) -> bool:
    return use in MODELS


def may_start_from(made_for: str, use: str) -> bool:
    """Whether a run of `use` may start from the weights of a run of the use `made_for`."""
    made = use_named(made_for)
    if made is None:
        # By any; clearance.py then asks everybody behind it for the use itself.
        return made_for == NONE
    return made.facts.makes_model and (not made.facts.starts or use in made.facts.starts)
