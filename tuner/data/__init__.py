"""Arrays from a source; train, validation and test splits; scaling; augmentation."""

from tuner.data.column_summary import ColumnSummary, examples, summarize
from tuner.data.embedding import code_notes, embedded
from tuner.data.encoding import read_as
from tuner.data.fingerprint_check import differences
from tuner.data.given import opened, rows_of
from tuner.data.inputs import encode
from tuner.data.load import load
from tuner.data.outline import Outline, outline
from tuner.data.rows import read_rows
from tuner.data.scaling import Scaling, flat, read_part, width
from tuner.data.sequences import labels
from tuner.data.unseen import tell, untold

__all__ = [
    "ColumnSummary",
    "Outline",
    "Scaling",
    "code_notes",
    "differences",
    "embedded",
    "encode",
    "examples",
    "flat",
    "labels",
    "load",
    "opened",
    "outline",
    "read_as",
    "read_part",
    "read_rows",
    "rows_of",
    "summarize",
    "tell",
    "untold",
    "width",
]
