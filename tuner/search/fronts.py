"""Fronts: which points are best by several objectives at once, by Optuna's sorting and hypervolumes.

Points are rows of numbers of which less is better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume.hssp import _solve_hssp
from optuna.study._multi_objective import _fast_non_domination_rank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def layers(losses: Floats, count: int) -> Ints:
    """(N,) the layer of each of (N, M) points, 0 for the undominated ones; right for the best `count`."""
    return np.asarray(_fast_non_domination_rank(losses, n_below=count))


def best(losses: Floats, count: int) -> list[int]:
    """The indices of the best `count` of (N, M) points.

    Whole layers, and of the next one a subset that spans most hypervolume, chosen greedily:
    Guerreiro et al. 2016, doi:10.1162/EVCO_a_00188.
    """
    layer = layers(losses, count)
    sizes = np.bincount(layer)
    whole = int((sizes.cumsum() <= count).sum())
    chosen = np.flatnonzero(layer < whole)
    left = count - len(chosen)
    if left:
        split = np.flatnonzero(layer == whole)
        chosen = np.append(chosen, _solve_hssp(losses[split], split, left, reference(losses[split])))
    return sorted(chosen.tolist())


def reference(losses: Floats) -> Floats:
    """(M,) a point that is a tenth worse than each of (N, M) points, as in Optuna's TPE."""
    worst = losses.max(axis=0)
    point = np.maximum(1.1 * worst, 0.9 * worst)
    point[point == 0] = np.finfo(np.float64).eps
    return np.asarray(point)


def fittest(losses: Floats, count: int) -> list[int]:
    """The indices of the `count` of (N, M) points that NSGA-II keeps, the first layer first.

    Whole layers, and of the next one the points with the most room around them; Deb et al. 2002,
    section III.
    """
    layer = layers(losses, count)
    room = np.zeros(len(losses))
    for each in range(int(layer.max()) + 1):
        room[layer == each] = _crowding(losses[layer == each])
    return [int(index) for index in np.lexsort((-room, layer))[:count]]


def _crowding(losses: Floats) -> Floats:
    """(N,) how far each point's neighbours in every objective lie apart; infinite at the ends."""
    found = np.zeros(len(losses))
    for column in losses.T:
        order = column.argsort(kind="stable")
        values = column[order]
        width = values[-1] - values[0]
        found[order[[0, -1]]] = np.inf
        if 0 < width < np.inf:
            found[order[1:-1]] += (values[2:] - values[:-2]) / width
    return found
