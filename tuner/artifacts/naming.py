"""Folder names: what the folder of a study is called below the root of all studies' files.

A study's name may be any text, so it is only a hint in the folder's name; the identity makes it
unique. A name that was given stays valid for ever, for databases store it.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from urllib.parse import quote

_HINT_LENGTH = 32
_IDENTITY_LENGTH = 8
_UNSAFE = re.compile(r"[^a-z0-9]+")


def folder_name(study: str, identity: str) -> str:
    """The name of a study's folder: at most 41 characters of a-z, 0-9 and ``-``.

    Args:
        study: the study's name, any text.
        identity: 32 hexadecimal digits that no other study has.
    """
    plain = unicodedata.normalize("NFKD", study).encode("ascii", "ignore").decode().lower()
    hint = _UNSAFE.sub("-", plain)[:_HINT_LENGTH].strip("-")
    return "-".join(filter(None, (hint, identity[:_IDENTITY_LENGTH])))


def is_folder_name(text: str, identity: str) -> bool:
    """Whether `folder_name` gives this name for that identity and some study."""
    if not re.fullmatch(r"[0-9a-f]{32}", identity):
        return False
    return re.fullmatch(rf"([a-z0-9-]{{1,{_HINT_LENGTH}}}-)?{identity[:_IDENTITY_LENGTH]}", text) is not None


def name_before_5(study: str) -> str | None:
    """What the folder was called before tables of version 5; None for a name that led elsewhere."""
    name = quote(study, safe=" ")
    return None if name in (".", "..") else name


def root_of(place: Path | str) -> Path | str:
    """The root of all studies' files in which that of a study is: a folder, or a URL."""
    return place.parent if isinstance(place, Path) else place.rpartition("/")[0]
