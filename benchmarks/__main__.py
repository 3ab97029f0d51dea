"""`python -m benchmarks`: all of them."""

import os
import platform

from benchmarks import (
    alignment,
    annotation,
    decoding,
    dense,
    keypoints,
    leaderboard,
    reading,
    scoring,
    selection,
    startup,
)

print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}")
for benchmark in (reading, scoring, startup, decoding, alignment, dense, selection, annotation, leaderboard, keypoints):
    benchmark.run()
