"""Suites that every plugin of a kind must pass: derive a test class, and pytest runs it.

`callback`, `executor`, `searcher` and `trainer` have one each, made of smaller ones; in tests/ they run over
the built-ins. Only this package imports pytest and hypothesis, which ``pip install 'tuner[test]'`` brings.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{kind}" for kind in ("callback", "executor", "searcher", "trainer"))
)
