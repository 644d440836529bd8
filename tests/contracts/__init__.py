"""Suites that every plugin of a kind must pass; third parties can run them too."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.contracts.callback", "tests.contracts.searcher", "tests.contracts.trainer"
)
