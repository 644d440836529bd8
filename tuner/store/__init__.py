"""The importer of sqlalchemy: schema, connect, write, read, lease."""

from tuner.store.database import Database
from tuner.store.read import StudySummary
from tuner.store.write import StudyStore

__all__ = ["Database", "StudyStore", "StudySummary"]
