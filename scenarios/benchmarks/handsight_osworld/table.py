"""Results of OSWorld's runs, its way and with unfinished tasks as failures.

OSWorld's `show_result.py` averages the tasks that have a `result.txt`, so that a task in which the runner broke is in no
figure. Which tasks there should be is in OSWorld's own list (`evaluation_examples/test_all.json`): those of it without a
result are failures here.
"""

import dataclasses
import json
import os

from handsight_episodes.repeats import not_counted, passes, wilson


class ResultsError(Exception):
    """A folder or a list that cannot be used."""


@dataclasses.dataclass
class Row:
    """The tasks of a domain, or all of them."""

    name: str
    tasks: int
    unfinished: int
    # The mean score of finished tasks; None if there are none.
    theirs: float | None
    ours: float
    interval: tuple


def read(folder, tasks=None):
    """Returns the score of each task, `domain/id`; None of one that is not finished. `tasks` is OSWorld's list."""
    if not os.path.isdir(folder):
        raise ResultsError(f"there is no folder `{folder}`")
    scores = {f"{domain}/{name}": None for domain, names in (tasks or {}).items() for name in names}
    for here, folders, files in os.walk(folder):
        folders.sort()
        name = "/".join(here.split(os.sep)[-2:])
        if "result.txt" in files and (tasks is None or name in scores):
            scores[name] = _score(os.path.join(here, "result.txt"))
        elif "traj.jsonl" in files and tasks is None:
            scores.setdefault(name)
    if not scores:
        raise ResultsError(f"`{folder}` has no results: name the folder that the domains are in")
    return scores


def _score(path):
    with open(path, encoding="utf-8") as file:
        text = file.read(64).strip()
    try:
        # Some evaluators write a truth value.
        return {"True": 1.0, "False": 0.0}.get(text) if text in ("True", "False") else float(text)
    except ValueError:
        raise ResultsError(f"`{path}` has no score: {text!r}") from None


def tasks_of(path):
    """Reads OSWorld's list of tasks by their domains."""
    try:
        with open(path, encoding="utf-8") as file:
            tasks = json.load(file)
        if not all(isinstance(names, list) for names in tasks.values()):
            raise ValueError("it is no list of tasks by their domains")
        return tasks
    except (OSError, ValueError, AttributeError) as error:
        raise ResultsError(f"`{path}` cannot be used: {error}") from error


def rows(runs, quarantined=()):
    """Returns a row for each domain, and one for all; runs are repeats of the same tasks."""
    by_domain = {}
    for run in runs:
        for name, score in run.items():
            if name not in quarantined:
                by_domain.setdefault(name.split("/", 1)[0], []).append((name, score))
    found = [_row(domain, scores) for domain, scores in sorted(by_domain.items())]
    every = [score for scores in by_domain.values() for score in scores]
    return [*found, _row("all", every)] if found else []


def _row(name, scores):
    finished = [score for _, score in scores if score is not None]
    tasks = len({name for name, _ in scores})
    mean = sum(finished) / len(scores)
    return Row(name, tasks, len(scores) - len(finished), sum(finished) / len(finished) if finished else None, mean,
               # Repeats of a task are not tasks of their own.
               wilson(mean * tasks, tasks))


def reliability(runs, quarantined=()):
    """Returns pass^k and pass@k over the runs; what is done in part is not done."""
    names = {name for run in runs for name in run if name not in quarantined}
    return passes([(sum((run.get(name) or 0.0) >= 1.0 for run in runs), len(runs)) for name in sorted(names)])


def beside(runs, quarantined):
    """Returns the lines of tasks that were run, but are not counted, and what the mean is with them."""
    lines = []
    for name, entry in quarantined.items():
        scores = [run[name] or 0.0 for run in runs if name in run]
        if scores:
            lines.append(not_counted(entry, sum(scores), len(scores)))
    if lines:
        lines.append(f"mean with all: {rows(runs)[-1].ours:.3f}")
    return lines


def text(found):
    """Writes rows for people."""
    head = ["domain", "tasks", "unfinished", "their mean", "unfinished = failed", "95 %"]
    table = [head] + [
        [row.name, str(row.tasks), str(row.unfinished), "-" if row.theirs is None else f"{row.theirs:.3f}",
         f"{row.ours:.3f}", f"[{row.interval[0]:.3f}, {row.interval[1]:.3f}]"]
        for row in found
    ]
    widths = [max(len(line[place]) for line in table) for place in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(line, widths)))
        for line in table
    )
