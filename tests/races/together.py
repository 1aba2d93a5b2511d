"""Several acts at the same moment, each in a thread with a database connection of its own."""

import random
import threading
import time
from collections.abc import Callable

from django.db import OperationalError, connection, transaction

PATIENCE = 60


def together(
    *acts: Callable[[], object], refusals: tuple[type[Exception], ...], spread: float = 0.02
) -> list[object]:
    """What each act returned, or the refusal it raised; anything else that is raised fails.

    The threads leave a barrier together, each after a random part of `spread` (seconds), so that
    over many rounds every order comes.
    """
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)
    unexpected: list[BaseException] = []
    pauses = [random.uniform(0, spread) for _ in acts]

    def perform(place: int, act: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(PATIENCE)
            time.sleep(pauses[place])
            results[place] = act()
        except refusals as refusal:
            results[place] = refusal
        except BaseException as error:  # noqa: BLE001 - told to the test below
            unexpected.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=perform, args=(place, act), daemon=True)
        for place, act in enumerate(acts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "Somebody waits for ever."
    if unexpected:
        raise unexpected[0]
    return results


def forced(first: Callable[[], object], second: Callable[[], object]) -> tuple[object, object]:
    """`first` in a transaction that stays open until `second` waits for it, or is through.

    The one order that a race of milliseconds seldom brings, on purpose.
    """
    begun, over = threading.Event(), threading.Event()
    results: dict[str, object] = {}

    def hold() -> None:
        try:
            with transaction.atomic():
                results["first"] = first()
                begun.set()
                over.wait(0.3)
        except Exception as error:  # noqa: BLE001 - told to the test below
            results["first"] = error
        finally:
            begun.set()
            connection.close()

    def follow() -> None:
        try:
            begun.wait(PATIENCE)
            results["second"] = second()
        except Exception as error:  # noqa: BLE001 - told to the test below
            results["second"] = error
        finally:
            over.set()
            connection.close()

    threads = [threading.Thread(target=one, daemon=True) for one in (hold, follow)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "Somebody waits for ever."
    for error in results.values():
        if isinstance(error, OperationalError):
            raise error
    return results["first"], results["second"]
