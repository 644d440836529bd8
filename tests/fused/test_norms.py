"""Batch normalization of rows beside torch's own layers, in PyTorch operations and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tuner.fused.program import Program, Unstackable

SAMPLES = (9, 5, 1, 2, 0)
"""So many does each row's batch have; the images' rows can do with one."""


def vectors(**settings: Any) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(6, 5), nn.BatchNorm1d(5, **settings), nn.ReLU()),
        *(nn.Linear(5, 4), nn.BatchNorm1d(4, **settings), nn.Linear(4, 3)),
    )


def pictures(**settings: Any) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4, **settings), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6, **settings), nn.Flatten(), nn.Linear(24, 3)),
    )


class Twice(nn.Module):
    """Of operations that only vmap knows; one layer has two batches in a pass."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(6, 6), nn.BatchNorm1d(6, **settings), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.norm(torch.sin(self.norm(self.first(x)))))


class Pixels(nn.Module):
    """Images that only vmap knows."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, **settings)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.sin(self.norm(self.first(x))).mean((2, 3)))


class Frozen(Twice):
    """Keeps its averages as they are: a network that was trained before."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.norm.eval()
        return self


MAKERS: dict[Callable[..., nn.Module], tuple[int, ...]] = {
    vectors: (6,),
    pictures: (2, 8, 8),
    Twice: (6,),
    Pixels: (2, 8, 8),
    Frozen: (6,),
}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"momentum": None},
    {"momentum": 0.0},
    {"momentum": 1.0, "eps": 0.1},
    {"affine": False},
    {"track_running_stats": False},
    {"affine": False, "momentum": None, "track_running_stats": False},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-9), (torch.float32, 2e-4)], ids=str)
def test_rows_give_what_their_networks_give_alone(
    make: Callable[..., nn.Module], settings: dict[str, Any], dtype: torch.dtype, within: float
) -> None:
    torch.manual_seed(0)
    shape = MAKERS[make]
    samples = [n for n in SAMPLES if n != 1 or len(shape) > 1]
    modules = [make(**settings).to(dtype) for _ in samples]
    for module in modules:
        for tensor in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
            nn.init.uniform_(tensor, 0.3, 1.2)
    x = torch.randn(len(samples), 9, *shape, dtype=dtype)
    program = Program(make(**settings).to(dtype), x[0], 3)
    flats, constants = zip(*map(program.pack, modules), strict=True)
    rows = torch.stack(flats).requires_grad_()
    tensors = {name: torch.stack([each[name] for each in constants]) for name in constants[0]}
    shares = torch.zeros(len(samples), 9, dtype=dtype)
    for row, n in enumerate(samples):
        shares[row, :n] = 1 / max(n, 1)

    def close(found: Tensor, wanted: Tensor, size: float = 1.0) -> None:
        torch.testing.assert_close(found, wanted, rtol=within, atol=within * size)

    for _ in range(2):
        outputs = program.outputs({**program.unpack(rows), **tensors}, x, (), shares, training=True)
        (gradients,) = torch.autograd.grad((outputs.square() * shares[..., None]).sum(), rows)
        for row, (module, n) in enumerate(zip(modules, samples, strict=True)):
            found = program.unpack(gradients[row])
            if n:
                module.zero_grad()
                wanted = module.train()(x[row, :n])
                close(outputs[row, :n], wanted)
                wanted.square().sum(1).mean().backward()
            for name, parameter in module.named_parameters():
                wanted = torch.zeros_like(parameter) if not n else _gradient(parameter)
                close(found[name], wanted, max(1.0, float(gradients[row].abs().max())))
            for name, average in module.named_buffers():
                close(tensors[name][row], average)
        assert outputs.isfinite().all()
    outputs = program.outputs({**program.unpack(rows), **tensors}, x, training=False)
    for row, module in enumerate(modules):
        close(outputs[row], module.eval()(x[row]))
    assert program.judges_whole is ("track_running_stats" in settings)


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@pytest.mark.parametrize("make", [vectors, pictures, Twice], ids=lambda make: make.__name__)
def test_program_leaves_the_averages_of_the_networks_it_is_tried_on(make: Callable[..., nn.Module]) -> None:
    x = torch.randn(4, *MAKERS[make])
    one, two = make(), make()
    fresh = {name: average.clone() for name, average in make().named_buffers()}
    program = Program(one, x, 3)
    assert program.computes(two, x)
    for module in (one, two):
        assert all(torch.equal(average, fresh[name]) for name, average in module.named_buffers())


def test_row_is_the_same_bit_for_bit_beside_any_others() -> None:
    for make in (vectors, pictures, Twice, Pixels):
        torch.manual_seed(0)
        network = make()
        x = torch.randn(11, *MAKERS[make])
        program = Program(network, x, 3)
        flat, constants = program.pack(network)
        found = []
        for rows in (2, 4, 6, 12):
            stack = torch.stack([*torch.randn(rows - 1, program.size), flat]).requires_grad_()
            tensors = {name: torch.stack([t] * rows) for name, t in constants.items()}
            shares = torch.full((rows, 11), 1 / 11)
            given = x.expand(rows, *x.shape)
            outputs = program.outputs({**program.unpack(stack), **tensors}, given, (), shares, training=True)
            (gradients,) = torch.autograd.grad(outputs.square().sum(), stack)
            found.append([outputs[-1], gradients[-1], *(t[-1] for t in tensors.values())])
        for other in found[1:]:
            assert all(map(torch.equal, found[0], other)), make.__name__


class Peeking(Twice):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x - x.mean(0))


def test_what_looks_at_its_batch_besides_is_refused() -> None:
    with pytest.raises(Unstackable, match="depends on the others of the batch"):
        Program(Peeking(), torch.randn(4, 6), 3)
    with pytest.raises(Unstackable, match="SyncBatchNorm takes its statistics from the batch in its own way"):
        Program(nn.Sequential(nn.Linear(6, 3), nn.SyncBatchNorm(3)), torch.randn(4, 6), 3)
