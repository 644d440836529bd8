from __future__ import annotations

import os
import shutil
from html import unescape
from pathlib import Path

import pytest

from tests.figures.parts import HOSTILE, frame, losses
from tuner import figures
from tuner.errors import PluginError
from tuner.figures import DARK, Drawing


def drawing(name: str = "slices") -> Drawing:
    return figures.plot(figures.find(name), frame(losses(3.0, 2.0, 1.0)), DARK)


def test_only_two_kinds_of_pictures_are_written(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"page.pdf: pictures are .png or .svg"):
        figures.write_images([(tmp_path / "page.pdf", "title", drawing())])


def test_a_missing_browser_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(PluginError, match="install Debian's chromium, or set BROWSER_PATH"):
        figures.write_images([(tmp_path / "picture.png", "title", drawing())])


@pytest.mark.browser
def test_pictures_are_written_by_the_systems_browser(tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    if not (os.environ.get("BROWSER_PATH") or shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no Chromium on this machine")
    paths = [tmp_path / "picture.png", tmp_path / "picture.svg"]
    figures.write_images([(path, HOSTILE, drawing()) for path in paths], DARK)
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    picture = paths[1].read_text(encoding="utf-8")
    assert "<script" not in picture
    assert HOSTILE in unescape(picture)
