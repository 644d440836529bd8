"""Layers over steps, each against torch's own on a sequence by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.trainers.torch.plain import series, texts
from tuner.trainers.torch.networks.steps import (
    Attention,
    LastStates,
    MeanEmbedding,
    Positions,
    Presence,
    StepConvolution,
    StepPooling,
    TokenEmbedding,
    Values,
)

LENGTHS = (6, 1, 4, 0)


def sequences(size: int = 8) -> tuple[Tensor, Tensor]:
    """(B, T, size), with something behind the ends, and which steps are there."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(LENGTHS), 6, size, generator=generator)
    return x, (torch.arange(6) < torch.tensor(LENGTHS)[:, None]).float()[..., None]


def test_steps_that_are_there_are_told_by_what_stands_behind_the_end() -> None:
    tokens = torch.tensor(texts().train.x)
    assert torch.equal(Presence(tokens=True, masked=False)(tokens)[..., 0], (tokens > 0).float())
    x = torch.tensor(series().train.x)
    assert torch.equal(Presence(tokens=False, masked=True)(x), x[..., -1:])
    assert Presence(tokens=False, masked=False)(x).eq(1).all()
    assert torch.equal(Values(masked=True)(x), x[..., :-1])
    assert torch.equal(Values(masked=False)(x), x)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5, 9])
def test_convolution_is_torchs_on_each_sequence_alone(kernel: int) -> None:
    layer, (x, there) = StepConvolution(8, 3, kernel), sequences()
    theirs = nn.Conv1d(8, 3, kernel)
    theirs.weight, theirs.bias = layer.weight, layer.bias
    found = layer(x, there)
    for i, length in enumerate(LENGTHS):
        if length:
            around = nn.functional.pad(x[i, :length].T, (kernel // 2, (kernel - 1) // 2))
            torch.testing.assert_close(found[i, :length], theirs(around[None])[0].T)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_torchs_with_a_mask(heads: int) -> None:
    layer, (x, there) = Attention(8, heads), sequences()
    theirs = nn.MultiheadAttention(8, heads, batch_first=True)
    theirs.load_state_dict(
        {name.replace("out_proj_", "out_proj."): tensor for name, tensor in layer.state_dict().items()}
    )
    found, wanted = layer(x, there), theirs(x, x, x, key_padding_mask=there[..., 0] == 0)[0]
    torch.testing.assert_close(found[:3], wanted[:3], atol=1e-5, rtol=1e-4)
    assert found.isfinite().all()  # of a sequence without steps, too


def test_pooling_is_that_of_each_sequence_alone() -> None:
    x, there = sequences()
    mean, largest = StepPooling("mean")(x, there), StepPooling("max")(x, there)
    for i, length in enumerate(LENGTHS):
        if length:
            torch.testing.assert_close(mean[i], x[i, :length].mean(0))
            torch.testing.assert_close(largest[i], x[i, :length].amax(0))
        else:
            assert not mean[i].any()
            assert not largest[i].any()


def test_last_states_are_those_at_the_end_of_each_way() -> None:
    x, _ = sequences()
    assert torch.equal(LastStates(8)(x), x[:, -1])
    assert torch.equal(LastStates(4)(x), torch.cat([x[:, -1, :4], x[:, 0, 4:]], 1))


def test_embedding_of_rows_is_each_ones_own_table() -> None:
    layer, tokens = TokenEmbedding(11, 3), torch.tensor(texts().train.x)[:6].view(2, 3, -1)
    tables = torch.randn(2, 11, 3)
    found = layer.rows({"weight": tables}, tokens)
    for k in range(2):
        assert torch.equal(found[k], tables[k][tokens[k].long()])


@pytest.mark.parametrize("kind", [TokenEmbedding, MeanEmbedding])
def test_compiled_look_up_is_that_in_pytorch_operations(kind: type[TokenEmbedding]) -> None:
    layer, tokens = kind(11, 3), torch.tensor(texts().train.x)[:6].view(2, 3, -1).clone()
    tokens[0, 1] = 0  # an empty text
    tables = torch.randn(2, 11, 3, requires_grad=True)
    found, wanted = (layer.rows({"weight": tables}, x) for x in (tokens, tokens.long()))
    torch.testing.assert_close(found, wanted)
    factor = torch.randn_like(found)
    one, two = (torch.autograd.grad((each * factor).sum(), tables)[0] for each in (found, wanted))
    torch.testing.assert_close(one, two)
    if kind is MeanEmbedding:
        assert not found[0, 1].any()


@pytest.mark.parametrize("width", [6, 7])
def test_positions_are_sines_and_cosines(width: int) -> None:
    found = Positions()(torch.zeros(1, 5, width))[0]
    for step in range(5):
        for i in range(width):
            angle = step / 10_000 ** torch.tensor((i - i % 2) / width)
            torch.testing.assert_close(found[step, i], angle.cos() if i % 2 else angle.sin())
