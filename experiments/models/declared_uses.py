"""What follows from the use that a run declares: whether it makes a model, and for what.

A permission to evaluate, or to be heard as reference audio, is none to learn. So what a run of
such a use saves is its own, to go on from after an interruption, and nothing else begins with it.
"""

from rights.models import Use

# Without recordings there is nobody's use.
NONE = ""
# The uses that make a model, and by which uses a run may begin with it. None: by any; clearance.py
# then asks everybody behind it for the use itself.
GOES_ON: dict[str, frozenset[str] | None] = {
    NONE: None,
    Use.TRAIN_GENERATIVE.value: None,
    Use.FINETUNE.value: None,
    # Who lets classifiers learn has not let generators learn, nor the other way about a voice.
    Use.TRAIN_ANALYSIS.value: frozenset({Use.TRAIN_ANALYSIS.value, Use.EVAL.value}),
    Use.VOICE.value: frozenset({Use.VOICE.value, Use.EVAL.value}),
}
MODELS = frozenset(GOES_ON)
# Uses by which a recording is heard and nothing is learned from it.
HEARD = frozenset({Use.CONDITION.value})


def makes_models(use: str) -> bool:
    return use in MODELS


def may_begin(made_for: str, use: str) -> bool:
    """Whether a run of `use` may begin with the weights of a run of the use `made_for`."""
    if made_for not in GOES_ON:
        return False
    allowed = GOES_ON[made_for]
    return allowed is None or use in allowed
