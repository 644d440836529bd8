"""What repeated trainings and a locked test say, with the care that noise asks for."""

from tuner.judging.choosing import Candidate, Choice, Comparison, choose, compare
from tuner.judging.confirmation import Confirmation, Opening, Tested
from tuner.judging.intervals import Interval, bootstrapped, of_share, over_repeats
from tuner.judging.measures import MEASURES, Measure, measured, of_losses
from tuner.judging.overtuning import Overtuning, Step, overtuning
from tuner.judging.sentences import sentences

__all__ = [
    "MEASURES",
    "Candidate",
    "Choice",
    "Comparison",
    "Confirmation",
    "Interval",
    "Measure",
    "Opening",
    "Overtuning",
    "Step",
    "Tested",
    "bootstrapped",
    "choose",
    "compare",
    "measured",
    "of_losses",
    "of_share",
    "over_repeats",
    "overtuning",
    "sentences",
]
