"""What `tune init` writes: a small project, or a commented study file."""

from tuner.starter.command import study_of
from tuner.starter.project import write, write_cluster, write_study
from tuner.starter.toml import study_toml

__all__ = ["study_of", "study_toml", "write", "write_cluster", "write_study"]
