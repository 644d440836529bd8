"""Arrays from a source; train, validation and test splits; scaling; augmentation."""

from tuner.data.encoding import encode
from tuner.data.fingerprint_check import FingerprintCheck, differences
from tuner.data.load import from_arrays, load, outline
from tuner.data.scaling import Scaling

__all__ = ["FingerprintCheck", "Scaling", "differences", "encode", "from_arrays", "load", "outline"]
