"""The files of studies: models and checkpoints, beside the database or in a folder of the user's choice."""

from tuner.artifacts.artifacts import MODEL, Artifacts, log_tail, marks
from tuner.artifacts.durable import disk_fault
from tuner.artifacts.export_folder import fill_folder
from tuner.artifacts.model import DESCRIPTION, MEMBERS, copy
from tuner.artifacts.naming import folder_name, is_folder_name, name_before_5, root_of
from tuner.artifacts.remote import RemoteArtifacts, mark_at

__all__ = [
    "DESCRIPTION",
    "MEMBERS",
    "MODEL",
    "Artifacts",
    "RemoteArtifacts",
    "copy",
    "disk_fault",
    "fill_folder",
    "folder_name",
    "is_folder_name",
    "log_tail",
    "mark_at",
    "marks",
    "name_before_5",
    "root_of",
]
