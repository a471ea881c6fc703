"""`python -m tests.torture`: plans of torture, one after the other; see docs/torture.md."""

import argparse
import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.torture.execute import Outcome, execute
from tests.torture.nursery import Nursery
from tests.torture.plan import Plan, make
from tests.torture.servers import cluster


def main() -> None:
    """Torture; ends with 1 where anything was found."""
    # `kill -USR1` tells where it is.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # Ended in order, with all that was started and mounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first plan; then one more each")
    parser.add_argument("--plans", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0, help="end after the plan with this kill")
    parser.add_argument("--limit-s", type=float, default=1e9, help="begin no plan after so long")
    parser.add_argument("--seconds", type=float, default=60.0, help="of blows a plan")
    parser.add_argument("--every", type=float, default=1.2, help="mean seconds between kills")
    parser.add_argument("--out", type=Path, help="results as JSON lines, added to")
    parser.add_argument("--keep", type=Path, help="folder for logs that stay")
    parser.add_argument("--plan", type=Path, help="a plan as JSON, in place of a seed's")
    parser.add_argument(
        "--measure", type=int, default=0, help="rounds of one fault of each kind, after the first"
    )
    given = parser.parse_args()
    given_plans = [Plan.from_json(given.plan.read_text())] if given.plan else None
    plans = given_plans or [
        make(given.seed + number, given.seconds, given.every) for number in range(given.plans)
    ]
    begun, kills, good = time.monotonic(), 0, True
    with TemporaryDirectory(prefix="tape-torture-") as temporary:
        # PostgreSQL's own user must be able to look into it.
        Path(temporary).chmod(0o755)
        home = given.keep or Path(temporary) / "logs"
        home.mkdir(parents=True, exist_ok=True)
        os.environ["TAPE_HOME"] = temporary
        nursery = Nursery(home / "nursery.log")
        try:
            with cluster(Path(temporary) / "stack") as servers:
                for plan in plans:
                    if time.monotonic() - begun > given.limit_s or kills > (given.kills or 1e9):
                        break
                    folder = home / f"seed-{plan.seed}"
                    rounds = given.measure if plan is plans[0] else 0
                    outcome = execute(servers, nursery, plan, folder, rounds)
                    kills += sum(outcome.kills.values())
                    good &= outcome.is_good
                    _tell(outcome, kills, given.out)
        finally:
            nursery.close()
    print(f"{kills} kills in {time.monotonic() - begun:.0f} s: {'good' if good else 'BAD'}")
    sys.exit(not good)


def _tell(outcome: Outcome, kills: int, out: Path | None) -> None:
    found = outcome.as_dict()
    if out:
        with out.open("a") as file:
            file.write(json.dumps(found) + "\n")
    print(
        f"seed {found['seed']}: {sum(found['kills'].values())} kills ({kills} in all), "
        f"{sum(found['faults'].values())} other faults, {found['compared'].get('tape', 0)} events, "
        f"{found['repeats']} repeats, settled in {found['settle_s']} s",
        flush=True,
    )
    for text in (found["shown"], found["failure"], *found["skipped"]):
        if text:
            print(text, flush=True)


if __name__ == "__main__":
    main()
