"""Texts that a report begins with: plain text, to be written over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Start:
    """A text to begin with; `words` says what it is for."""

    key: str
    title: str
    words: str
    text: str


LEARNED = """## What we wanted to know

One question, and what we expected.

## What we tried

```runs
query: not run.failed
rows: 10
```

## What we saw

```chart
query: not run.failed
y: loss
```

## What we learned

- What we know now that we did not know before, and how sure we are.
- What surprised us.

## What it does not show

Seeds, data and settings that were not tried.

## What next

Who does what: name people with an @.
"""

CARD = """## The model

What it makes, from what, and who made it. Which run and which checkpoint it is.

## What it may be used for

What the people behind its music have agreed to, as its run's page says it. Nothing else.

## What it learned from

Whose music, and since when. The credits of each sample name the artists.

## How it sounds

```samples
query: state:finished
step: final
most: 6
```

## How it was trained

```chart
query: state:finished
y: loss
```

```runs
query: state:finished
rows: 5
```

## How it was judged

What listeners were asked, and what they said; which measures, and what they leave out.

## Limits and risks

What it does badly, for whom, and what may go wrong when it is used.
"""

EVERY = (
    Start("empty", "Empty", "Nothing in it yet.", ""),
    Start(
        "learned", "What we learned", "A question, what was tried, and what came of it.", LEARNED
    ),
    Start("card", "Model card", "What a model is for, what it learned from, and its limits.", CARD),
)


def find(key: str) -> Start:
    """Return the start of that key, else the empty one."""
    return next((start for start in EVERY if start.key == key), EVERY[0])
