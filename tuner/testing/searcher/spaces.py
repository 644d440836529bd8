"""Search spaces to test searchers with."""

from __future__ import annotations

from hypothesis import strategies as st

from tuner.core.space import Choice, Float, Int, Parameter, SearchSpace
from tuner.core.trial import Value


def conditional_space() -> SearchSpace:
    """Every kind of parameter, two conditions deep, one value fixed."""
    return SearchSpace.compose(
        {
            "rate": Float(low=1e-4, high=1.0, default=0.01, log=True, default_for={"method": {"sgd": 1}}),
            "method": Choice(choices=("sgd", "adam", "none"), default="adam", try_first=("sgd",)),
            "momentum": Float(low=0.0, high=0.99, default=0.9, when={"method": ("sgd",)}),
            "damped": Choice(choices=(True, False, 1), default=False, when={"method": ("sgd", "adam")}),
            "damping": Float(low=0.0, high=0.3, step=0.1, default=0.1, when={"damped": (True,)}),
            "width": Int(low=16, high=256, log=True, default=64),
            "depth": Int(low=1, high=6, step=2, default=3),
            "only": Int(low=7, high=7, default=7),
        },
        {"activation": "relu"},
    )


def changed_spaces() -> dict[str, SearchSpace]:
    """What may become of `conditional_space` while a study rests."""
    before = dict(conditional_space().parameters)
    fixed = conditional_space().fixed
    method = Choice(choices=("sgd", "adam", "other"), default="other")
    changes: dict[str, dict[str, Parameter | None]] = {
        "narrowed": {
            "rate": Float(low=1e-3, high=0.1, default=0.01, log=True),
            "method": Choice(choices=("sgd", "adam"), default="adam"),
            "depth": Int(low=1, high=5, step=4, default=1),
            "width": Int(low=32, high=128, log=True, default=64),
        },
        "widened": {
            "rate": Float(low=1e-6, high=10.0, default=0.01, log=True),
            "width": Int(low=8, high=512, log=True, default=64),
            "only": Int(low=6, high=8, default=7),
        },
        "gained": {
            "clip": Float(low=0.1, high=9.0, default=1.0, default_for={"method": {"sgd": 2.0}}),
            "nesterov": Choice(choices=(False, True), default=False, when={"method": ("sgd",)}),
        },
        "lost": {"damping": None, "width": None},
        "mixed": {"method": method, "width": None, "gain": Float(low=0.0, high=1.0, default=0.5)},
    }
    spaces = {
        name: SearchSpace.compose({n: p for n, p in {**before, **change}.items() if p is not None}, fixed)
        for name, change in changes.items()
    }
    spaces["fixed"] = SearchSpace.compose(before, {**fixed, "depth": 3})
    spaces["activated"] = SearchSpace.compose(before, {"activation": "tanh"})
    return spaces


def small_space() -> SearchSpace:
    """Seven configurations."""
    return SearchSpace.compose(
        {
            "a": Choice(choices=("x", "y", "z"), default="x"),
            "b": Int(low=1, high=3, default=1, when={"a": ("x",)}),
            "c": Float(low=0.0, high=0.5, step=0.5, default=0.5, when={"a": ("y", "z")}),
        }
    )


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Small spaces of any shape, with conditions."""
    parameters: dict[str, Parameter] = {}
    for index in range(draw(st.integers(1, 5))):
        choices = {n: p.choices for n, p in parameters.items() if isinstance(p, Choice)}
        when: dict[str, tuple[Value, ...]] = {}
        conditional = draw(st.booleans())
        if choices and conditional:
            other = draw(st.sampled_from(sorted(choices)))
            when = {other: (draw(st.sampled_from(choices[other])),)}
        parameters[f"p{index}"] = _parameter(draw, when)
    constants: list[Value] = [0, 1.5, "text", False]
    return SearchSpace.compose(parameters, {"constant": draw(st.sampled_from(constants))})


def _parameter(draw: st.DrawFn, when: dict[str, tuple[Value, ...]]) -> Parameter:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "intlog", "intstep", "choice"]))
    if kind == "choice":
        every: list[Value] = ["a", "b", "", 1, 1.0, True, False, -3, 0.1]
        choices = draw(
            st.lists(st.sampled_from(every), min_size=1, max_size=4, unique_by=lambda v: (type(v), v))
        )
        return Choice(choices=tuple(choices), default=choices[0], when=when)
    if kind.startswith("int"):
        low = draw(st.integers(1, 40))
        high = low + draw(st.integers(0, 60))
        step = draw(st.integers(1, 7)) if kind == "intstep" else None
        return Int(low=low, high=high, default=low, log=kind == "intlog", step=step, when=when)
    start = draw(st.floats(1e-6, 10.0))
    end = start + draw(st.floats(0.0, 100.0))
    size = draw(st.sampled_from([0.1, 0.25, 0.3, 1.0])) if kind == "step" else None
    return Float(low=start, high=end, default=start, log=kind == "log", step=size, when=when)
