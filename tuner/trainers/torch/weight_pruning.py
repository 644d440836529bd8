"""WeightPruning: single weights that become zero and stay so, those of the smallest magnitude.

A network keeps its shape: its file is smaller when it is packed, and no runtime is quicker for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tuner.trainers.torch.recipe import Recipe

CHOSEN = 20
"""How often weights are chosen while more and more of them go."""


class WeightPruning:
    """Holds a share of each matrix of a network at zero, by magnitude (Han et al. 2015).

    Attributes:
        matrices: all parameters of several axes in their order, with the share of each that goes:
            `Recipe.first_share` of the first one, which may be a table of embeddings.
    """

    def __init__(self, recipe: Recipe, module: nn.Module, steps: int) -> None:
        """Choose what is zero from the first step, where nothing says that it goes by and by.

        Args:
            recipe: of the trial.
            module: its network, with its first weights.
            steps: of all epochs.
        """
        found = [each for each in module.parameters() if each.ndim > 1] if recipe.prunes_weights else []
        shares = [recipe.first_share, *[recipe.pruned] * len(found)]
        self.matrices = list(zip(found, shares, strict=False))
        self._ramp, self._masks = round(recipe.pruning_ramp * steps), list[Tensor]()
        if not self._ramp:
            self._choose(1.0)

    def restore(self) -> None:
        """Go on with a network whose weights are zero already."""
        self._masks = [each != 0 for each, _ in self.matrices]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Set to zero what has to be, behind so many steps.

        While it rises the share is ``1 - (1 - t)^3`` of the whole one (Zhu and Gupta 2017, eq. 1).
        """
        every = max(1, self._ramp // CHOSEN)
        if step <= self._ramp and (step % every == 0 or step == self._ramp):
            self._choose(1 - (1 - step / self._ramp) ** 3)
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Set to zero what is chosen, also where the parameters are their average for a while."""
        for (each, _), mask in zip(self.matrices, self._masks, strict=False):
            each.mul_(mask)

    @torch.no_grad()
    def _choose(self, part: float) -> None:
        self._masks = []
        for each, share in self.matrices:
            order = each.abs().flatten().argsort(stable=True)
            mask = torch.ones_like(order, dtype=torch.bool)
            mask[order[: round(share * part * len(order))]] = False
            self._masks.append(mask.view_as(each))
            each.mul_(self._masks[-1])
