"""A config as YAML text, read as both the client and the portal's page read it."""

from collections.abc import Hashable
from typing import Any

import yaml

# What PyYAML raises, beside its own errors, of values that are not what their tag says.
BAD_VALUES = (ValueError, LookupError, AttributeError, TypeError, OverflowError)
MERGE = "tag:yaml.org,2002:merge"


class BadYaml(ValueError):
    """The text cannot be read as YAML; the message says where it goes wrong."""


class _Loader(yaml.SafeLoader):
    """Refuses a name that stands twice: YAML forbids it, and PyYAML takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                # Names that are merged in may be set anew here.
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue
            if key in seen:
                line = key_node.start_mark.line + 1
                raise BadYaml(f"“{str(key)[:80]}” stands twice, again at line {line}: keep one.")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load(text: str, *, aliases: bool = True) -> Any:
    """Return what the text says; raise BadYaml. Without `aliases` it may have none: they can expand
    a short text without end."""
    try:
        refused = not aliases and any(isinstance(one, yaml.AliasToken) for one in yaml.scan(text))
        content = None if refused else yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe one.
    except BadYaml:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise BadYaml(f"This is not YAML{where}: {problem}.") from None
    except RecursionError:
        raise BadYaml("The text has too many levels inside each other to be read.") from None
    except BAD_VALUES as error:
        raise BadYaml(f"This is not YAML: one of its values cannot be read ({error}).") from None
    if refused:
        raise BadYaml("Aliases (*name) are not read; write the values out.")
    return content
