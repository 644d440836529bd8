"""tune check: what a study would search, and what every key means; trains nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import tuner
from tuner.cli import screen
from tuner.cli.options import SetOption, StudyArgument, TargetOption, settings, targets
from tuner.core import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console
    from rich.table import Table

    from tuner.api.workbench import Checked
    from tuner.core.dataset import Dataset, InputPart
    from tuner.core.space import SearchSpace
    from tuner.core.spec import StudySpec
    from tuner.data import ColumnSummary

MOST_COLUMNS = 30
"""Further columns are shown where there is something to remark."""

EXAMPLES = (
    "\b\nExamples:\n"
    "  tune check study.toml\n"
    "  tune check house.csv --target price\n"
    "  tune check --keys                 every key of a study file"
)


def run(
    study: StudyArgument = "digits",
    target: TargetOption = None,
    set_: SetOption = None,
    keys: Annotated[bool, typer.Option("--keys", help="Document every key of a study file instead.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="With --keys: as a Markdown table.")] = False,
) -> None:
    """Check a study and show what it would search; train nothing."""
    console = screen.console()
    if keys or markdown:
        _print_keys(console, as_markdown=markdown)
        return
    chosen = settings(set_)

    _print_checked(console, tuner.check(study, target=targets(target), settings=chosen))


def _print_checked(console: Console, checked: Checked) -> None:
    from rich.text import Text

    spec = checked.spec
    console.print(Text.assemble((spec.name, "bold"), f": {spec.description}" * bool(spec.description)))
    for label, told in _facts(spec, checked):
        console.print(Text.assemble((f"{label:<10}", "dim"), told), soft_wrap=True)
    if checked.columns:
        console.print(_columns(checked.columns))
    space = spec.search_space()
    console.print(_parameters(space))
    for name, value in space.fixed.items():
        console.print(Text(f"fixed: {name} = {value}"))
    console.print(Text("no fault found; nothing was trained"))


def _facts(spec: StudySpec, checked: Checked) -> Iterator[tuple[str, str]]:
    trainer, search, objectives = spec.trainer, spec.search, spec.objectives()
    if checked.data is not None and spec.data is not None:
        yield "data", screen.reference(spec.data.source)
        yield "", described(checked.data)
    for note in (*checked.notes, *checked.examples):
        yield "", note
    model = f", model {screen.reference(trainer.model)}" if trainer.model else ""
    yield "trainer", f"{screen.reference(trainer.use)}{model}, {words.count(trainer.epochs, 'epoch')}"
    wanted = [
        f"{'lowest' if objective.minimize else 'highest'} {objective.metric}" for objective in objectives
    ]
    yield "objective", ", ".join([*wanted, *map(str, objectives.constraints)])
    sampler, pruner = map(screen.reference, (search.sampler, search.pruner))
    yield "search", f"{sampler}, {pruner}, seed {search.seed}"
    limits = spec.budget.model_dump(exclude_none=True)
    yield "budget", ", ".join(f"{name} {limit:g}" for name, limit in limits.items())


def described(data: Dataset) -> str:
    """The data in a few words: rows that the search sees, inputs, classes or targets."""
    rows = f"{len(data.train) + len(data.validation)} rows"
    inputs = "; ".join((f"{part.name}: " if data.parts else "") + _inputs(part) for part in data.inputs)
    outputs = f"{len(data.classes)} classes" if data.classes else f"{data.outputs} numbers to predict"
    return f"{rows}, {inputs}, {outputs if data.outputs != 1 else 'one number to predict'}"


def _inputs(part: InputPart) -> str:
    """What an input is, in a few words."""
    shape, upto = part.shape, "up to " * (part.masked or bool(part.vocabulary))
    return {
        "table": f"{shape[0]} features",
        "image": f"images {' x '.join(map(str, shape))}",
        "series": f"series of {upto}{shape[0]} steps with {shape[-1] - part.masked} features",
        "tokens": f"{upto}{shape[0]} tokens of {part.vocabulary:,} different ones",
    }[part.kind]


def _columns(columns: Sequence[ColumnSummary]) -> Table:
    """Each column of the table as it is read; of very many, the first ones and those with a remark."""
    from rich.text import Text

    table = screen.table()
    table.add_column("column", style="bold", overflow="fold", min_width=len("column"))
    table.add_column("read as", no_wrap=True)
    for heading in ("missing", "distinct"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("example", overflow="ellipsis", no_wrap=True, max_width=20)
    table.add_column("inputs", justify="right", no_wrap=True)
    table.add_column("remarks", style="yellow")
    shown = [each for i, each in enumerate(columns) if i < MOST_COLUMNS or each.remarks]
    for each in shown:
        told = (each.name, each.kind, f"{each.missing or ''}", f"{each.distinct}", each.example)
        inputs = f"{each.inputs}" if each.inputs else "left out"
        inputs = "embedded" if each.embedded else inputs
        table.add_row(*map(Text, (*told, inputs, "; ".join(each.remarks))))
    if len(shown) < len(columns):
        table.caption = f"and {len(columns) - len(shown)} more without remarks"
        table.caption_justify = "left"
    return table


def _parameters(space: SearchSpace) -> Table:
    table = screen.table()
    table.add_column("parameter", style="bold", no_wrap=True)
    table.add_column("range")
    table.add_column("default", justify="right", no_wrap=True)
    table.add_column("only when")
    table.add_column("meaning", style="dim")
    for name, parameter in space:
        when = "; ".join(f"{n} = {' | '.join(map(str, vs))}" for n, vs in parameter.when.items())
        others = (d.items() for d in parameter.default_for.values())
        defaults = [words.setting(parameter.default)]
        defaults += [f"{choice}: {words.setting(value)}" for pairs in others for choice, value in pairs]
        table.add_row(name, parameter.describe(), "\n".join(defaults), when, parameter.doc)
    return table


def _print_keys(console: Console, *, as_markdown: bool) -> None:
    from rich.text import Text

    from tuner.cli.keys import documented, markdown

    if as_markdown:
        print(markdown(documented()))
        return
    table = screen.table()
    for heading in ("section", "key", "default", "meaning"):
        table.add_column(heading, overflow="fold")
    section = None
    for key in documented():
        if section not in (None, key.section):
            table.add_section()
        cells = (key.section if key.section != section else "", key.name, key.default, key.meaning)
        # As Text: square brackets are no markup here.
        table.add_row(*map(Text, cells))
        section = key.section
    console.print(table)
