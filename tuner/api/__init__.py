"""start, resume, load: wires the parts together (composition root)."""

from tuner.api.comparison import Comparison, compare
from tuner.api.confirming import confirm
from tuner.api.reporting import report
from tuner.api.run import delete, load, resume, start, studies, verify
from tuner.api.study import Study, TrialView
from tuner.api.workbench import Checked, brief, check, copy, export, init
from tuner.content import storage_url
from tuner.trainers import load_model

__all__ = [
    "Checked",
    "Comparison",
    "Study",
    "TrialView",
    "brief",
    "check",
    "compare",
    "confirm",
    "copy",
    "delete",
    "export",
    "init",
    "load",
    "load_model",
    "report",
    "resume",
    "start",
    "storage_url",
    "studies",
    "verify",
]
