"""Statistics of a study's results, and their sentences: intervals, ties, confirmation, overtuning."""

from tuner.judging.calibration import calibration_error
from tuner.judging.choosing import Candidate, Selection, choose, smallest, worth_repeating
from tuner.judging.compressed import Compressed, NonInferiority
from tuner.judging.confirmation import (
    ByThreshold,
    Confirmation,
    LockedRead,
    Tested,
    TestedBaseline,
    contenders,
)
from tuner.judging.intervals import POSITIVE, Interval, over_repeats
from tuner.judging.measures import MEASURES, SCALES, Measure, measured, of_losses, of_score, scale_of
from tuner.judging.noise import Noise
from tuner.judging.noise import of_rows as noise_of_rows
from tuner.judging.overtuning import Overtuning, Step, overtuning
from tuner.judging.pairs import Estimate, Pair, paired, welch
from tuner.judging.sentences import decision, label, sentences, short
from tuner.judging.simple import beside_simple
from tuner.judging.verdict import Reason, Verdict

__all__ = [
    "MEASURES",
    "POSITIVE",
    "SCALES",
    "ByThreshold",
    "Candidate",
    "Compressed",
    "Confirmation",
    "Estimate",
    "Interval",
    "LockedRead",
    "Measure",
    "Noise",
    "NonInferiority",
    "Overtuning",
    "Pair",
    "Reason",
    "Selection",
    "Step",
    "Tested",
    "TestedBaseline",
    "Verdict",
    "beside_simple",
    "calibration_error",
    "choose",
    "contenders",
    "decision",
    "label",
    "measured",
    "noise_of_rows",
    "of_losses",
    "of_score",
    "over_repeats",
    "overtuning",
    "paired",
    "scale_of",
    "sentences",
    "short",
    "smallest",
    "welch",
    "worth_repeating",
]
