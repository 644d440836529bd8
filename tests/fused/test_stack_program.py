from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tuner.fused.layers import UnsupportedLayer, batched
from tuner.fused.masks import dropout_rates, replace_dropout
from tuner.fused.program import Program, Unstackable
from tuner.fused.signature import signature


def vectors() -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 5), nn.LayerNorm(5), nn.GELU(), nn.Dropout(0.3), nn.Linear(5, 3, bias=False)
    )


def pictures() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Dropout2d(0.4), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, dilation=1, groups=2, bias=False), nn.AvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(6, 3),
    )  # fmt: skip


class Sliced(nn.Module):
    """Of operations that only vmap knows; its layer has two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.again = self.first
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        x = self.drop(self.first(x)[:, :6])
        return self.head(self.drop(torch.sin(self.again(x))))


class Shared(nn.Module):
    """Of common layers; two of them are one, and two others have one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.again = self.norm
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.again(self.second(self.norm(self.first(x)))) + x)


class SharedSliced(Shared):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x[:, :6])


MAKERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "vectors": (vectors, (6,)),
    "pictures": (pictures, (2, 8, 8)),
    "sliced": (Sliced, (6,)),
    "shared": (Shared, (6,)),
    "shared and sliced": (SharedSliced, (6,)),
}


def drawn(module: nn.Module) -> nn.Module:
    """All of its parameters random, those of normalization too."""
    for p in module.double().parameters():
        nn.init.normal_(p)
    return module


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MAKERS)
def test_rows_give_the_outputs_and_gradients_of_their_networks(name: str, training: bool) -> None:
    make, shape = MAKERS[name]
    torch.manual_seed(0)
    modules = [drawn(make()) for _ in range(3)]
    x = torch.randn(3, 5, *shape, dtype=torch.float64)
    program = Program(make().double(), x[0], 3)
    assert [call.layer for call in program.dropouts] == {
        "vectors": ["3"],
        "pictures": ["3", "8"],
        "sliced": ["drop", "drop"],
    }.get(name, [])
    masks = [torch.randint(0, 2, (3, 5, *call.shape)).double() * 2 for call in program.dropouts]
    packed = [program.pack(module) for module in modules]
    flats = torch.stack([flat for flat, _ in packed]).requires_grad_()
    outputs = program.outputs(program.unpack(flats), x, masks, training=training)
    (gradients,) = torch.autograd.grad(outputs.square().sum(), flats)
    for row, module in enumerate(modules):
        dropout = replace_dropout(module)
        with dropout.using([mask[row] for mask in masks]):
            wanted = module.train(training)(x[row])
        torch.testing.assert_close(outputs[row], wanted, rtol=1e-9, atol=1e-12)
        wanted.square().sum().backward()
        for key, gradient in program.unpack(gradients[row]).items():
            torch.testing.assert_close(gradient, module.get_parameter(key).grad, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", MAKERS)
def test_packed_network_has_the_state_of_the_network(name: str) -> None:
    make, shape = MAKERS[name]
    module = make()
    module.register_buffer("level", torch.ones(2))
    wanted = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    program = Program(module, torch.randn(4, *shape), 3)
    found = program.state(*program.pack(module))
    assert list(found) == list(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_common_layers_need_no_vmap() -> None:
    for make in (vectors, pictures, Shared):
        module = make()
        replace_dropout(module)
        assert callable(batched(module, {}))
    with pytest.raises(UnsupportedLayer):
        batched(Sliced(), {})
    with pytest.raises(UnsupportedLayer):
        batched(nn.Sequential(nn.Flatten(0), nn.Linear(6, 3)), {})


def test_network_without_anything_to_train_is_refused() -> None:
    with pytest.raises(Unstackable, match="nothing in it is trained"):
        Program(nn.Identity(), torch.randn(4, 3), 3)
    mixed = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).double())
    with pytest.raises(Unstackable, match="several types"):
        Program(mixed, torch.randn(4, 3), 3)


def test_dropout_rates_are_read_by_name_before_layers_are_replaced() -> None:
    module = pictures()
    assert dropout_rates(module) == {"3": 0.4, "8": 0.2}
    dropout = replace_dropout(module)
    assert dropout_rates(module) == {}
    assert replace_dropout(module) is dropout


class Held(nn.Module):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value
        self.layer = nn.Linear(2, 2)


def times(factor: float) -> Callable[[float], float]:
    return lambda x: x * factor


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, 2),
        (1, 1.0),
        ([1, {"a": (2,)}], [1, {"a": (3,)}]),
        ({1, 2}, {1, 3}),
        (torch.ones(2), torch.zeros(2)),
        (torch.tanh, torch.sigmoid),
        (times(2.0), times(3.0)),
        (functools.partial(max, 1), functools.partial(max, 2)),
        (object(), object()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_attributes_that_differ_part_networks(one: Any, two: Any) -> None:
    assert signature(Held(one)) != signature(Held(two))


@pytest.mark.parametrize(
    "value",
    [1, [1, {"a": (2,)}], {1, 2}, torch.ones(2), torch.tanh, times(2.0), functools.partial(max, 1)],
    ids=lambda value: type(value).__name__,
)
def test_equal_attributes_do_not(value: Any) -> None:
    again = times(2.0) if callable(value) and getattr(value, "__closure__", None) else value
    assert signature(Held(value)) == signature(Held(again))
    assert hash(signature(Held(value))) == hash(signature(Held(again)))


def test_weights_and_dropout_rates_do_not_part_networks_but_shapes_and_ties_do() -> None:
    assert signature(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))) == signature(
        nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.2))
    )
    assert signature(nn.Linear(2, 2)) != signature(nn.Linear(2, 2, bias=False))
    tied, free = Sliced(), Sliced()
    free.again = nn.Linear(6, 6)
    assert signature(tied) != signature(free)
    frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)
    assert signature(frozen) != signature(nn.Linear(2, 2))
