"""Arrays from a source; train, validation and test splits; scaling; augmentation."""

from tuner.data.encoding import encode
from tuner.data.known import Known, review
from tuner.data.load import from_arrays, load, outline
from tuner.data.scaling import Scaling

__all__ = ["Known", "Scaling", "encode", "from_arrays", "load", "outline", "review"]
