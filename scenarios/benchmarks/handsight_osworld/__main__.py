"""Prints the table of OSWorld's results: `python -m handsight_osworld RESULTS…`; several folders are repeats."""

import argparse
import json
import sys

from handsight_episodes.repeats import QuarantineError, quarantine
from handsight_osworld import table


def main(args=None):
    """Prints it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="handsight_osworld", description=__doc__)
    parser.add_argument("results", nargs="+", help="a folder of results, in which those of the domains are")
    parser.add_argument("--tasks", metavar="FILE", help="OSWorld's list of tasks; those without a result are failures")
    parser.add_argument("--quarantine", metavar="FILE", help="a list of tasks (`domain/id`) that are not counted")
    parser.add_argument("--json", metavar="FILE", help="write the table there, too")
    args = parser.parse_args(args)
    try:
        quarantined = quarantine(args.quarantine) if args.quarantine else {}
        tasks = table.tasks_of(args.tasks) if args.tasks else None
        runs = [table.read(folder, tasks) for folder in args.results]
    except (QuarantineError, table.ResultsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = table.rows(runs, quarantined)
    print("\n".join([table.text(found), *map(str, table.reliability(runs, quarantined)), *table.beside(runs, quarantined)]))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump([vars(row) for row in found], file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
