"""The processes that train one model together, as torchrun started them.

Every process holds the whole model and computes its share of every batch; gradients are averaged
before each update, so that the model stays the same in all of them. With one process nothing of
this happens.
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

# The first process may sample or save for as long, while the others wait in the next step.
TIMEOUT = timedelta(minutes=30)
LOOK_SECONDS = 0.5
# The process that failed is to end before those that miss it: the first end is told as the reason.
AFTER_SECONDS = 2.0


class BatchTooSmall(ValueError):
    """There are fewer examples in a batch than processes to share it."""


class Board(Protocol):
    """What the processes write to each other beside their figures: torchrun's store."""

    def set(self, key: str, value: str) -> None: ...
    def check(self, keys: list[str]) -> bool: ...


@dataclass(frozen=True)
class Group:
    """This process among those that train: its number, and how many they are."""

    rank: int = 0
    count: int = 1
    # Where figures are added up: NCCL knows the memory of GPUs only.
    table: str = "cpu"
    store: Board | None = None

    @property
    def leads(self) -> bool:
        """Whether this process speaks for the run: figures, clips, checkpoints, use."""
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
        """The loss of the whole batch, from every share's part of it, and whether any wants to end.

        All get the same answer: all leave at the same step.
        """
        if self.count == 1:
            return loss, wish
        code = wish.exit_code if wish else 0
        stops, leaves = code == interruption.STOPPED, code == interruption.PREEMPTED
        said = torch.tensor([loss, stops, leaves], dtype=torch.float64, device=self.table)
        distributed.all_reduce(said)
        total, stop, leave = said.tolist()
        return total, interruption.wish(stop=stop > 0, leave=leave > 0)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done with the others in here ends as PeerEnded when one of them is gone."""
        try:
            yield
        except RuntimeError as error:
            # NCCL has an error class of its own, gloo only words.
            if not (isinstance(error, distributed.DistError) or "peer" in str(error)):
                raise
            time.sleep(AFTER_SECONDS)
            raise PeerEnded from error

    def everywhere(self, fact: bool) -> bool:
        """Whether it is so for all of them."""
        if self.count == 1:
            return fact
        said = torch.tensor([int(fact)], device=self.table)
        distributed.all_reduce(said, distributed.ReduceOp.MIN)
        return bool(said.item())

    def of_first(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """The first process's numbers, for all of them."""
        if self.count == 1:
            return numbers
        said = torch.tensor(numbers, device=self.table)
        distributed.broadcast(said, src=0)
        return tuple(said.tolist())

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            here = torch.zeros(1, device=self.table)
            distributed.all_reduce(here)
            # NCCL's answer is waited for only by whoever reads it.
            here.item()

    def tell_done(self) -> None:
        if self.store is not None:
            self.store.set("done", "1")

    def wait_until_done(self, run: backline.Run) -> None:
        """On several nodes, until the first process is done: the machine where they met is the one
        of any of them, and torchrun gives up when it is gone."""
        if self.store is None or int(os.environ.get("GROUP_WORLD_SIZE", "1")) == 1:
            return
        while not self.store.check(["done"]):
            interruption.check(run)
            time.sleep(LOOK_SECONDS)


ALONE = Group()


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """The group that torchrun's environment names; this process alone where there is none.

    Processes that have a GPU each speak over NCCL, others over gloo.
    """
    place = ProcessPlace.read()
    if place.count == 1:
        yield ALONE
        return
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    own_gpu = device.type == "cuda" and torch.cuda.device_count() >= beside
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
    # Only after a good end. One that failed says why first, and its end is what the others hear.
    leave()


def leave() -> None:
    """No more speaking; what follows is each process's own."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
