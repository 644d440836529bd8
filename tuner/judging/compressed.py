"""Compressed: a smaller model beside the one that it was made from, and whether "not worse" is shown.

Non-inferiority, not "no difference seen": the lower end of the 95 % interval of the difference on the locked
rows must lie above the margin that was stated before (Piaggio et al. 2012). At a true loss of exactly the
margin that is claimed in at most one of forty tests, by `tests/judging/test_compressed.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuner.core import words
from tuner.judging.amounts import amounts, points
from tuner.judging.intervals import Interval


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a model is not worse than another one by more than a margin.

    Attributes:
        measure: the name of the score, or ``"loss"``.
        margin: in its units.
        gain: by how much the model is better on the same rows; negative: worse.
        rows: how many rows that are; 0 where that is not known.
    """

    measure: str
    margin: float
    gain: Interval
    rows: int = 0

    @property
    def is_shown(self) -> bool:
        """Whether a loss beyond the margin is ruled out."""
        return self.gain.low >= -self.margin

    @property
    def is_refuted(self) -> bool:
        """Whether it is shown that more is lost than the margin."""
        return self.gain.high < -self.margin

    @property
    def rows_needed(self) -> int | None:
        """About how many rows would tell, were both models as good; None where there are so many.

        The width of an interval falls with the root of the rows.
        """
        wide = (self.gain.high - self.gain.low) / 2
        needed = self.rows * (wide / self.margin) ** 2 if self.margin else 0.0
        return int(float(f"{needed:.1g}")) if needed > self.rows else None


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was kept, beside the model that it was made from.

    Attributes:
        tests: on the locked rows, one for each margin; none where there are no such rows.
        size_bytes: of its graph for onnxruntime.
        size_before: of the other one's, in single precision.
        latency_ms: median time of one row with one thread, both timed in turn.
        latency_before: likewise.
        is_latency_tied: whether noise covers the difference.
    """

    tests: tuple[NonInferiority, ...]
    size_bytes: float
    size_before: float
    latency_ms: float
    latency_before: float
    is_latency_tied: bool

    def sentences(self) -> Iterator[str]:
        """What was gained and what it costs."""
        size, had, took, before = (
            words.number(value, digits=3)
            for value in (self.size_bytes / 1e3, self.size_before / 1e3, self.latency_ms, self.latency_before)
        )
        smaller = _times(self.size_before, self.size_bytes, "smaller", "larger")
        smaller = (
            f"as large ({size} kB)" if smaller is None or size == had else f"{smaller} ({size} kB, not {had})"
        )
        quicker = _times(self.latency_before, self.latency_ms, "quicker", "slower") or "as quick"
        if self.is_latency_tied:
            quicker, before = "as quick", f"{before}, which noise covers"
        yield (
            f"Beside the model that it was made from, as onnxruntime runs both: {smaller} and {quicker} "
            f"({took} ms a row, not {before})."
        )
        for each in self.tests:
            off, low, high = each.gain.estimate, each.gain.low, each.gain.high
            way = "better" if off > 0 else "worse"
            way = f"{way} by {_told(each.measure, abs(off))}" if off else "the same"
            spread = f"95 % interval {points(each.measure, low, high)}"
            within = f"not worse by more than {_told(each.measure, each.margin)}"
            shown = within if each.is_shown else f'"{within}" is not shown'
            if each.is_refuted:
                shown = f"more than {_told(each.measure, each.margin)}; a larger model may lose less"
            elif not each.is_shown and each.rows_needed is not None:
                shown += f"; {each.rows:,} rows are few for that, some {each.rows_needed:,} would tell"
            yield f"On the locked rows its {each.measure} is {way} ({spread}): {shown}."
        if not self.tests:
            yield "Whether it is worse was not tested, as there are no locked rows."


def _told(measure: str, value: float) -> str:
    """A difference with its unit."""
    (told,) = amounts(measure, value)
    return f"{told.removesuffix(' %')} points" if told.endswith("%") else told


def _times(before: float, after: float, less: str, more: str) -> str | None:
    """``2 times smaller``; None where rounding leaves nothing of it."""
    ratio = before / after if after else 1.0
    told = words.number(max(ratio, 1 / ratio), digits=3)
    return None if told == "1" else f"{told} times {less if ratio >= 1 else more}"
