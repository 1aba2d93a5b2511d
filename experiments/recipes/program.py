"""The config of a researcher's own program: its command, image and environment.

It is stored with the run and read by everybody in the project, so it must hold no secrets.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator

from backline import uses
from backline.environment import masking
from backline.no_truth import NoTruthAsNumber
from backline.uses import Use

MAX_WORD = 4_096
RESERVED = "BACKLINE_"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

# A name as the OCI distribution specification has it: [host[:port]/]path[:tag][@digest].
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)

SECRETS_HINT = (
    "A config is read by everybody in the project: keep it in the lab's secret store, and let "
    "the program read it there."
)

# One of the uses that consent knows; a type checker cannot read the table.
if TYPE_CHECKING:
    UseName = str
else:
    UseName = Literal[tuple(use.value for use in Use)]


def split_words(value: object) -> object:
    """Split a line as a shell would; a list stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        reason = str(error).rstrip(".").lower()
        raise ValueError(f"cannot be split into words: {reason}.") from None


def read_pairs(value: object) -> object:
    """Read a form's NAME=value lines, or a mapping from YAML with numbers and booleans."""
    if isinstance(value, str):
        variables: dict[str, str] = {}
        for line in filter(None, map(str.strip, value.splitlines())):
            name, equals, text = line.partition("=")
            if not equals:
                raise ValueError(f"has one NAME=value per line; “{line[:50]}” is none.")
            if name.strip() in variables:
                raise ValueError(f"names {name.strip()[:50]} twice.")
            variables[name.strip()] = text.strip()
        return variables
    if isinstance(value, Mapping):
        return {str(name): _text(item) for name, item in value.items()}
    return value


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class ProgramConfig(NoTruthAsNumber):
    """An image, a command and an environment. The client, token and limits come with the run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    command: Annotated[list[str], BeforeValidator(split_words)] = Field(
        default=["python", "train.py"],
        title="Command",
        description=(
            "As you would type it, without pipes or variables: nothing but the words is read. "
            "For those, say: sh -c '…'."
        ),
        max_length=200,
        json_schema_extra={"group": "Program", "widget": "command"},
    )
    image: str = Field(
        default="",
        title="Image",
        description=(
            "Empty: the lab's run image. Else one that holds your program and the client, with "
            "a digest (@sha256:…) or a tag other than latest."
        ),
        max_length=500,
        json_schema_extra={"group": "Program"},
    )
    env: Annotated[dict[str, str], BeforeValidator(read_pairs)] = Field(
        default={},
        title="Environment",
        description=(
            "One NAME=value per line, for your program only. No secrets: a config is read by "
            "everybody in the project."
        ),
        max_length=100,
        json_schema_extra={"group": "Program", "widget": "pairs"},
    )
    use: UseName = Field(
        default="train.generative",
        title="Use of the recordings",
        description="What your program does with the dataset. Consent is asked for exactly this.",
        json_schema_extra={"group": "Recordings", "labels": uses.labels()},
    )
    dataset_folder: str = Field(
        default="dataset",
        title="Folder of the dataset",
        description=(
            "Where the recordings lie when your program starts, with manifest.json beside them. "
            "Empty: the program fetches what it needs by run.dataset(folder)."
        ),
        max_length=200,
        json_schema_extra={"group": "Recordings"},
    )

    @field_validator("command")
    @classmethod
    def startable(cls, command: list[str]) -> list[str]:
        if not command or not command[0].strip():
            raise ValueError("is empty: say what to start.")
        for number, word in enumerate(command, start=1):
            if "\0" in word or len(word) > MAX_WORD:
                raise ValueError(f"has a word that cannot be passed on (number {number}).")
            if masking.VALUE.search(word):
                raise ValueError(f"holds what looks like a secret (word {number}). {SECRETS_HINT}")
        return command

    @field_validator("image")
    @classmethod
    def the_same_tomorrow(cls, image: str) -> str:
        image = image.strip()
        if not image:
            return image
        match = IMAGE.fullmatch(image)
        if match is None:
            raise ValueError(
                "is not the name of an image: registry/path:tag or registry/path@sha256:…."
            )
        if match["digest"] is None and match["tag"] in {None, "latest"}:
            raise ValueError(
                "needs a digest or a tag other than latest: what is behind it today may be "
                "something else when the run is tried again."
            )
        return image

    @field_validator("env")
    @classmethod
    def no_secrets(cls, env: dict[str, str]) -> dict[str, str]:
        for name, value in env.items():
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"has letters, digits and _ in its names, and no digit first; “{name[:50]}” "
                    "has others."
                )
            if name.upper().startswith(RESERVED):
                raise ValueError(f"may not hold {name}: names with {RESERVED} are the portal's.")
            if any(ord(letter) < 32 for letter in value) or len(value) > MAX_WORD:
                raise ValueError(f"has a value that cannot be passed on ({name}).")
            if masking.names_a_secret(name) or masking.VALUE.search(value):
                raise ValueError(f"may not hold {name}, which looks like a secret. {SECRETS_HINT}")
        return env

    @field_validator("dataset_folder")
    @classmethod
    def stays_inside(cls, folder: str) -> str:
        folder = folder.strip()
        if ".." in PurePosixPath(folder).parts or not folder.isprintable():
            raise ValueError("is a path without .. in it.")
        return folder


def started_by(
    config: Mapping[str, Any], *, has_dataset: bool, scratch: str = ""
) -> tuple[str, ...]:
    """Return the arguments of `python` that start the program of a resolved config.

    A relative dataset folder lies in `scratch`, or where the job starts if that is empty.
    """
    program = ProgramConfig.model_validate(dict(config))
    folder = program.dataset_folder if has_dataset else ""
    mount = ("--dataset", str(PurePosixPath(scratch) / folder)) if folder else ()
    return ("-m", "backline", "exec", *mount, "--", *program.command)
