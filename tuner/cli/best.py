"""tune best: the trial to take beside the default configuration."""

from __future__ import annotations

from tuner.cli.options import JsonOption, NameArgument, StorageOption

EXAMPLES = "\b\nExamples:\n  tune best digits\n  tune best digits --json | jq .params"


def run(name: NameArgument, as_json: JsonOption = False, storage: StorageOption = None) -> None:
    """Show the trial to take of a study beside its default configuration, and why."""
    from tuner import api
    from tuner.cli.contract import best_table, dump
    from tuner.cli.summary import print_best

    study = api.load(name, storage=storage)
    if as_json:
        dump(best_table(study))
    else:
        print_best(study)
