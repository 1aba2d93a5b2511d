"""What looks like a secret, and texts without it: a run's page is read by its whole project.

A mask is a mark of its own, so that a reader sees that something stood there. What a secret looks
like is a guess: names that say so, prefixes of known services, addresses with a password, and the
tokens of this very program.
"""

import os
import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

MASK = "[masked]"

WORDS = frozenset(
    {"TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS", "APIKEY"}
)
KEYS = frozenset({"API", "ACCESS", "PRIVATE", "SSH", "SIGNING", "ENCRYPTION", "AUTH"})
# Tokens with a known prefix, private keys, addresses with a password.
VALUE = re.compile(
    r"\b(?:bl|hf|ghp|gho|github_pat|glpat)[_-][A-Za-z0-9_-]{16,}|\bAKIA[A-Z0-9]{12,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]+:[^/\s@]+@"
)
# The same as whole stretches of a text, with a few that are too short or too common to refuse.
STRETCHES = re.compile(
    r"\b(?:bl|hf|ghp|gho|ghs|github_pat|glpat|sk|pk|xox[abprs])[_-][A-Za-z0-9_-]{16,}"
    r"|\bAKIA[A-Z0-9]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
    r"|(?<=://)[^/\s:@'\"]*:[^/\s@'\"]+(?=@)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
# A name and a value in quotes: password = "...", "api_key": '...'.
ASSIGNMENT = re.compile(
    r"(?P<before>(?P<name>[A-Za-z_][A-Za-z0-9_-]{0,60})['\"]?\s*[:=]\s*)"
    r"(?P<quote>['\"])(?P<value>[^'\"\n]{6,})(?P=quote)"
)
OPTION = re.compile(r"(?P<dashes>-{0,2})(?P<name>[A-Za-z][\w.-]*)=(?P<value>.*)", re.DOTALL)
# `--key Am` of a program for music is no secret.
MUSICAL_KEY = re.compile(r"[A-Ga-g](?:#|b|♯|♭)?(?:[\s_-]?(?:m|min|maj|minor|major))?")
# Variables whose values are never written down, wherever they turn up.
OWN_TOKENS = ("BACKLINE_TOKEN", "WANDB_API_KEY", "HF_TOKEN", "GITHUB_TOKEN", "OPENAI_API_KEY")


def names_a_secret(name: str) -> bool:
    """Return whether the value of a setting of this name is probably a secret."""
    parts = set(re.split(r"[_.-]", name.upper()))
    return bool(parts & WORDS) or ("KEY" in parts and bool(parts & KEYS))


class Masker:
    """Masks texts of one program, and counts what it has masked."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        own = (os.environ.get(name, "") for name in OWN_TOKENS)
        # A short value would be found in words that have nothing to do with it.
        secrets = sorted({word for word in (*known, *own) if len(word) >= 8}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, secrets))) if secrets else None
        self.count = 0

    def text(self, text: str) -> str:
        """Return a text, such as a diff, without what looks like a secret in it."""
        if self._known:
            text = self._known.sub(self._mask, text)
        text = STRETCHES.sub(self._mask, text)
        return ASSIGNMENT.sub(self._mask_assigned, text)

    def arguments(self, words: Iterable[str]) -> list[str]:
        """Return the words of a command line, without the values of options that name secrets."""
        masked: list[str] = []
        option = ""
        for word in words:
            if option and not word.startswith("-"):
                masked.append(self._value(option, word))
                option = ""
                continue
            option = ""
            if match := OPTION.fullmatch(word):
                value = self._value(match["name"], match["value"])
                masked.append(f"{match['dashes']}{match['name']}={value}")
                continue
            if word.startswith("-") and _is_option_of_a_secret(word.lstrip("-")):
                option = word.lstrip("-")
            masked.append(self.text(word))
        return masked

    def _value(self, name: str, value: str) -> str:
        if not _is_option_of_a_secret(name) or _is_harmless(name, value):
            return self.text(value)
        self.count += 1
        return MASK

    def _mask(self, _: re.Match[str]) -> str:
        self.count += 1
        return MASK

    def _mask_assigned(self, match: re.Match[str]) -> str:
        if not names_a_secret(match["name"]) or match["value"] == MASK:
            return match[0]
        self.count += 1
        return f"{match['before']}{match['quote']}{MASK}{match['quote']}"


def _is_option_of_a_secret(name: str) -> bool:
    last = re.split(r"[_.-]", name.upper())[-1]
    return names_a_secret(name) or last in {"KEY", "AUTH", "PW", "PASS"}


def _is_harmless(name: str, value: str) -> bool:
    """Whether it is a musical key, a count of tokens, a path to a file that holds the secret."""
    if name.lower().endswith("key") and MUSICAL_KEY.fullmatch(value):
        return True
    return re.fullmatch(r"-?\d{1,9}|true|false|none|auto", value, re.IGNORECASE) is not None


def without_credentials(address: str) -> str:
    """Return the address of a repository without user, password and query."""
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        # git@host:path, or a folder.
        return address
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme == "ssh" and parts.username:
        host = f"{parts.username}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
