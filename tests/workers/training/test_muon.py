"""Muon in the arithmetic of the run, held against torch's own and against the exact answer."""

import pytest
import torch

from workers.training import machine
from workers.training.muon import Muon, orthogonalise

SHAPES = ((48, 16), (16, 48), (24, 24), (1, 8))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    machine.prepare(seed=5)
    torch.set_num_threads(1)


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(7)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def stepped(optimiser: torch.optim.Optimizer, matrices: list[torch.nn.Parameter]) -> None:
    """Three steps with the same gradients for everybody."""
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=generator)
        optimiser.param_groups[0]["lr"] = 0.02
        optimiser.step()


def test_in_bf16_it_is_torchs_own_bit_for_bit() -> None:
    ours, theirs = parameters(), parameters()
    stepped(Muon(ours, dtype=torch.bfloat16), ours)
    stepped(torch.optim.Muon(theirs, lr=0.02, weight_decay=0.01), theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_in_fp32_it_is_torchs_own_within_what_bf16_rounds_off() -> None:
    ours, theirs = parameters(), parameters()
    stepped(Muon(ours, dtype=torch.float32), ours)
    stepped(torch.optim.Muon(theirs, lr=0.02, weight_decay=0.01), theirs)
    for one, other in zip(ours, theirs, strict=True):
        # bf16 has eight bits of mantissa; three steps of 0.02 went by.
        assert not torch.equal(one, other)
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.02 * 3 * 2**-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_fp32_it_is_the_same_iteration_in_double_precision(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    exact = orthogonalise(matrix.double(), dtype=torch.float64)
    close = orthogonalise(matrix, dtype=torch.float32)
    assert close.dtype == torch.float32
    torch.testing.assert_close(close.double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_singular_values_come_near_one_and_directions_stay(dtype: torch.dtype) -> None:
    matrix = torch.randn(40, 24, generator=torch.Generator().manual_seed(3))
    before = matrix.clone()
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalise(matrix, dtype=dtype).float()
    inner = u.T @ found @ v.T
    assert torch.equal(matrix, before)
    values = inner.diagonal()
    assert values.min() > 0.6
    assert values.max() < 1.3
    torch.testing.assert_close(inner - torch.diag(values), torch.zeros(24, 24), rtol=0, atol=0.03)


def test_a_gradient_of_zeros_moves_nothing() -> None:
    matrix = torch.nn.Parameter(torch.ones(4, 4))
    matrix.grad = torch.zeros(4, 4)
    optimiser = Muon([matrix], dtype=torch.float32, weight_decay=0.0)
    optimiser.param_groups[0]["lr"] = 0.02
    optimiser.step()
    assert torch.equal(matrix, torch.ones(4, 4))


def test_the_state_of_torchs_own_is_taken_over() -> None:
    """Checkpoints from before this module hold it."""
    theirs = parameters()
    old = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.01)
    stepped(old, theirs)
    ours = parameters()
    new = Muon(ours, dtype=torch.float32)
    new.load_state_dict(
        {"state": old.state_dict()["state"], "param_groups": new.state_dict()["param_groups"]}
    )
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(new.state[one]["momentum_buffer"], old.state[other]["momentum_buffer"])
