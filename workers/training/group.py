"""The processes that train one model together, as torchrun started them.

Every process holds the whole model and computes its share of every batch; gradients are averaged
before each update, so that the model stays the same in all of them. With one process none of this
happens.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import torch
from torch import distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

import backline
from backline.ranks import ProcessPlace
from experiments import recipes
from workers.training import interruption
from workers.training.interruption import Interrupted, PeerEnded

# The first process may sample or save this long while the others wait in the next step.
TIMEOUT = timedelta(minutes=30)
LOOK_SECONDS = 0.5
# The process that failed should end before its peers: the first end is reported as the reason.
AFTER_SECONDS = 2.0


class BatchTooSmall(ValueError):
    """There are fewer examples in a batch than processes to share it."""


class Store(Protocol):
    """Where the processes exchange messages besides their tensors: torchrun's store."""

    def set(self, key: str, value: str) -> None: ...
    def check(self, keys: list[str]) -> bool: ...


@dataclass(frozen=True)
class Group:
    """This process's place among those that train: its rank and their count."""

    rank: int = 0
    count: int = 1
    # The device where numbers are summed: NCCL only knows GPU memory.
    table: str = "cpu"
    store: Store | None = None

    @property
    def leads(self) -> bool:
        """Whether this process reports for the run: metrics, clips, checkpoints, usage."""
        return self.rank == 0

    def share(self, *, step: int, batch_size: int) -> list[int]:
        """The numbers of this process's examples in a step (from 1): number % count == rank."""
        first = (step - 1) * batch_size
        return [n for n in range(first, first + batch_size) if n % self.count == self.rank]

    def demand_shares(self, batch_size: int) -> None:
        """Every process needs an example of every batch, or it has no gradient to give."""
        if batch_size < self.count:
            raise BatchTooSmall(recipes.too_small(batch=batch_size, processes=self.count))

    def around(self, model: nn.Module, *, device: torch.device) -> nn.Module:
        """The model for the forward pass; its backward pass averages gradients over the group."""
        if self.count == 1:
            return model
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.type == "cuda" else None,
            forward_sync_buffers=False,
            gradient_as_bucket_view=True,
        )

    def agree(self, loss: float, wish: Interrupted | None) -> tuple[float, Interrupted | None]:
        """Return the loss of the whole batch, summed over the shares, and whether any wants to end.

        All get the same result: all leave at the same step.
        """
        if self.count == 1:
            return loss, wish
        code = wish.exit_code if wish else 0
        stops, leaves = code == interruption.STOPPED, code == interruption.PREEMPTED
        values = torch.tensor([loss, stops, leaves], dtype=torch.float64, device=self.table)
        distributed.all_reduce(values)
        total, stop, leave = values.tolist()
        return total, interruption.interruption_for(stop=stop > 0, leave=leave > 0)

    @contextmanager
    def peer_errors(self) -> Iterator[None]:
        """Raise PeerEnded when an operation in the block fails because another process is gone."""
        try:
            yield
        except RuntimeError as error:
            # NCCL has an error class of its own, gloo only a message.
            if not (isinstance(error, distributed.DistError) or "peer" in str(error)):
                raise
            time.sleep(AFTER_SECONDS)
            raise PeerEnded from error

    def all_true(self, fact: bool) -> bool:
        """Whether `fact` is true in all processes."""
        if self.count == 1:
            return fact
        flag = torch.tensor([int(fact)], device=self.table)
        distributed.all_reduce(flag, distributed.ReduceOp.MIN)
        return bool(flag.item())

    def broadcast(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Return the first process's numbers in all processes."""
        if self.count == 1:
            return numbers
        values = torch.tensor(numbers, device=self.table)
        distributed.broadcast(values, src=0)
        return tuple(values.tolist())

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            barrier = torch.zeros(1, device=self.table)
            distributed.all_reduce(barrier)
            # NCCL does not wait for the result until it is read.
            barrier.item()

    def mark_done(self) -> None:
        if self.store is not None:
            self.store.set("done", "1")

    def wait_until_done(self, run: backline.Run) -> None:
        """On several nodes, wait until the first process is done: any node may host the rendezvous,
        and torchrun fails when that node is gone."""
        if self.store is None or int(os.environ.get("GROUP_WORLD_SIZE", "1")) == 1:
            return
        while not self.store.check(["done"]):
            interruption.check(run)
            time.sleep(LOOK_SECONDS)


ALONE = Group()


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """Yield the group that torchrun's environment names; this process alone where there is none.

    Processes that have a GPU each communicate over NCCL, others over gloo.
    """
    place = ProcessPlace.read()
    if place.count == 1:
        yield ALONE
        return
    local_count = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    own_gpu = device.type == "cuda" and torch.cuda.device_count() >= local_count
    store, _, _ = next(rendezvous("env://", place.rank, place.count, timeout=TIMEOUT))
    distributed.init_process_group(
        "nccl" if own_gpu else "gloo",
        store=store,
        rank=place.rank,
        world_size=place.count,
        timeout=TIMEOUT,
        device_id=device if own_gpu else None,
    )
    yield Group(place.rank, place.count, str(device) if own_gpu else "cpu", store)
    # Only after success. A failed process reports why first; the others notice that it ended.
    leave()


def leave() -> None:
    """Leave the group; from here on each process works alone."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
