"""A portal that scripts of their own can deliver to."""

from pathlib import Path

import pytest

from experiments.models import Project
from portal import tokens
from portal.models import User
from tests.backline.script import Scripts


class Server:
    url: str


@pytest.fixture
def scripts(live_server: Server, ada: User, project: Project, tmp_path: Path) -> Scripts:
    token = tokens.issue(ada, "script")[1]
    return Scripts(live_server.url, token, project.slug, tmp_path / "script")
