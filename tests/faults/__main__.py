"""`python -m tests.faults`: the long form of the fault suite, a part at a time."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from pathlib import Path

EXAMPLES = """examples:
  python -m tests.faults
  python -m tests.faults killed_workers --seed 7
  python -m tests.faults endurance --repeat 50000
  python -m tests.faults --quick
"""


def parser(names: list[str]) -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Kill, stop, flood and fill a real service, and check every promise on what its clients saw.",
        epilog=f"parts: {', '.join(names)}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("parts", nargs="*", metavar="PART", choices=[*names, []], help="these; default: all")
    arguments.add_argument("--seed", type=int, help="of all that is drawn (default: drawn, and printed)")
    arguments.add_argument("--repeat", type=int, help="in place of the part's own number of repetitions")
    arguments.add_argument("--quick", action="store_true", help="as the tests run it: proves the plumbing")
    arguments.add_argument("--output", type=Path, default=Path("outputs/soak"), help="folder of the reports")
    return arguments


def main(given: list[str] | None = None) -> int:
    """Exit status: 1 when a promise was broken."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from tests.faults.catalogue import BY_NAME

    arguments = parser([*BY_NAME]).parse_args(given)
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    broken = 0
    for name in arguments.parts or BY_NAME:
        part = BY_NAME[name]
        repeat = arguments.repeat or (part.quick if arguments.quick else part.long)
        print(f"{name}: seed {seed}, {repeat} repetitions", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="guidepost-soak-") as folder:
            finding = part.find(Path(folder), seed, repeat, quick=arguments.quick)
        finding.write(arguments.output)
        print(finding.markdown(), flush=True)
        broken += len(finding.broken)
    print("Written:", arguments.output)
    return min(1, broken)


if __name__ == "__main__":
    sys.exit(main())
