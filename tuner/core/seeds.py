"""Every random stream, from (study seed, trial number, purpose).

Gives seeds, not generators: numpy, torch and Optuna streams are all derived in the same way, and a trial's
numbers never depend on its row, worker or neighbours.
"""

from __future__ import annotations

from hashlib import blake2b


def derive(study_seed: int, number: int, purpose: str, attempt: int = 0) -> int:
    """Derive the seed of one stream.

    Args:
        study_seed: `[search] seed`.
        number: the trial's number, or -1 for a stream of the study as a whole.
        purpose: what the stream is for, e.g. ``"initialization"``, ``"order"``, ``"sampler"``.
        attempt: counts repeated draws for the same purpose.

    Returns:
        An integer in [0, 2**32), the range that numpy, torch and Optuna all accept.
    """
    text = f"{study_seed}/{number}/{purpose}/{attempt}".encode()
    return int.from_bytes(blake2b(text, digest_size=4).digest(), "little")
