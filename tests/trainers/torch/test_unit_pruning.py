"""Networks of one's own that lose units: what is left computes, trains, is kept and is built again."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.trainers.torch import nets, plain
from tuner.core.dataset import Dataset, Task
from tuner.core.job import Job
from tuner.core.training import TrialBatch
from tuner.core.trial import Params, Trial
from tuner.errors import PluginError, TrialError
from tuner.testing.trainer import blobs
from tuner.trainers import load_model, open_batch
from tuner.trainers.torch import NetworkContext, TorchTrainer
from tuner.trainers.torch.int8 import Int8Network
from tuner.trainers.torch.onnx_graph import graph_of
from tuner.trainers.torch.onnx_runtime import quantized, session_of
from tuner.trainers.torch.unit_pruning import fit, prune

PARAMS: dict[str, Any] = {"width": 8, "dropout": 0.0, "batch_size": 16, "optimizer": "adam"}


class Added(nn.Module):
    """Channels and units that are added to each other, and so have to go together."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        width = int(params["width"])
        self.first = nn.Conv2d(context.input_shape[0], width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.inner = nn.Linear(width * 16, width)
        self.head = nn.Linear(width, context.outputs)

    def forward(self, x: Tensor) -> Any:
        x = self.first(x)
        x = nn.functional.max_pool2d(self.norm(self.second(x).relu()) + x, 2).flatten(1)
        return self.head(torch.tanh(self.inner(x)))


def sequence(params: Params, context: NetworkContext) -> nn.Module:
    """A perceptron with a layer in it whose units are normalized by group."""
    width = int(params["width"])
    return nn.Sequential(
        nn.Linear(context.input_shape[0], width), nn.GroupNorm(2, width), nn.PReLU(width),
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, context.outputs),
    )  # fmt: skip


def separable(params: Params, context: NetworkContext) -> nn.Module:
    """Depthwise, grouped and transposed convolutions."""
    width = int(params["width"])
    return nn.Sequential(
        nn.Conv2d(context.input_shape[0], width, 3, padding=1), nn.InstanceNorm2d(width, affine=True),
        nn.BatchNorm2d(width, affine=False),
        nn.Conv2d(width, width, 3, groups=width), nn.Conv2d(width, width, 1, groups=2), nn.ReLU(),
        nn.ConvTranspose2d(width, 6, 2, stride=2), nn.Flatten(), nn.Linear(6 * 144, context.outputs),
    )  # fmt: skip


def of(
    build: Callable[[Params, NetworkContext], nn.Module], shape: tuple[int, ...], vocabulary: int = 0
) -> tuple[nn.Module, Tensor]:
    """A network, and inputs that it takes."""
    torch.manual_seed(0)
    context = NetworkContext(shape, 3, Task.CLASSIFICATION, vocabulary=vocabulary, params=PARAMS)
    x = torch.randint(1, vocabulary, (4, *shape)).int() if vocabulary else torch.randn(4, *shape)
    return build(PARAMS, context).eval(), x


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "added": lambda: of(Added, (1, 8, 8)),
    "residual": lambda: of(nets.Residual, (5,)),
    "operations": lambda: of(nets.Gated, (5,)),
    "normalized twice": lambda: of(nets.NormalizedTwice, (5,)),
    "convolutions in groups": lambda: of(nets.convolutions, (1, 8, 8)),
    "normalized convolutions": lambda: of(nets.normalized_convolutions, (1, 8, 8)),
    "separable convolutions": lambda: of(separable, (1, 8, 8)),
    "attention": lambda: of(nets.Attention, (1, 8, 8)),
    "words": lambda: of(nets.Words, (6,), 11),
    "lazy": lambda: lazy(),
    "sequence": lambda: of(sequence, (5,)),
}


def lazy() -> tuple[nn.Module, Tensor]:
    network, x = of(nets.lazy, (5,))
    network(x)
    return network, x


def counted(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_smaller_and_built_again_from_its_weights(name: str) -> None:
    small, x = NETWORKS[name]()
    size, fresh, frozen = counted(small), copy.deepcopy(small), [p.requires_grad for p in small.parameters()]
    for share in (0.5, 0.95):  # what has lost units loses some again
        prune(small, x, share)
        assert counted(small) < size
        assert [p.requires_grad for p in small.parameters()] == frozen
        again = copy.deepcopy(fresh)
        fit(again, {name: each.shape for name, each in small.state_dict().items()})
        again.load_state_dict(small.state_dict())
        torch.testing.assert_close(again(x), small(x), rtol=0, atol=0)
        assert repr(again) == repr(small)
        assert not again.training
        if counted(small) < size / 3:
            break
        size = counted(small) + 1


def test_network_without_its_silent_units_says_what_it_said_before() -> None:
    network, x = of(Added, (1, 8, 8))
    assert isinstance(network, Added)
    gone = [0, 2, 5, 7]
    with torch.no_grad():
        for layer in (network.first, network.second, network.norm, network.inner):
            for tensor in layer.parameters():
                tensor[gone] = 0
        network.second.weight[:, gone] = 0
        network.inner.weight.view(8, 8, 16)[:, gone] = 0
        network.head.weight[:, gone] = 0
    before = network(x)
    prune(network, x, 0.5)
    assert network.first.out_channels == network.second.in_channels == network.inner.out_features == 4
    torch.testing.assert_close(network(x), before)


def test_no_share_leaves_all_and_a_whole_one_leaves_one_unit() -> None:
    network, x = of(nets.Residual, (5,))
    before = network(x)
    prune(network, x, 0.01)
    torch.testing.assert_close(network(x), before, rtol=0, atol=0)
    prune(network, x, 0.99)
    assert network.get_parameter("inner.weight").shape == (1, 5)


class Viewed(nn.Module):
    """Writes down how many channels there are."""

    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        self.inner, self.head = nn.Conv2d(1, 4, 1), nn.Linear(256, context.outputs)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.inner(x).view(-1, 256))


class Shared(nn.Module):
    def __init__(self, params: Params, context: NetworkContext) -> None:
        super().__init__()
        self.inner, self.again = nn.Linear(5, 5), nn.Linear(5, 5)
        self.again.weight = self.inner.weight
        self.head = nn.Linear(5, context.outputs)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.again(self.inner(x).relu()))


@pytest.mark.parametrize(
    ("build", "shape", "why"),
    [
        (Viewed, (1, 8, 8), "shapes cannot be multiplied"),
        (Shared, (5,), "layers of it share their weights"),
        (nets.Steps, (6, 4), "shapes cannot be multiplied"),
        (lambda _, context: nn.Linear(5, context.outputs), (5,), "none of its layers has units of its own"),
    ],
    ids=["writes a size down", "shares weights", "recurs", "has no hidden layer"],
)
def test_what_cannot_be_followed_is_told_with_a_way_out(
    build: Callable[[Params, NetworkContext], nn.Module], shape: tuple[int, ...], why: str
) -> None:
    network, x = of(build, shape)
    with pytest.raises(TrialError, match=rf"cannot leave out units of this network \(.*{why}.*pruned = 0"):
        prune(network, x, 0.5)


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(PluginError, match=r"pip install 'tuner\[pruning\]'"):
        prune(*of(nets.Residual, (5,)), 0.5)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    rows = open_batch(TorchTrainer(), Job(plain.study(model=nets.of("Residual")), blobs()))
    rows.place(0, Trial(1, {**PARAMS, "learning_rate": 0.01}, 5))
    for _ in range(plain.EPOCHS):
        plain.reading(rows)
    assert rows.save(0, folder)
    return folder


def job_of(teacher: Path, data: Dataset) -> Job:
    return Job(plain.study(model=nets.of("Residual"), teacher=str(teacher)), data)


SMALL = Trial(7, {**PARAMS, "learning_rate": 0.003, "pruned": 0.6}, 5)


@pytest.mark.parametrize("populate", [plain.alone, plain.stacked])
def test_pruned_network_trains_as_a_plain_loop_and_goes_on_from_a_snapshot(
    populate: Callable[[Job], TrialBatch], teacher: Path
) -> None:
    data = blobs()
    network: Any = load_model(teacher).module.network
    prune(network, torch.from_numpy(data.validation.x[:2]), 0.6)
    losses, *_ = plain.train(network, data, {**PARAMS, "learning_rate": 0.003})
    rows = populate(job_of(teacher, data))
    rows.place(0, SMALL)
    found = [plain.reading(rows)]
    snapshot = rows.snapshot(0)
    found += [plain.reading(rows) for _ in range(plain.EPOCHS - 1)]
    assert [each.val_loss for each in found] == pytest.approx(losses, rel=2e-4)
    again = populate(job_of(teacher, data))
    again.place(0, SMALL, snapshot)
    assert plain.reading(again).repeats(found[1])


def test_kept_model_is_read_without_the_library_and_begins_another_study(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, folder = blobs(), tmp_path / "kept"
    folder.mkdir()
    rows = plain.alone(job_of(teacher, data))
    rows.place(0, SMALL)
    best = min(plain.reading(rows).val_loss for _ in range(plain.EPOCHS))
    assert rows.save(0, folder)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "torch_pruning", None)
        model: Any = load_model(folder)
        losses = model.losses(data.validation.x, np.array(data.classes)[data.validation.y])
    assert model.module.network.inner.out_features == 3
    assert float(losses.mean()) == pytest.approx(best, rel=1e-5)
    rows = plain.alone(job_of(folder, data))
    rows.place(0, Trial(3, {**SMALL.params, "pruned": 0.5}, 5))
    plain.reading(rows)
    (tmp_path / "again").mkdir()
    assert rows.save(0, tmp_path / "again")
    again: Any = load_model(tmp_path / "again")
    assert again.module.network.inner.out_features == 2


def test_integers_and_graphs_of_one_kind_are_those_of_each_network() -> None:
    """Of a graph that PyTorch wrote the weights were all zero, and each took seconds."""
    exported = []
    for seed, share in ((0, 0.0), (1, 0.5)):
        network, x = of(nets.Normalized, (5,))
        torch.manual_seed(seed)
        with torch.no_grad():
            for each in network.parameters():
                each.add_(torch.randn(each.shape))
        prune(network, x, share)
        graph = graph_of(network, x)
        (found,) = session_of(graph).run(None, {"rows": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), network(x), rtol=1e-4, atol=1e-5)
        whole = session_of(quantized(graph))
        rows = [torch.from_numpy(whole.run(None, {"rows": row.numpy()})[0]) for row in torch.split(x, 1)]
        torch.testing.assert_close(Int8Network(network, x)(x), torch.cat(rows), rtol=0, atol=0)
        exported.append(len(graph))
    assert exported[1] < exported[0]
