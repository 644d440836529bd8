"""What rules have in common that judge a trial by its own curve alone."""

from __future__ import annotations

from tuner.core.reading_columns import ReadingColumns


class SingleTrialRule:
    """A rule that remembers no other trial."""

    def recall(self, readings: ReadingColumns, study_seed: int) -> None:
        """Nothing is to be known of trials that are over."""
