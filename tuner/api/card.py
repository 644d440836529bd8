"""The model card: what an exported model was made from, how it was judged, and what it cannot do.

Its sentences about the model's worth are those of the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.core import words
from tuner.judging.sentences import sentences

if TYPE_CHECKING:
    from tuner.results import Study, TrialView


def card(study: Study, taken: Sequence[TrialView], written: Sequence[str], gains: Sequence[str] = ()) -> str:
    """The card of a trial's model, or of the mean of several trials', as Markdown."""
    chosen = taken[0]
    parts = {
        "Data": _data(study),
        "Settings": (line for each in taken for line in _settings(each, len(taken) > 1)),
        "How it was judged": (f"- {told}" for told in gains) if gains else _judged(study, chosen),
        "Over-fitting": _overfitting(study, chosen),
        "What was exported": written or ("The study's own files; see README.md.",),
        "Limits": _LIMITS,
    }
    numbers = ", ".join(str(each.number) for each in taken)
    title = f"# Model of trial{'s' * (len(taken) > 1)} {numbers} of study {' '.join(study.name.split())}"
    told = [title, *("\n".join([f"## {head}", "", *lines]) for head, lines in parts.items())]
    return "\n\n".join(told) + "\n"


def _settings(trial: TrialView, is_named: bool) -> Iterator[str]:
    if is_named:
        yield f"- trial {trial.number}: {', '.join(f'`{name}` {v}' for name, v in trial.params.items())}"
    else:
        yield from (f"- `{name}`: {value}" for name, value in trial.params.items())


def _data(study: Study) -> Iterator[str]:
    spec, found = study.spec.data, study.confirmation
    if study.spec.description:
        yield f"{study.spec.description}\n"
    if spec is None:
        yield "The study has no `[data]`: its training function read what it needed."
        return
    target = ", ".join(spec.targets)
    yield f"Source: {spec.source}" + (f"; predicts {target}." if target else ".")
    if found is not None and found.train_rows:
        yield f"Trained on {found.train_rows} rows, chosen on {found.validation_rows} others."
    locked = f"{words.percent(spec.test)} of the rows were locked for one test."
    yield locked if spec.test else "No row was locked."


def _judged(study: Study, chosen: TrialView) -> Iterator[str]:
    if chosen.number == study.verdict.number:
        yield from (f"- {' '.join(sentence.split())}" for sentence in sentences(study.verdict))
    else:
        yield "- It was asked for by its number; it is not the one that the study recommends."
    if (reading := chosen.reading) is not None:
        score = study.spec.trainer.score_name or "score"
        yield (
            f"- In its best epoch, {reading.epoch}: validation loss {words.number(reading.val_loss)}, "
            f"{score} {words.number(reading.val_score)} on the rows that it was chosen by."
        )


def _overfitting(study: Study, chosen: TrialView) -> Iterator[str]:
    reading, found = chosen.reading, study.confirmation
    if reading is not None:
        yield (
            f"- Training loss {words.number(reading.train_loss)}, validation loss "
            f"{words.number(reading.val_loss)}: a gap of {words.number(reading.get('gap'))}."
        )
    if found is not None and found.test is not None:
        loss, score = found.test.of_kept
        yield (
            f"- On {found.test.rows} locked rows: loss {words.number(loss.estimate)}, {found.score} "
            f"{words.number(score.estimate)}, with 95 % confidence {words.number(score.low)} to "
            f"{words.number(score.high)}."
        )
    else:
        yield "- No locked test was opened, so what it does on new rows may be worse than said above."


_LIMITS = (
    "- Rows from elsewhere or later than those above may be predicted worse; nothing here measures that.",
    "- Categories that training did not have count as rare or as none; missing numbers as the median.",
    "- Whom a wrong prediction harms, and whether groups of rows fare alike, was not looked at.",
)
