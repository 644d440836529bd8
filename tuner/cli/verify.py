"""tune verify: checks the database for faults."""

from __future__ import annotations

import typer

from tuner.cli import screen
from tuner.cli.options import JsonOption, StorageOption
from tuner.core import words

EXAMPLES = "\b\nExamples:\n  tune verify\n  tune verify --storage sqlite:///other.db --json"
UNSOUND = 2
SHOWN = 50


def run(as_json: JsonOption = False, storage: StorageOption = None) -> None:
    """Verify the database: the file, its tables, every study, trial and curve. Exits with 2 for a fault.

    Changes nothing. A study that was killed is no fault: it is named with the command to go on.
    """
    from tuner.api.stored import verify
    from tuner.cli.contract import dump, verification_table

    verdict = verify(storage=storage)
    if as_json:
        dump(verification_table(verdict))
    else:
        for finding in verdict.findings[:SHOWN]:
            place = [finding.study or verdict.where, f"trial {finding.trial}"][
                : 1 + (finding.trial is not None)
            ]
            kind = "fault" if finding.is_fault else "note"
            screen.say(f"{kind}: {', '.join(place)}: {finding.what}; {finding.to_do}")
        if len(verdict.findings) > SHOWN:
            screen.say(f"and {len(verdict.findings) - SHOWN} more; --json has them all")
        seen = (
            f"{verdict.studies} {'study' if verdict.studies == 1 else 'studies'}",
            words.count(verdict.trials, "trial"),
            words.count(verdict.epochs, "epoch"),
        )
        faults = sum(finding.is_fault for finding in verdict.findings)
        told = words.count(faults, "fault") if faults else "no fault"
        screen.say(f"{verdict.where}: {told} in {', '.join(seen)}")
    if not verdict.is_sound:
        raise typer.Exit(UNSOUND)
