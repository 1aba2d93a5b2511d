"""Whether more or less of a number is better, by what it is called."""

import re
from typing import Literal

Direction = Literal["min", "max"]

# Parts of names between dots, slashes, dashes and capitals.
PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
LESS = frozenset(
    """loss losses error err errors perplexity ppl bpb fad fd kl kld mse mae rmse nll wer cer eer
    lpips distance dist latency duration seconds cost nonfinite regret""".split()  # noqa: SIM905
)


def better(key: str) -> Direction:
    """Return "min" for losses, errors, distances, times and costs; "max" for everything else.

    A guess from the name, for what nobody has said: `metric.val/loss` is better when it is less.
    """
    return "min" if any(part.lower() in LESS for part in PART.findall(key)) else "max"
