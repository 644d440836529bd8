"""The importer of sqlalchemy: schema, connect, write, read, lease, verify."""

from tuner.store.database import Database
from tuner.store.values import CONFIRMS, ORIGIN, SpecRevision, StoredConfirmation, StudySummary
from tuner.store.verify import Problem, Verification, verify
from tuner.store.write import StudyStore

__all__ = [
    "CONFIRMS",
    "ORIGIN",
    "Database",
    "Problem",
    "SpecRevision",
    "StoredConfirmation",
    "StudyStore",
    "StudySummary",
    "Verification",
    "verify",
]
