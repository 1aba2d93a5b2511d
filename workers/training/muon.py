"""Muon, in the arithmetic of the run (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

torch.optim.Muon orthogonalises in bf16 whatever the model computes in. On a processor without bf16
that is thirteen times slower than the same products in fp32 (`python -m benchmarks.arithmetic`).
"""

import math

import torch
from torch import Tensor

# For the quintic iteration: the steepest slope at zero that keeps singular values near one.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Avoids a division by zero for a gradient of zeros.
EPSILON = 1e-7


def orthogonalise(matrix: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Bring the singular values of a matrix (rows, columns) near one, computed in `dtype`.

    Newton-Schulz on the wide side, where its products are smallest (Bernstein and Newhouse 2024,
    2409.20325). Singular values end between about 0.7 and 1.2, which is near enough to learn from.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.to(dtype)
    x = x.T if tall else x
    # Divided by the Frobenius norm, no singular value is greater than one.
    x = x / x.norm().clamp(min=EPSILON)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for matrices; its state is that of torch.optim.Muon."""

    def __init__(
        self,
        matrices: list[torch.nn.Parameter],
        *,
        dtype: torch.dtype,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        """`dtype` is what it orthogonalises in. The learning rate is set before each step."""
        super().__init__(matrices, {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
                # Nesterov's look ahead.
                ahead = matrix.grad.lerp(state["momentum_buffer"], momentum)
                update = orthogonalise(ahead, dtype=self.dtype)
                matrix.mul_(1 - rate * group["weight_decay"])
                # Tall matrices take longer steps, so that each output moves as far.
                longer = math.sqrt(max(1.0, matrix.size(0) / matrix.size(1)))
                matrix.add_(update, alpha=-rate * longer)
