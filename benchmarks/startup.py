"""How long `da2k --help` takes, against Python doing nothing and against importing torch."""

import subprocess
import sys

from benchmarks.timing import side_by_side


def command(*words: str) -> None:
    """Run Python with these words."""
    subprocess.run([sys.executable, *words], capture_output=True, check=False)


def run() -> None:
    """Print the seconds."""
    nothing, shown, _ = side_by_side(lambda: command("-c", ""), lambda: command("-m", "da2k", "--help"))
    print("starting")
    print(f"  da2k --help {shown:.3f} s, Python alone {nothing:.3f} s (goal: under 0.3 s)")
