"""Several acts at the same moment, each in a thread with a database connection of its own."""

import random
import threading
import time
from collections.abc import Callable

from django.db import connection

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
