from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tuner.data import augmentation


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 64) -> torch.Tensor:
    return torch.arange(count * 2 * 5 * 6, dtype=torch.float32).reshape(count, 2, 5, 6)


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
    y = augmentation.flip_images(x, generator())
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


def test_what_is_drawn_comes_from_the_generator_and_inputs_stay_as_they_were() -> None:
    x = pictures()
    before = x.clone()
    augmentations: list[Callable[[torch.Generator], torch.Tensor]] = [
        lambda g: augmentation.shift_images(x, 2, g),
        lambda g: augmentation.flip_images(x, g),
        lambda g: augmentation.add_noise(x, 0.1, g),
        lambda g: augmentation.mix(x, x, 0.5, g)[0],
    ]
    for augment in augmentations:
        torch.manual_seed(1)
        first = augment(generator(3))
        torch.manual_seed(2)
        assert torch.equal(first, augment(generator(3)))
        assert not torch.equal(first, augment(generator(4)))
        assert torch.equal(x, before)
