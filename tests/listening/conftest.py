"""Reports of these tests come all at once; that time has to pass is tested by itself."""

import pytest

from listening import hearing


@pytest.fixture(autouse=True)
def _time_has_passed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.node.get_closest_marker("real_time"):
        monkeypatch.setattr(hearing, "SLACK_MS", 10**9)
