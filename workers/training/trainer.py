"""The trained model, its average, its optimisers: one step, and all that a resume needs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backline.wire import Arithmetic
from experiments.recipes.flow_matching import FlowMatchingConfig
from workers.data import mel, recordings
from workers.data.mel import Scale
from workers.data.recordings import Recording
from workers.models import path
from workers.models.dit import DiT
from workers.training import checkpoints, draws, schedule
from workers.training.arithmetic import DTYPES
from workers.training.checkpoints import Meta
from workers.training.group import ALONE, Group
from workers.training.muon import Muon

# Learning rate of each optimiser, relative to the config's.
PACE = {"muon": 10.0, "adamw": 1.0}


@dataclass(frozen=True)
class Batch:
    """This process's share: scaled log-mels and noise (batch, frames, bands), times, labels.

    `drawn` are the recordings' indices for the whole batch.
    """

    clean: Tensor
    noise: Tensor
    times: Tensor
    labels: Tensor
    drawn: list[int]


class Trainer:
    """Flow matching on a dataset in memory. Its state is a function of config, data and step."""

    def __init__(
        self,
        config: FlowMatchingConfig,
        *,
        data: list[Recording],
        device: torch.device,
        arithmetic: Arithmetic,
        group: Group = ALONE,
        scale: Scale | None = None,
    ) -> None:
        """Products are computed in the precision of `arithmetic`; weights, averages and sums are
        fp32. `scale` is that of the weights it starts from; a model knows no other."""
        group.demand_shares(config.batch_size)
        self.config = config
        self.group = group
        self.device = device
        self.arithmetic = arithmetic
        self.dtype = DTYPES[arithmetic.precision]
        self.genres = sorted({recording.genre for recording in data if recording.genre})
        self.scale = scale or Scale.of([recording.mel for recording in data])
        self.examples = [
            Recording(r.number, r.genre, self.scale.apply(r.mel), r.seconds) for r in data
        ]
        self.model = network(config, classes=len(self.genres)).to(device)
        self.average = (
            network(config, classes=len(self.genres)).to(device).requires_grad_(requires_grad=False)
        )
        self.average.load_state_dict(self.model.state_dict())
        self.optimisers = optimisers(self.model, dtype=self.dtype)
        self.shared = group.around(self.model, device=device)
        if group.count > 1:
            self._order_gradients()

    def step(self, number: int) -> tuple[dict[str, float], list[int]]:
        """Train on batch `number` (from 1); return what to log and which recordings were drawn.

        The loss is this process's part of the batch's mean: the group's parts add up to it.
        """
        config = self.config
        rate = schedule.learning_rate(
            step=number, steps=config.steps, peak=config.learning_rate, warmup=config.warmup_steps
        )
        batch = draw(
            config, step=number, examples=self.examples, genres=self.genres, group=self.group
        )
        part = len(batch.labels) / config.batch_size
        self.model.zero_grad()
        loss = flow_loss(self.shared, batch=batch, device=self.device, dtype=self.dtype)
        # The group takes the plain mean of its gradients; shares may differ by one example.
        (loss * (part * self.group.count)).backward()  # type: ignore[no-untyped-call]
        if number == 1:
            demand_gradients(self.model)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for name, optimiser in self.optimisers.items():
            optimiser.param_groups[0]["lr"] = rate * PACE[name]
            optimiser.step()
        follow(self.average, self.model, stay=schedule.averaging(step=number, longest=config.ema))
        points = {"loss": loss.item() * part, "learning_rate": rate, "grad_norm": norm.item()}
        return points, batch.drawn

    def _order_gradients(self) -> None:
        """Run a backward pass without an update. In its first one DistributedDataParallel learns in
        which order gradients come, and sums them in another order from then on: without this, a
        resumed run of three processes or more would differ from an uninterrupted one in the last
        bits.
        """
        clean = torch.zeros(1, self.config.clip_frames, mel.BANDS, device=self.device)
        labels = torch.zeros(1, dtype=torch.long, device=self.device)
        with torch.autocast(
            self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32
        ):
            velocity = self.shared(clean, clean.new_zeros(1), labels)
        velocity.float().sum().backward()
        self.model.zero_grad()

    def checkpoint(self, *, step: int, data: str) -> tuple[dict[str, Tensor], Meta]:
        """Return what to save; after the last step only the averaged weights, the result."""
        tensors = checkpoints.module_tensors("average", self.average)
        if step < self.config.steps:
            tensors |= checkpoints.module_tensors("model", self.model)
            for name, optimiser in self.optimisers.items():
                tensors |= checkpoints.optimiser_tensors(name, optimiser)
        return tensors, Meta(
            recipe="flow_matching",
            step=step,
            config=self.config.model_dump(mode="json"),
            data=data,
            genres=self.genres,
            mean=self.scale.mean,
            deviation=self.scale.deviation,
            torch=torch.__version__,
            arithmetic=self.arithmetic,
        )

    def restore(self, tensors: dict[str, Tensor], meta: Meta) -> None:
        checkpoints.restore_module("average", self.average, tensors)
        if meta.step < self.config.steps:
            checkpoints.restore_module("model", self.model, tensors)
            for name, optimiser in self.optimisers.items():
                checkpoints.restore_optimiser(name, optimiser, tensors)

    def begin(self, tensors: dict[str, Tensor], meta: Meta) -> None:
        """Start from another run's averaged weights. Genres that they know keep their labels; a new
        genre starts untrained."""
        checkpoints.demand_shape(meta, config=self.config.model_dump(mode="json"))
        name = "average.label.weight"
        labels = self.model.label.weight.detach().cpu().clone()
        for place, genre in enumerate(self.genres):
            if genre in meta.genres:
                labels[place] = tensors[name][meta.genres.index(genre)]
        # The last row stands for no genre.
        labels[-1] = tensors[name][-1]
        adapted = {**tensors, name: labels}
        for model in (self.model, self.average):
            checkpoints.restore_module("average", model, adapted)


def network(config: FlowMatchingConfig, *, classes: int) -> DiT:
    return DiT(
        bands=mel.BANDS,
        frames=config.clip_frames,
        classes=classes,
        width=config.width,
        heads=config.heads,
        blocks=config.blocks,
        kernel=config.kernel,
        patch=config.patch,
    )


def optimisers(model: DiT, *, dtype: torch.dtype) -> dict[str, torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices, AdamW for the rest: the loss of AdamW alone in three
    quarters of its time. Modulations start at zero, where Muon's even steps would be a jump.
    """
    matrices = [
        parameter
        for name, parameter in model.blocks.named_parameters()
        if parameter.ndim == 2 and "modulation" not in name
    ]
    matrix_ids = {id(parameter) for parameter in matrices}
    others = [parameter for parameter in model.parameters() if id(parameter) not in matrix_ids]
    return {
        "muon": Muon(matrices, dtype=dtype),
        "adamw": torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.95)),
    }


def draw(
    config: FlowMatchingConfig,
    *,
    step: int,
    examples: list[Recording],
    genres: list[str],
    group: Group = ALONE,
) -> Batch:
    """Draw the examples of a step, each from (seed, its own number) alone."""
    shape = (config.clip_frames, mel.BANDS)
    size = config.batch_size
    drawn = [
        draws.example(
            seed=config.seed,
            counter=counter,
            count=len(examples),
            drop=config.condition_drop,
            shape=shape,
        )
        for counter in group.share(step=step, batch_size=size)
    ]
    clean, labels = [], []
    for example in drawn:
        recording = examples[example.recording]
        clean.append(recordings.crop(recording, frames=shape[0], place=example.place))
        free = example.dropped or not recording.genre
        labels.append(len(genres) if free else genres.index(recording.genre))
    return Batch(
        clean=torch.stack(clean),
        noise=torch.stack([example.noise for example in drawn]),
        times=path.shifted(torch.tensor([example.time for example in drawn]), by=config.time_shift),
        labels=torch.tensor(labels),
        drawn=[
            draws.recording(seed=config.seed, counter=counter, count=len(examples))
            for counter in range((step - 1) * size, step * size)
        ],
    )


def flow_loss(
    model: nn.Module, *, batch: Batch, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Mean squared error of the velocity on the straight path from music to noise (2210.02747)."""
    clean, noise, times = (tensor.to(device) for tensor in (batch.clean, batch.noise, batch.times))
    share = times[:, None, None]
    mixed = (1 - share) * clean + share * noise
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        velocity = model(mixed, times, batch.labels.to(device))
    return functional.mse_loss(velocity.float(), noise - clean)


def demand_gradients(model: DiT) -> None:
    """Refuse to train a model with a parameter that gets no gradient and so never learns."""
    idle = [name for name, value in model.named_parameters() if value.grad is None]
    if idle:
        raise RuntimeError(f"These parameters get no gradient: {', '.join(idle)}.")


@torch.no_grad()
def follow(average: DiT, model: DiT, *, stay: float) -> None:
    """Move the averaged weights towards the model's."""
    for averaged, new in zip(average.parameters(), model.parameters(), strict=True):
        averaged.lerp_(new, 1 - stay)
