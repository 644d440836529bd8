"""The folder of a study is named so that it cannot escape, clash or grow too long, for any study."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuner.artifacts import folder_name, is_folder_name, name_before_5

identities = st.uuids().map(lambda each: each.hex)
ONE, OTHER = UUID(int=1 << 127).hex, UUID(int=2 << 120).hex


@given(st.text(max_size=200), identities)
@example("..", ONE)
@example(".", ONE)
@example("/etc", ONE)
@example("a/../../b", ONE)
@example("CON", ONE)
@example("nul.", ONE)
@example("trailing dots and spaces. . ", ONE)
@example(".writing-0", ONE)
@example("\N{GRINNING FACE}" * 200, ONE)
@example("\u8d85" * 200, ONE)
@example("", ONE)
def test_any_name_gives_one_short_plain_part_of_a_path(study: str, identity: str) -> None:
    name = folder_name(study, identity)
    assert len(name) <= 41
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not name.startswith("-")
    assert Path("root", name).parent == Path("root")
    assert is_folder_name(name, identity)


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_studies_never_share_a_folder(study: str, other: str) -> None:
    assert folder_name(study, ONE) != folder_name(other, OTHER)


@given(st.text(max_size=60), identities)
@example("", ONE)
@example("..", ONE)
@example("tuner_models", ONE)
@example(f"../s-{ONE[:8]}", ONE)
@example(f"S-{ONE[:8]}", ONE)
@example(f"s-{ONE[:8]}\n", ONE)
@example(f"{'s' * 33}-{ONE[:8]}", ONE)
def test_nothing_else_is_taken_for_the_folder_of_a_study(text: str, identity: str) -> None:
    assert not is_folder_name(text, identity)


@pytest.mark.parametrize("identity", ["", "0" * 31, "../" * 11, "G" * 32])
def test_a_damaged_identity_has_no_folder(identity: str) -> None:
    assert not is_folder_name(folder_name("s", identity), identity)


def test_names_that_led_elsewhere_before_version_5_name_no_folder() -> None:
    assert [name_before_5(name) for name in (".", "..", "a/b", "An old study~confirm")] == [
        None, None, "a%2Fb", "An old study~confirm"
    ]  # fmt: skip
