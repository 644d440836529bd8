"""Findings about a study: each a sentence, its numbers and what to do; no store, no figures.

`Evidence` holds the frame of a study, `all_of` gives its findings, each made by a plugin.
"""

from tuner.findings.evidence import Curve, Evidence
from tuner.findings.finding import GROUP, Finding, Findings, Severity, all_of

__all__ = ["GROUP", "Curve", "Evidence", "Finding", "Findings", "Severity", "all_of"]
