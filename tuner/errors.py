"""The errors a user can do something about.

::

    TunerError                 anything below; the command line prints it in one line and exits 2
    ├── SpecError              mend the study file, the space or the option
    ├── DataError              mend the data
    ├── PluginError            install the plugin or correct the reference to it
    ├── StoreError             mend the database or name another one
    │   ├── StudyExists        another command: resume it, delete it or take another name
    │   ├── StudyNotFound      another name
    │   └── StudyLocked        another process drives this study: wait for it or stop it
    ├── TrialError             look at the trial: it failed and keeps its traceback
    └── DeviceError            the device cannot be used; name another one

A message says what is wrong, what was found and what to do. It deliberately knows nothing of
how it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class TunerError(Exception):
    """Root of every error that is meant for the user."""


class SpecError(TunerError):
    """A study file, a search space or an option breaks a rule.

    Attributes:
        faults: every fault that was found, one sentence each.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[str, ...]]]:
        return type(self), (self.faults,)


class DataError(TunerError):
    """The data cannot be used as it is."""


class PluginError(TunerError):
    """A reference to a trainer, network, callback or function leads nowhere."""


class StoreError(TunerError):
    """The database cannot be opened, read or written."""


class StudyExists(StoreError):
    """A study of that name is already stored."""


class StudyNotFound(StoreError):
    """No study of that name is stored."""


class StudyLocked(StoreError):
    """Another living process drives this study."""


class TrialError(TunerError):
    """A trial failed, or what was asked of it does not exist."""


class DeviceError(TunerError):
    """The device is missing or failed, and no state on it can be trusted."""


def shortened(text: str, most: int = 1_000) -> str:
    """Text of at most so many characters: of a longer one its beginning and its end."""
    if len(text) <= most:
        return text
    gap = " [...] "
    head = (most - len(gap)) // 2
    return text[:head] + gap + text[head + len(gap) - most :]


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, shortened; empty where it has none."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - any class's __str__
        return "its message cannot be read"
    return shortened(lines[0]) if lines else ""


def described(error: BaseException) -> str:
    """An exception in one line, ``ValueError: what it says``; one meant for the user is what it says."""
    line = first_line(error)
    if isinstance(error, TunerError) and line:
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def near(name: str, known: Iterable[str]) -> str:
    """Say which names are known and which of them `name` probably meant.

    Returns:
        For example ``"known: cmaes, gp, tpe; did you mean 'tpe'?"``.
    """
    names = sorted(set(known))
    text = f"known: {', '.join(names)}" if names else "none is known"
    matches = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"{text}; did you mean '{matches[0]}'?" if matches else text
