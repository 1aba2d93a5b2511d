"""Loops of Lightning, accelerate and a notebook, with a line or two of ours in them."""

import pytest

from experiments.deliveries import logs, terminal
from experiments.models import Run
from tests.backline.script import Scripts, curves

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LIGHTNING = """
import warnings; warnings.simplefilter("ignore")
import torch
import pytorch_lightning as pl

class Model(pl.LightningModule):
    def __init__(self, width=4, lr=0.1, dtype=torch.float32):
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(width, 1)

    def training_step(self, batch, index):
        loss = self.layer(batch[0]).square().mean()
        run.log({"train/loss": loss, "nothing": None}, step=self.global_step)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

if __name__ == "__main__":
    run = backline.init(os.environ["PROJECT"], "Lightning", system_figures=False)
    model = Model()
    run.config.update(model.hparams)
    data = torch.utils.data.TensorDataset(torch.randn(64, 4))
    loader = torch.utils.data.DataLoader(
        data, batch_size=4, num_workers=2, multiprocessing_context="fork")
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_model_summary=False)
    trainer.fit(model, loader)
    run.finish()
"""

ACCELERATE = """
import torch
from accelerate import Accelerator

run = backline.init(os.environ["PROJECT"], "accelerate", {"lr": 0.1}, system_figures=False)
accelerator = Accelerator(cpu=True)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=run.config.lr)
data = torch.utils.data.TensorDataset(torch.randn(64, 4))
loader = torch.utils.data.DataLoader(data, batch_size=4)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
for epoch in range(2):
    for batch, in loader:
        optimizer.zero_grad()
        loss = model(batch).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        run.log({"loss": loss})
"""

NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
cells = '''
import os, backline
run = backline.init(os.environ["PROJECT"], "notebook", system_figures=False)
---
for step in range(5): run.log({"loss": 1 / (step + 1)})
print("seen")
---
run.config["width"] = 8
---
%s
---
run.log({"loss": 0.0})
run.finish()
'''.split("---")
for cell in cells: shell.run_cell(cell)
"""


def test_a_loop_of_lightning(scripts: Scripts) -> None:
    done = scripts.run(LIGHTNING)
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    assert run.state == "finished"
    assert run.config == {"width": 4, "lr": 0.1, "dtype": "torch.float32"}
    found = curves(run)
    assert list(found["train/loss"]) == list(range(32))
    assert found["train/loss"][31] < found["train/loss"][0]
    assert done.stderr.count("nothing is not a number") == 1
    assert "requires_grad" not in done.stderr
    # Its progress bar is one line for each epoch at most, as a terminal shows it.
    shown = [terminal.as_text(line.text) for line in logs.tail(run, 100)]
    assert sum("Epoch 1" in line for line in shown) == 1


def test_a_loop_of_accelerate(scripts: Scripts) -> None:
    done = scripts.run(ACCELERATE)
    assert done.returncode == 0, done.stderr
    run = Run.objects.get()
    assert (run.state, list(curves(run)["loss"])) == ("finished", list(range(32)))


@pytest.mark.parametrize(
    ("cell", "state", "reason", "points"),
    [
        ("pass", "finished", "", 6),
        ("1 / 0", "failed", "ZeroDivisionError: division by zero", 5),
        ("raise KeyboardInterrupt", "cancelled", "Interrupted from the keyboard.", 5),
        ("this is no python", "finished", "", 6),
    ],
)
def test_a_notebook(scripts: Scripts, cell: str, state: str, reason: str, points: int) -> None:
    done = scripts.run(NOTEBOOK.replace("%s", cell))
    run = Run.objects.get()
    assert (run.state, run.state_reason) == (state, reason), done.stderr
    assert len(curves(run)["loss"]) == points
    assert run.config == {"width": 8}
    assert "seen" in done.stdout
