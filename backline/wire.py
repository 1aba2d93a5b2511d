"""The contract between the client and the portal: its JSON messages.

The version increases when either side could misread the other. What is sent as bytes has modules of
its own: metrics in backline/batches.py, which needs NumPy, media in backline/media/packs.py. A
sender passes bytes on and starts without them.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from backline.bounds import (
    MAX_PROSE,
    Amount,
    Count,
    Json,
    Message,
    Moment,
    Natural,
    Whole,
    readable,
)
from backline.no_truth import NoTruthAsNumber

__all__ = ["VERSION", "Message"]

VERSION = 1
VERSION_HEADER = "Backline-Wire"

MAX_NAME = 200
MAX_LOG_CHARACTERS = 1_000_000
MAX_DIFF = 1_000_000
MAX_ALERT_TITLE = 200
MAX_ALERT_TEXT = 2_000


def good_name(name: str) -> bool:
    """Return whether a metric may have this name: 1 to 200 printable characters, not padded."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip()


# What programs print: a mark replaces what cannot be stored, and nothing is refused.
Printed = Annotated[
    str, BeforeValidator(lambda text: readable(text) if isinstance(text, str) else text)
]
SessionName = Annotated[str, Field(min_length=1, max_length=40)]
ShortPath = Annotated[Printed, Field(max_length=300)]
Argument = Annotated[Printed, Field(max_length=1_000)]
_Short = Annotated[Printed, Field(max_length=200)]
Packages = Annotated[dict[_Short, _Short], Field(max_length=3_000)]
Variables = Annotated[dict[_Short, _Short], Field(max_length=100)]


class DatasetItem(Message):
    """One recording that this run may read. `url` is a path at the portal."""

    recording: Natural
    sha256: str
    title: str
    artists: list[str] = []
    tags: dict[str, Any]
    seconds: float
    url: str
    format: Literal["", "wav", "flac", "mp3", "ogg"] = Field(
        default="", description="How its file's name ends."
    )


class CheckpointSource(Message):
    """A checkpoint to resume, to start from, or to generate with."""

    step: Natural
    sha256: str
    url: str
    meta: dict[str, Any] = {}


class Arithmetic(Message):
    """A program's precision and threads. Chosen once, the same for every attempt and repeat."""

    precision: Literal["bf16", "fp32"]
    threads: int = Field(ge=1, le=4096, description="Of each process.")
    reason: str = Field(default="", max_length=500, description="A sentence: why so.")


class RunSpec(Message):
    """The description of a run: enough to start its program anywhere."""

    version: int = VERSION
    id: str
    project: str
    number: int
    name: str
    description: str = ""
    notes: str = ""
    tags: list[str] = []
    url: str = Field(description="The run's page, as a path at the portal.")
    recipe: str
    config: dict[str, Any]
    seed: int | None = None
    dataset: str = ""
    items: list[DatasetItem] = []
    resume: CheckpointSource | None = Field(
        default=None, description="Of this run: an earlier attempt saved it."
    )
    start_from: CheckpointSource | None = Field(
        default=None, description="Of another run: the weights that this one starts from."
    )
    arithmetic: Arithmetic | None = Field(
        default=None, description="Chosen by an earlier attempt, or by the run that this repeats."
    )
    accepts: list[str] = Field(
        default=[],
        description="Deliveries that portals of earlier versions do not know and this one takes: "
        "environment, media.",
    )


# A tag stands in lists between commas, and in queries between quotation marks.
Tag = Annotated[str, Field(min_length=1, max_length=60, pattern=r'^[^,"]*$')]


class Words(Message):
    """What a program says of its run; what is left out stays."""

    name: str | None = Field(default=None, min_length=1, max_length=150)
    description: str | None = Field(default=None, max_length=300, description="In a line.")
    notes: str | None = Field(default=None, max_length=MAX_PROSE, description="In Markdown.")
    add_tags: list[Tag] = Field(default=[], max_length=50)
    remove_tags: list[Tag] = Field(default=[], max_length=50)
    first: bool = Field(
        default=False, description="Said at its start: it replaces nothing that was written."
    )


class NewRun(Message):
    """A run whose program was started outside: opened, joined by another process, or resumed."""

    project: str = Field(min_length=1, max_length=50)
    name: str = Field(default="", max_length=150)
    config: Json = {}
    description: str = Field(default="", max_length=300)
    notes: str = Field(default="", max_length=MAX_PROSE)
    tags: list[Tag] = Field(default=[], max_length=50)
    resume: str = Field(
        default="",
        max_length=150,
        description="The id, the number or the name of a run to go on with. A name that no run of "
        "the project has opens a new one.",
    )
    fork_from: str = Field(
        default="",
        max_length=150,
        description="The id, the number or the name of a run: a new one goes on from its step, and "
        "has its curves up to there.",
    )
    fork_step: Natural | None = Field(default=None, description="Without it, the last step.")
    group: str = Field(
        default="",
        max_length=100,
        description="What the processes of one launch have in common: they are one run.",
    )
    rank: int = Field(default=0, ge=0, le=999_999)
    restart: int = Field(
        default=0, ge=0, le=999, description="How often the launcher has started them again."
    )


class OpenedRun(Message):
    spec: RunSpec
    token: str = Field(description="Good for this run only.")
    session: str = Field(default="", max_length=40, description="The name to deliver under.")
    step: int = Field(
        default=-1, description="The last step before it was resumed or forked; -1 if new."
    )
    forked: bool = Field(
        default=False, description="Whether it is a fork; earlier portals know none."
    )


class Submission(Message, NoTruthAsNumber):
    """A run to be queued in the portal, as `backline submit` sends it."""

    project: str = Field(max_length=50)
    recipe: str = Field(max_length=50)
    config: Json = {}
    dataset: Natural | None = Field(default=None, description="The number of a frozen dataset.")
    start_from: Natural | None = Field(
        default=None, description="The number of the checkpoint that it starts from."
    )
    name: str = Field(default="", max_length=150)
    resources: Json = Field(
        default={}, description="cpus, memory_gb, gpus, gpu_type, nodes, max_hours."
    )


Count32 = Annotated[int, Field(ge=0, le=2**31 - 1)]


class SweepOptions(Message, NoTruthAsNumber):
    """What a sweep tries and for what, as `sweep:` in a YAML file says it. A name that is not known
    is refused: it would be a limit that nobody keeps to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: Json = Field(
        default={}, description="By setting: a list of values, or a range {min, max, log, step}."
    )
    objective: Annotated[str, Field(max_length=MAX_NAME)] | Json | list[Any] = Field(
        default="loss", description="A metric, or {metric, goal, reading}, or a list of these."
    )
    method: str = Field(default="", max_length=10, description="grid, random, tpe or cmaes.")
    pruning: Annotated[str, Field(max_length=20)] | Json | None = Field(
        default=None,
        description="asha, hyperband or median, or {rule, first, factor, every, most}.",
    )
    trials: Count32 | None = None
    parallel: Count32 = 2
    hours: Amount | None = Field(default=None, description="Of GPUs, or of machines without any.")
    cost: Amount | None = None
    failures: Count32 = Field(default=3, description="So many in a row stop the sweep.")
    seed: Count32 = 1


class SweepSubmission(Submission):
    """A sweep to be started in the portal: a run, and what differs between its trials."""

    sweep: SweepOptions


class SweepTrialBody(Message):
    number: int
    state: str
    params: Json
    values: list[float] = []
    reason: str = ""
    run: int | None = Field(default=None, description="The run's number in its project.")
    url: str = ""


class SweepBody(Message):
    id: int
    project: str
    number: int
    name: str
    state: str
    reason: str
    method: str
    objectives: list[Json]
    max_trials: int
    active: bool
    url: str
    trials: list[SweepTrialBody] = []
    best: list[int] = Field(default=[], description="Numbers of the best trials, or of the front.")


class Progress(Message):
    stage: str = Field(default="", max_length=100)
    fraction: float = Field(default=0, ge=0, le=1)


class Heartbeat(Message):
    session: SessionName
    stage: str = Field(default="", max_length=100)
    progress: float | None = Field(default=None, ge=0, le=1)
    waiting: Natural = Field(default=0, description="Deliveries that lie on the client's disk.")


class HeartbeatAnswer(Message):
    stop: bool = False
    reason: str = ""


class LogPiece(Message):
    """Console text. `offset` counts UTF-8 bytes since the start of this stream and session."""

    session: SessionName
    stream: Literal["stdout", "stderr"]
    # Low enough that the piece itself still ends within 64 bits.
    offset: int = Field(ge=0, le=2**62)
    text: Printed = Field(max_length=MAX_LOG_CHARACTERS)
    at: Moment | None = None


class UsageLine(Message):
    recording: Natural
    examples: Count
    seconds: Amount


class UsageReport(Message):
    """The use of recordings since the last report; `step` makes a repeated report count once."""

    step: Natural
    lines: list[UsageLine] = Field(max_length=100_000)


class ConfigUpdate(Message):
    """What a program adds to its run's config, or changes in it: values of the first level."""

    values: Json


class Gpu(Message):
    name: str = Field(max_length=100)
    memory_bytes: Natural = 0
    driver: str = Field(default="", max_length=50)


class Hardware(Message):
    """What a program may use of its machine."""

    processor: Printed = Field(default="", max_length=200)
    cores: Natural = 0
    threads: Natural = Field(default=0, description="Of the processor, that the program may use.")
    memory_bytes: Natural = 0
    gpus: list[Gpu] = Field(default=[], max_length=64)


class Code(Message):
    """The state of the repository that a program was started from; without one, why not."""

    note: Printed = Field(default="", max_length=500, description="A sentence: what is missing.")
    commit: str = Field(default="", pattern="^[0-9a-f]{0,64}$")
    branch: Printed = Field(default="", max_length=200)
    remote: Printed = Field(default="", max_length=500, description="Without user and password.")
    pushed: bool | None = Field(
        default=None, description="Whether a remote branch had the commit, as far as git knew."
    )
    repository: Printed = Field(default="", max_length=200, description="The name of its folder.")
    folder: ShortPath = Field(
        default="", description="Where the program was started, from the repository's root on."
    )
    changed: Natural = Field(default=0, description="Files with changes that are not committed.")
    untracked: list[ShortPath] = Field(default=[], max_length=100)
    untracked_count: Natural = 0
    private: list[ShortPath] = Field(
        default=[], max_length=100, description="Changed files whose content is never sent."
    )
    diff: Printed = Field(default="", max_length=MAX_DIFF)
    diff_is_whole: bool = True


class Environment(Message):
    """What a program was started from and in, once for each session; secrets are masked."""

    session: SessionName
    source: Literal["program", "launcher"] = Field(
        default="program",
        description="Who says so: the program itself, or what starts it, which knows less.",
    )
    entry: Printed = Field(default="", max_length=500, description="A file, -m module, a command.")
    arguments: list[Argument] = Field(default=[], max_length=200)
    arguments_left_out: Natural = 0
    python: Printed = Field(default="", max_length=100)
    packages: Packages = Field(default={}, description="Version by name, of those installed.")
    direct: Packages = Field(
        default={},
        description="Where those come from that no index has: a repository at a commit, a folder.",
    )
    system: Printed = Field(default="", max_length=200)
    host: Printed = Field(default="", max_length=200)
    hardware: Hardware = Hardware()
    variables: Variables = {}
    image: Printed = Field(default="", max_length=300)
    code: Code = Code()
    masked: Natural = Field(default=0, description="How many texts were masked as secrets.")


class Alert(Message):
    """What the program wants its people to look at. Longer texts are cut by the client."""

    title: str = Field(min_length=1, max_length=MAX_ALERT_TITLE)
    text: str = Field(default="", max_length=MAX_ALERT_TEXT)
    level: Literal["info", "warn", "error"] = "info"


class CheckpointMeta(Message):
    step: Natural
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    meta: Json = {}


class SampleMeta(Message):
    name: str = Field(min_length=1, max_length=200)
    step: Natural = 0
    prompt: str = Field(default="", max_length=MAX_PROSE)
    seed: Whole | None = None
    take: Natural = Field(
        default=0,
        description="Which of several clips of this session with this name, step, prompt and seed.",
    )
    final: bool = False
    references: list[Natural] = Field(
        default=[],
        max_length=100,
        description="The recordings of the dataset that were its reference audio.",
    )


class Ending(Message):
    """How a session's program ended. Everything else of the session has arrived or been refused,
    except what is `owed`. If the program was started outside the portal, and is the run's own, this
    ends the run; sessions of processes that it has started may still deliver what they have."""

    outcome: Literal["finished", "failed", "cancelled"]
    reason: str = Field(default="", max_length=500)
    owed: Count = Field(
        default=0,
        description="What was set aside, as the portal broke over it, and may still come.",
    )
    of_run: bool = Field(
        default=True, description="Whether the program is the run's own, and not started by it."
    )
    children: list[SessionName] = Field(
        default=[],
        max_length=1_000,
        description="Sessions of processes that it has started, which have not ended yet.",
    )


class Undelivered(Message):
    """How much of a session the portal refused or could not accept: it is on the client's disk."""

    session: SessionName
    count: Count
    reason: Printed = Field(default="", max_length=500)


class Received(Message):
    """The answer to a delivery. `duplicate` means that it had been counted before."""

    points: int = 0
    duplicate: bool = False


class MediaReceived(Received):
    """The answer to a pack of media."""

    left_out: int = Field(
        default=0,
        description="What was not stored: damaged, or beyond what the run or project may have.",
    )
