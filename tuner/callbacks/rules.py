"""The stop rules of a study: the registered ones that it asks for, and rules of one's own.

Called once when a study starts or goes on. The engine asks all rules after every epoch, so that each sees
every reading; the first one that ends the trial gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tuner import registry
from tuner.core import ports
from tuner.core.spec import StudySpec
from tuner.core.trial import DIVERGENCE, Reading, Stop, Trial
from tuner.errors import PluginError, TunerError, first_line

GROUP = "tuner.callbacks"
"""The entry points that rules are registered under."""


def build(spec: StudySpec, folder: Path | None = None) -> list[ports.Callback]:
    """Set up the stop rules of a study.

    Args:
        spec: the study; `[stop] rules` are references to a class with `from_spec`, an object
            with `decide`, or a function ``decide(trial, curve) -> Stop | str | None``. A name of a
            registered rule, which is asked anyway, may be among them.
        folder: what relative file references start from; the working folder.

    Returns:
        Divergence first, the other registered ones by name, then the study's own. All of them
        want to see every reading, also one at which an earlier rule ends the trial.

    Raises:
        PluginError: a reference leads nowhere or to something that cannot decide.
    """
    names = sorted(registry.registered(GROUP), key=lambda name: (name != DIVERGENCE, name))
    made = [_from_spec(name, registry.load(name, GROUP), spec) for name in names]
    made += [
        _own(reference, registry.load(reference, GROUP, folder), spec)
        for reference in spec.stop.rules
        if reference not in names
    ]
    return [rule for rule in made if rule is not None]


class OwnRule:
    """A rule of one's own; what goes wrong in it is told as a PluginError."""

    def __init__(self, name: str, decide: Callable[[Trial, Sequence[Reading]], Any]) -> None:
        self.name = name
        self._decide = decide

    def decide(self, trial: Trial, curve: Sequence[Reading]) -> Stop | None:
        """Ask the rule; a text is the reason of an inconclusive stop."""
        try:
            answer = self._decide(trial, curve)
        except (TunerError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise PluginError(
                f"{self.name}: raised {type(error).__name__} at trial {trial.number}, "
                f"epoch {curve[-1].epoch}: {first_line(error)}"
            ) from error
        if isinstance(answer, str):
            return Stop(self.name, answer, conclusive=False)
        if answer is None or isinstance(answer, Stop):
            return answer
        raise PluginError(f"{self.name}: returned {answer!r}; return a Stop, a reason in words, or None")


def _from_spec(name: str, found: Any, spec: StudySpec) -> ports.Callback | None:
    if not callable(getattr(found, "from_spec", None)):
        raise PluginError(f"{name}: a registered callback needs a classmethod from_spec(spec)")
    made: ports.Callback | None = found.from_spec(spec)
    return made


def _own(reference: str, found: Any, spec: StudySpec) -> ports.Callback | None:
    if isinstance(found, type) and hasattr(found, "from_spec"):
        found = _from_spec(reference, found, spec)
        if found is None:
            return None
    name = reference.rpartition(":")[2]
    if not isinstance(found, type):
        decide = getattr(found, "decide", found)
        if callable(decide):
            return OwnRule(name, decide)
    raise PluginError(
        f"{reference}: cannot decide; give a class with from_spec, an object with decide, "
        "or a function decide(trial, curve)"
    )
