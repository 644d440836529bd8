from __future__ import annotations

import os
import signal

from hypothesis import settings

# No test depends on how fast the machine is. CI looks at the same examples each time; every other
# run looks at new ones.
settings.register_profile("tuner", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tuner")

# Whoever runs the tests in the background may have SIGINT ignored, and so would the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run side by side, one on each core, where threads mostly wait for each other. This is set before numpy
# and torch are imported, and the programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Their process would take longer than most studies of the tests; those that look at them turn them on.
os.environ.setdefault("TUNER_BASELINES", "off")
