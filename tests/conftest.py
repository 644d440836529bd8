from __future__ import annotations

import os

from hypothesis import settings

# No test depends on how fast the machine is. CI looks at the same examples each time; every other
# run looks at new ones.
settings.register_profile("tuner", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("tuner")
