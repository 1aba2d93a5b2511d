"""What /health says of workers: all that listen are asked, and answer by name."""

import pytest
from celery.contrib.testing.worker import start_worker

from portal import health
from portal.celery import app


def test_each_worker_that_listens_is_named_and_none_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app.conf, "broker_url", "memory://")
    assert not health.workers().good
    with start_worker(app, perform_ping_check=False, shutdown_timeout=30):
        check = health.workers()
        assert check.good, check.sentence
        assert check.sentence.startswith("1 answered (")
    check = health.workers()
    assert (check.good, check.sentence) == (False, "No worker answered within a second: runs wait.")


def test_a_broker_that_is_down_has_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.conf, "broker_url", "redis://127.0.0.1:9/0")
    assert not health.workers().good
    assert not health.broker().good
