from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from tuner.core.dataset import InputKind
from tuner.data import augmentation
from tuner.trainers.torch.recipe import AUGMENTATIONS, LIMITS, Range


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 64) -> torch.Tensor:
    return torch.arange(count * 3 * 5 * 6, dtype=torch.float32).reshape(count, 3, 5, 6)


def moved(image: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """The same by taking pixel after pixel from where it was, or from the nearest edge."""
    _, height, width = image.shape
    result = torch.empty_like(image)
    for row in range(height):
        for column in range(width):
            result[:, row, column] = image[
                :, min(max(row - down, 0), height - 1), min(max(column - right, 0), width - 1)
            ]
    return result


def test_every_image_moves_by_whole_pixels_both_ways() -> None:
    x = pictures()
    found = set()
    for image, result in zip(x, augmentation.shift_images(x, 1, generator()), strict=True):
        moves = [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if torch.equal(result, moved(image, d, r))]
        assert len(moves) == 1
        found.add(moves[0])
    assert len(found) == 9


def test_images_are_mirrored_half_the_time() -> None:
    x = pictures(400)
    y = augmentation.flip_images(x, True, generator())
    mirrored = sum(torch.equal(b, a.flip(-1)) for a, b in zip(x, y, strict=True))
    same = sum(torch.equal(b, a) for a, b in zip(x, y, strict=True))
    assert mirrored + same == 400
    assert 150 < mirrored < 250


def test_noise_has_its_deviation_and_no_mean() -> None:
    noise = augmentation.add_noise(torch.ones(100, 100), 0.3, generator()) - 1
    assert float(noise.std()) == pytest.approx(0.3, rel=0.05)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)


def test_pairs_are_mixed_in_inputs_and_targets_alike() -> None:
    x, y = torch.randn(50, 3), torch.eye(50)
    mixed, targets = augmentation.mix(x, y, 0.7, generator())
    assert torch.allclose(targets.sum(1), torch.ones(50))
    assert torch.allclose(mixed, targets @ x, atol=1e-5)
    assert int((targets > 0).sum()) > 50


def sampled(image: torch.Tensor, source: Callable[[float, float], tuple[float, float]]) -> torch.Tensor:
    """Pixel after pixel from where `source` says, (down, right) from the center, linearly between four."""
    _, height, width = image.shape
    result = torch.empty_like(image)
    for row in range(height):
        for column in range(width):
            down, right = source(row - (height - 1) / 2, column - (width - 1) / 2)
            y = min(max(down + (height - 1) / 2, 0), height - 1)
            x = min(max(right + (width - 1) / 2, 0), width - 1)
            top, left = math.floor(y), math.floor(x)
            below, beside = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = image[:, top, left] * (1 - x + left) + image[:, top, beside] * (x - left)
            lower = image[:, below, left] * (1 - x + left) + image[:, below, beside] * (x - left)
            result[:, row, column] = upper * (1 - y + top) + lower * (y - top)
    return result


def test_rotated_pixels_come_from_where_they_were() -> None:
    x = torch.randn(6, 2, 5, 8, generator=generator(1))
    turns = math.radians(40) * (2 * torch.rand(6, generator=generator(3)) - 1)
    found = augmentation.rotate_images(x, 40, generator(3))
    for image, result, turn in zip(x, found, turns.tolist(), strict=True):

        def source(down: float, right: float, turn: float = turn) -> tuple[float, float]:
            sine, cosine = math.sin(turn), math.cos(turn)
            return right * sine + down * cosine, right * cosine - down * sine

        torch.testing.assert_close(result, sampled(image, source), atol=1e-4, rtol=1e-4)
    assert turns.abs().max() > 0.3


def test_quarter_of_a_turn_is_that_of_the_square() -> None:
    x = torch.randn(1, 3, 5, 5)
    moves = torch.tensor([[0.0, -1.0, 0.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(augmentation._sampled(x, moves), x.rot90(1, (2, 3)), atol=1e-5, rtol=0)


def test_part_of_an_image_is_stretched_to_the_whole() -> None:
    x = torch.randn(40, 2, 6, 9, generator=generator(1))
    areas = []
    drawn = torch.rand((4, 40), generator=generator(3)).tolist()
    for image, result, area, stretch, down, right in zip(
        x, augmentation.crop_images(x, 0.6, generator(3)), *drawn, strict=True
    ):
        size, ratio = 1 - 0.6 * area, (4 / 3) ** (2 * stretch - 1)
        height, width = min(math.sqrt(size / ratio), 1), min(math.sqrt(size * ratio), 1)
        places = (height, (2 * down - 1) * (1 - height) * 3, width, (2 * right - 1) * (1 - width) * 4.5)

        def source(y: float, x: float, at: tuple[float, ...] = places) -> tuple[float, float]:
            return y * at[0] + at[1], x * at[2] + at[3]

        torch.testing.assert_close(result, sampled(image, source), atol=1e-4, rtol=1e-4)
        areas.append(height * width)
    assert min(areas) < 0.5
    assert max(areas) > 0.9


def test_brightness_contrast_and_saturation_move_an_image_as_a_whole() -> None:
    x = torch.randn(50, 3, 4, 5, generator=generator(1))
    drawn = 0.5 * (2 * torch.rand(50, 1, 1, 1, generator=generator()) - 1)
    assert drawn.min() < -0.4
    assert drawn.max() > 0.4
    torch.testing.assert_close(augmentation.brighten_images(x, 0.5, generator()), x + drawn)
    harder, richer = torch.empty_like(x), torch.empty_like(x)
    for image, share in enumerate((1 + drawn).flatten()):
        mean = x[image].mean()
        harder[image] = mean + share * (x[image] - mean)
        for pixel in ((row, column) for row in range(4) for column in range(5)):
            red, green, blue = x[image, :, pixel[0], pixel[1]]
            grey = (red + green + blue) / 3
            for channel, color in enumerate((red, green, blue)):
                richer[image, channel, pixel[0], pixel[1]] = grey + share * (color - grey)
    torch.testing.assert_close(augmentation.contrast_images(x, 0.5, generator()), harder)
    torch.testing.assert_close(augmentation.saturate_images(x, 0.5, generator()), richer)
    two = x[:, :2]
    assert augmentation.saturate_images(two, 0.5, generator()) is two


def test_square_anywhere_in_an_image_is_blanked_out() -> None:
    x = torch.ones(3000, 2, 4, 5)
    found = augmentation.cut_out(x, 3, generator())
    blanks = {tuple(map(tuple, image[0].tolist())) for image in found}
    wanted = set()
    for row in range(4):
        for column in range(5):
            image = torch.ones(4, 5)
            image[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 0
            wanted.add(tuple(map(tuple, image.tolist())))
    assert blanks == wanted
    assert torch.equal(found[:, 0], found[:, 1])


def sequences() -> tuple[torch.Tensor, torch.Tensor]:
    """Series of 0 to 7 steps, and where they have some."""
    there = torch.arange(7) < (torch.arange(64) % 8)[:, None]
    x = torch.randn(64, 7, 2, generator=generator(5))
    return x * there.unsqueeze(2), there


def test_series_move_in_time_within_their_steps() -> None:
    x, there = sequences()
    moves = set()
    for before, after, length in zip(
        x, augmentation.shift_series(x, 2, generator(), there), there.sum(1).tolist(), strict=True
    ):
        fits = []
        for move in range(-2, 3):
            wanted = before.clone()
            for t in range(length):
                wanted[t] = before[min(max(t - move, 0), length - 1)]
            fits += [move] if torch.equal(wanted, after) else []
        assert fits
        moves |= set(fits) if len(fits) == 1 else set()
    assert moves == {-2, -1, 0, 1, 2}


def test_tokens_become_unknown_and_what_is_none_stays() -> None:
    x = torch.randint(2, 9, (400, 10), generator=generator(1), dtype=torch.int32)
    x[:, 6:] = 0
    found = augmentation.drop_tokens(x, 0.3, generator(), x != 0)
    assert found.dtype == torch.int32
    assert not found[:, 6:].any()
    dropped = found[:, :6] != x[:, :6]
    assert (found[:, :6][dropped] == 1).all()
    assert float(dropped.float().mean()) == pytest.approx(0.3, abs=0.03)


def test_noise_on_series_is_where_they_have_steps() -> None:
    x, there = sequences()
    changed = augmentation.add_noise(x, 0.1, generator(), there) != x
    assert torch.equal(changed.all(2), there)
    assert torch.equal(changed.any(2), there)


def test_what_is_drawn_comes_from_the_generator_and_inputs_stay_as_they_were() -> None:
    x = pictures()
    before = x.clone()
    augmentations: list[Callable[[torch.Generator], torch.Tensor]] = [
        lambda g: augmentation.mix(x, x, 0.5, g)[0]
    ]
    for kind, names in AUGMENTATIONS.items():
        for name in names if kind is InputKind.IMAGE else ():
            setting = LIMITS[name]
            strength: Any = 2 if isinstance(setting, Range) and setting.whole else 0.5
            augmentations.append(partial(augmentation.APPLIED[name], x, strength))
    for augment in augmentations:
        torch.manual_seed(1)
        first = augment(generator(3))
        torch.manual_seed(2)
        assert torch.equal(first, augment(generator(3)))
        assert not torch.equal(first, augment(generator(4)))
        assert torch.equal(x, before)


def test_every_setting_of_augmentation_is_applied() -> None:
    assert set(augmentation.APPLIED) == {name for names in AUGMENTATIONS.values() for name in names}
