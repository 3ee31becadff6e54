"""Results of AndroidWorld's episodes, its way and with crashed episodes as failures.

AndroidWorld gives an episode in which anything was raised the success NaN and leaves it out of its mean, and keeps the
row of a crash beside that of its retry. Both figures are shown; they are equal when nothing crashed.
"""

import collections
import dataclasses
import math

from handsight_episodes.repeats import not_counted, passes, wilson


@dataclasses.dataclass
class Row:
    """One task, or all of them."""

    name: str
    episodes: int
    crashed: int
    # The mean success of episodes that did not crash; None if there are none.
    theirs: float | None
    # The mean success, crashed episodes being failures; retried crashes count once, as the retry ended.
    ours: float
    interval: tuple
    # Episodes with steps that failed for our sake, and those in which something went through adb.
    errors: int = 0
    nonstandard: int = 0


def rows(episodes, quarantined=()):
    """Returns a row for each task, and one for all, which is the mean over tasks as AndroidWorld's headline is; those
    in quarantine are in none."""
    by_task = collections.defaultdict(list)
    for episode in episodes:
        if episode["task_template"] not in quarantined:
            by_task[episode["task_template"]].append(episode)
    tasks = [_row(name, found) for name, found in sorted(by_task.items())]
    if not tasks:
        return []
    judged = [row.theirs for row in tasks if row.theirs is not None]
    last = [episode for found in by_task.values() for episode in _last(found)]
    total = Row(
        name="mean over tasks",
        episodes=sum(row.episodes for row in tasks),
        crashed=sum(row.crashed for row in tasks),
        theirs=sum(judged) / len(judged) if judged else None,
        ours=sum(row.ours for row in tasks) / len(tasks),
        interval=wilson(sum(map(_success, last)), len(last)),
        errors=sum(row.errors for row in tasks),
        nonstandard=sum(row.nonstandard for row in tasks),
    )
    return [*tasks, total]


def _row(name, episodes):
    judged = [episode["is_successful"] for episode in episodes if not _is_missing(episode["is_successful"])]
    last = _last(episodes)
    hits = sum(map(_success, last))
    return Row(
        name=name,
        episodes=len(last),
        crashed=sum(_is_missing(episode["is_successful"]) for episode in last),
        theirs=sum(judged) / len(judged) if judged else None,
        ours=hits / len(last),
        interval=wilson(hits, len(last)),
        errors=sum(_has(episode, _failed) for episode in last),
        nonstandard=sum(_has(episode, _is_nonstandard) for episode in last),
    )


def _last(episodes):
    """Returns the last episode of each instance."""
    last = {}
    for number, episode in enumerate(episodes):
        last[episode.get("instance_id", number)] = episode
    return list(last.values())


def _is_missing(success):
    return success is None or (isinstance(success, float) and math.isnan(success))


def _success(episode):
    success = episode["is_successful"]
    return 0.0 if _is_missing(success) else float(success)


def _has(episode, predicate):
    data = episode.get("episode_data")
    return isinstance(data, dict) and predicate(data)


def _failed(data):
    return any(error is not None for error in data.get("error", []))


def _is_nonstandard(data):
    return any(done["how"] == "adb" for step in data.get("performed", []) for done in step)


def text(found):
    """Writes rows for people."""
    head = ["task", "episodes", "crashed", "their mean", "crashed = failed", "95 %", "with errors", "through adb"]
    table = [head] + [
        [
            row.name,
            str(row.episodes),
            str(row.crashed),
            "-" if row.theirs is None else f"{row.theirs:.3f}",
            f"{row.ours:.3f}",
            f"[{row.interval[0]:.3f}, {row.interval[1]:.3f}]",
            str(row.errors),
            str(row.nonstandard),
        ]
        for row in found
    ]
    widths = [max(len(line[place]) for line in table) for place in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(line, widths)))
        for line in table
    ]
    return "\n".join(line.rstrip() for line in lines)


def reliability(episodes, quarantined=()):
    """Returns pass^k and pass@k over the instances of each task; what is done in part is not done."""
    tasks = collections.defaultdict(list)
    for episode in episodes:
        if episode["task_template"] not in quarantined:
            tasks[episode["task_template"]].append(episode)
    last = map(_last, tasks.values())
    return passes([(sum(_success(episode) >= 1.0 for episode in found), len(found)) for found in last])


def beside(episodes, quarantined):
    """Returns the lines of tasks that were run, but are not counted, and what the mean is with them."""
    lines = []
    for task, entry in quarantined.items():
        found = _last([episode for episode in episodes if episode["task_template"] == task])
        if found:
            lines.append(not_counted(entry, sum(map(_success, found)), len(found)))
    if lines:
        lines.append(f"mean over tasks with all: {rows(episodes)[-1].ours:.3f}")
    return lines
