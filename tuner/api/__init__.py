"""start, resume, load: wires the parts together (composition root)."""

from tuner.api.confirming import confirm
from tuner.api.predicting import predict
from tuner.api.run import resume, start
from tuner.api.stored import delete, studies, summaries, verify
from tuner.api.workbench import Checked, check, compare, copy, export, init, load, report
from tuner.content import storage_url
from tuner.results import Comparison, Study, TrialView, brief
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
    "predict",
    "report",
    "resume",
    "start",
    "storage_url",
    "studies",
    "summaries",
    "verify",
]
