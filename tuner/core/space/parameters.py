"""Float, Int and Choice: one parameter each, as its TOML table or a call in Python describes it.

Reads no file and imports no Optuna. The models are frozen, and checked when they are made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from tuner.core.trial import Params, Value
from tuner.errors import SpecError, near

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr

NONE = "none"
"""How a choice that is None is called."""

FILLED_IN: dict[str, Any] = {"filled in": True}
"""Marks a key that need not be given, though a parameter always has it."""

_GREATEST = 1e300
"""Beyond it a range has no width that a float can hold."""

_DEFAULT = "its value in the default configuration, trial 0; else the middle, or the first choice"


class Section(BaseModel):
    """A table of a study file: frozen, without unknown keys, without numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a key that holds a table; None where it holds none."""
    candidates = (field.annotation, *get_args(field.annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


class _Parameter(Section):
    _in_order: ClassVar[tuple[str, ...]] = ()

    def __init__(self, /, *values: Any, **table: Any) -> None:
        """From Python, ``Float(0, 1)``: what stands first goes by place, the rest by name.

        Raises:
            SpecError: what is wrong, in one line.
        """
        if "type" in table:  # of a study file, whose faults are told together
            super().__init__(**table)
            return
        kind, places = type(self).__name__, self._in_order
        if len(values) > len(places):
            raise SpecError(f"{kind}: takes {', '.join(places)} by place, found {len(values)} values")
        placed = dict(zip(places, values, strict=False))
        table = {name: _plain(value) for name, value in table.items()}
        placed = {name: _plain(value) for name, value in placed.items()}
        if twice := [name for name in placed if name in table]:
            raise SpecError(f"{kind}: {twice[0]} is given twice, by place and by name")
        try:
            super().__init__(**placed, **table)
        except ValidationError as error:
            raise SpecError(f"{kind}: {_fault(error, type(self).model_fields)}") from None

    doc: str = Field("", description="one line that says what the parameter is")
    when: dict[str, tuple[Scalar, ...]] = Field(
        {}, description="active only while each named parameter has one of these values"
    )
    default_for: dict[str, dict[str, Scalar]] = Field(
        {}, description="another default while a choice has a value: { optimizer = { sgd = 0.1 } }"
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_single_condition(cls, table: Any) -> Any:
        if isinstance(table, dict) and isinstance(table.get("when"), dict):
            when = {
                k: [label(each) for each in (v if isinstance(v, list | tuple) else [v])]
                for k, v in table["when"].items()
            }
            return {**table, "when": when}
        return table

    @model_validator(mode="after")
    def _check_conditions(self) -> Self:
        for name, values in self.when.items():
            if not values:
                raise ValueError(f"when.{name}: empty; name at least one value")
        return self

    def default_under(self, params: Params) -> Value:
        """The default, given the parameters that were chosen before it."""
        for name, defaults in self.default_for.items():
            chosen = params.get(name)
            if isinstance(chosen, str) and chosen in defaults:
                return defaults[chosen]
        return self.default  # type: ignore[attr-defined, no-any-return]

    def active_under(self, params: Params) -> bool:
        """Whether every condition holds, given the parameters that were chosen before it."""
        return not self.when or all(
            name in params and any(is_same(params[name], value) for value in values)
            for name, values in self.when.items()
        )


class _Range(_Parameter):
    _in_order = ("low", "high", "default")
    _is_whole: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, table: Any) -> Any:
        return _with_middle(table, whole=cls._is_whole)

    @model_validator(mode="after")
    def _check(self: Any) -> Any:
        _check_range(self.low, self.high, self.log, self.step)
        _check_defaults(self)
        return self


class Float(_Range):
    """A real number between `low` and `high`."""

    type: Literal["float"] = "float"
    low: float = Field(description="the smallest value")
    high: float = Field(description="the largest value")
    default: float = Field(description=_DEFAULT, json_schema_extra=FILLED_IN)
    log: bool = Field(False, description="search on a logarithmic scale")
    step: float | None = Field(None, gt=0, description="only low, low + step, ...")

    def __init__(self, /, *values: Any, **table: Any) -> None:
        super().__init__(*values, **table)

    def contains(self, value: object) -> bool:
        """Whether `value` is a number within the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=1e-8)

    def grid(self, points: int) -> tuple[Value, ...]:
        """`points` values, evenly spaced on the parameter's scale; every step where it has one."""
        if self.step is not None:
            count = math.floor((self.high - self.low) / self.step + 1e-8) + 1
            return tuple(min(self.low + i * self.step, self.high) for i in range(count))
        if self.low == self.high or points == 1:
            return (self.low,)
        shares = [i / (points - 1) for i in range(points)]
        if self.log:
            values = [float(self.low * (self.high / self.low) ** s) for s in shares]
        else:
            values = [self.low + (self.high - self.low) * s for s in shares]
        # Rounding may lead out of the range, or give a value twice where it is narrow.
        return tuple(dict.fromkeys(min(max(value, self.low), self.high) for value in values))

    def describe(self) -> str:
        """The range in words, for `tune check`."""
        scale = ", log" if self.log else f", step {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{scale}"


class Int(_Range):
    """A whole number between `low` and `high`."""

    _is_whole = True
    type: Literal["int"] = "int"
    low: StrictInt = Field(description="the smallest value")
    high: StrictInt = Field(description="the largest value")
    default: StrictInt = Field(description=_DEFAULT, json_schema_extra=FILLED_IN)
    log: bool = Field(False, description="search on a logarithmic scale")
    step: StrictInt | None = Field(None, gt=0, description="only low, low + step, ...")

    def __init__(self, /, *values: Any, **table: Any) -> None:
        super().__init__(*values, **table)

    def contains(self, value: object) -> bool:
        """Whether `value` is a whole number within the range and on the step."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % (self.step or 1) == 0

    def grid(self, points: int) -> tuple[Value, ...]:
        """Every value when there are at most `points` of them, else `points` evenly spaced ones."""
        values = range(self.low, self.high + 1, self.step or 1)
        if self.step is not None or len(values) <= points:
            return tuple(values)
        spaced = Float(low=self.low, high=self.high, default=self.low, log=self.log).grid(points)
        return tuple(dict.fromkeys(round(float(v)) for v in spaced))

    def describe(self) -> str:
        """The range in words, for `tune check`."""
        scale = ", log" if self.log else f", step {self.step}" if self.step else ""
        return f"{self.low} to {self.high}{scale}"


class Choice(_Parameter):
    """One of a list of values.

    Everywhere but for the trainer `None` is the text ``none``, and a list its text as
    JSON has it: so it stands in tables and figures, and in Optuna's file. See `given`.
    """

    _in_order = ("choices", "default")
    type: Literal["choice"] = "choice"
    choices: tuple[Scalar, ...] = Field(
        min_length=1, description="the values to choose from: numbers, texts, true, false, or lists of them"
    )
    default: Scalar = Field(description=_DEFAULT, json_schema_extra=FILLED_IN)
    none: str | None = Field(
        None, description='the choice that stands for Python\'s None: choices = ["none", 4], none = "none"'
    )
    lists: tuple[str, ...] = Field((), description="the choices that are lists; found by themselves")
    try_first: tuple[Scalar, ...] = Field(
        (), description="after the default configuration, try these choices at their defaults"
    )

    def __init__(self, /, *values: Any, **table: Any) -> None:
        super().__init__(*values, **table)

    @model_validator(mode="before")
    @classmethod
    def _name(cls, table: Any) -> Any:
        """Give None and lists among the choices their names."""
        if not isinstance(table, dict) or "choices" not in table:
            return table
        if not isinstance(choices := table["choices"], list | tuple) or not choices:
            raise ValueError(f"choices: a list of at least one value is needed; found {choices!r}")
        if any(choice is None for choice in choices) and NONE in choices:
            raise ValueError(f"choices: None stands as '{NONE}' in tables; call the text '{NONE}' otherwise")
        named: dict[str, Any] = {"choices": [label(choice) for choice in choices]}
        named["lists"] = [label(choice) for choice in choices if isinstance(choice, list | tuple)]
        named["lists"] = named["lists"] or table.get("lists", ())
        if any(choice is None for choice in choices):
            named["none"] = NONE
        named["default"] = label(table.get("default", choices[0]))
        if isinstance(table.get("try_first"), list | tuple):
            named["try_first"] = [label(value) for value in table["try_first"]]
        return {**table, **named}

    @model_validator(mode="after")
    def _check(self) -> Self:
        seen = [(type(c), c) for c in self.choices]
        if twice := [c for place, (kind, c) in enumerate(seen) if (kind, c) in seen[:place]]:
            raise ValueError(f"choices: {twice[0]!r} stands there twice; name each once")
        for name in (*self.lists, *(() if self.none is None else (self.none,))):
            if not self.contains(name):
                raise ValueError(f"none: {name!r} is not among the choices")
        for value in self.try_first:
            if not self.contains(value):
                raise ValueError(f"try_first: {value!r} is not among the choices")
        _check_defaults(self)
        return self

    def contains(self, value: object) -> bool:
        """Whether `value` is one of the choices."""
        return any(type(value) is type(c) and value == c for c in self.choices)

    def given(self, value: Value) -> Any:
        """What the trainer is given for a choice: None and lists as such."""
        if self.none is not None and value == self.none:
            return None
        return json.loads(value) if isinstance(value, str) and value in self.lists else value

    def grid(self, points: int) -> tuple[Value, ...]:  # noqa: ARG002
        """Every choice."""
        return self.choices

    def describe(self) -> str:
        """The choices in words, for `tune check`."""
        return " | ".join(str(c) for c in self.choices)

    @property
    def texts(self) -> tuple[str, ...]:
        """The choices as columns, figures and tables have them."""
        return tuple(map(text_of, self.choices))


def text_of(choice: Value) -> str:
    """A choice as columns, figures and tables have it: as in a study file."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def label(value: Any) -> Any:
    """A choice as it stands in tables, figures and files: text for None and lists, others as they are."""
    if value is None:
        return NONE
    try:
        named = isinstance(value, list | tuple)
        return json.dumps(value, ensure_ascii=False, allow_nan=False) if named else value
    except (TypeError, ValueError):  # no list of values; the check of choices reports it
        return value


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's own, at any depth of lists."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    tolist = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value


def is_same(one: Value, other: Value) -> bool:
    """Whether two values are equal and of one kind: 1 is 1.0, but not True."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _with_middle(table: Any, *, whole: bool) -> Any:
    """The table of a range, with the middle of its scale as its default where it has none."""
    if not isinstance(table, dict) or table.get("default") is not None:
        return table
    low, high, step = table.get("low"), table.get("high"), table.get("step")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return table
    middle: float = low
    if _GREATEST < max(abs(low), abs(high)) < math.inf:
        raise ValueError(f"low and high: numbers up to {_GREATEST:g} are needed")
    if low < high < math.inf:
        log = table.get("log") is True and low > 0
        middle = math.sqrt(low) * math.sqrt(high) if log else low / 2 + high / 2
    if isinstance(step, int | float) and step > 0:
        middle = low + math.floor((middle - low) / step) * step
    return {**table, "default": round(middle) if whole and math.isfinite(middle) else middle}


def _fault(error: ValidationError, known: Iterable[str]) -> str:
    """The first fault that pydantic found, in one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "extra_forbidden":
        return f"unknown key '{place}'; {near(place, known)}"
    if place.startswith(("choices", "default.", "try_first")):
        key, found = first["loc"][0], first["input"]
        return f"{key}: numbers, texts, True, False, None or lists of them are needed; found {found!r}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return " ".join(message.split())
    return f"{place}: {message[0].lower()}{message[1:]}; found {first['input']!r}"


def _check_range(low: float, high: float, log: bool, step: float | None) -> None:
    if low > high:
        raise ValueError(f"low is {low:g} and high is {high:g}: the range is upside down; swap them")
    if log and low <= 0:
        raise ValueError(f"log needs low > 0, found {low:g}; raise low or drop log")
    if log and step is not None:
        raise ValueError("log and step exclude each other; drop one")


def _check_defaults(parameter: Parameter) -> None:
    if not parameter.contains(parameter.default):
        raise ValueError(f"default {parameter.default!r} is not in {parameter.describe()}")
    for name, defaults in parameter.default_for.items():
        for choice, value in defaults.items():
            if not parameter.contains(value):
                raise ValueError(f"default_for.{name}.{choice}: {value!r} is not in {parameter.describe()}")


Parameter = Float | Int | Choice
AnyParameter = Annotated[Parameter, Field(discriminator="type")]
