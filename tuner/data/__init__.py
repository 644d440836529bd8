"""Arrays from a source; train, validation and test splits; scaling; augmentation."""

from tuner.data.column_summary import ColumnSummary, summarize
from tuner.data.encoding import encode
from tuner.data.fingerprint_check import FingerprintCheck, differences
from tuner.data.given import opened, rows_of
from tuner.data.load import from_arrays, from_memory, load, outline
from tuner.data.rows import read_rows
from tuner.data.scaling import Scaling
from tuner.data.unseen import tell, untold

__all__ = [
    "ColumnSummary",
    "FingerprintCheck",
    "Scaling",
    "differences",
    "encode",
    "from_arrays",
    "from_memory",
    "load",
    "opened",
    "outline",
    "read_rows",
    "rows_of",
    "summarize",
    "tell",
    "untold",
]
