"""How reliably tasks succeed that are tried several times, and tasks that are not counted for now."""

import dataclasses
import datetime
import json
import math

Z = 1.959963984540054


class QuarantineError(Exception):
    """A list that cannot be used."""


@dataclasses.dataclass
class PassK:
    """Of `k` tries drawn of each task's: the share of tasks of which all succeed, and of which any does."""

    k: int
    tasks: int
    all: float
    all_95: tuple
    any: float
    any_95: tuple

    def __str__(self):
        share = lambda share, ends: f"{share:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"
        return f"pass^{self.k} {share(self.all, self.all_95)}  pass@{self.k} {share(self.any, self.any_95)}  ({self.tasks} tasks)"


def passes(tasks):
    """Returns pass^k and pass@k of (hits, tries) of tasks, for each k up to the fewest tries; none if that is one."""
    fewest = min((tries for _, tries in tasks), default=0)
    found = []
    for k in range(1, fewest + 1) if fewest > 1 else ():
        every = sum(math.comb(hits, k) / math.comb(tries, k) for hits, tries in tasks)
        some = sum(1 - math.comb(tries - hits, k) / math.comb(tries, k) for hits, tries in tasks)
        count = len(tasks)
        found.append(PassK(k, count, every / count, wilson(every, count), some / count, wilson(some, count)))
    return found


def wilson(hits, tries):
    """Returns the 95 % Wilson interval of a share; `hits` may have fractions, for tasks that are partly done."""
    if tries == 0:
        return (0.0, 1.0)
    share = hits / tries
    scale = 1 + Z * Z / tries
    center = (share + Z * Z / (2 * tries)) / scale
    half = Z * math.sqrt(share * (1 - share) / tries + Z * Z / (4 * tries * tries)) / scale
    return (max(center - half, 0.0), min(center + half, 1.0))


def quarantine(path, today=None):
    """Reads a list of tasks that are run, but not counted: the same file as that of `handsight eval live`.

    Returns the entries by their task; one that is over is an error, for a list that nobody looks at hides what breaks.
    """
    today = today or datetime.date.today()
    try:
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
        found = {}
        for entry in entries:
            if set(entry) != {"task", "reason", "since", "until"} or not entry["reason"].strip():
                raise QuarantineError(f"an entry of `{path}` does not have task, reason, since and until: {entry}")
            until = datetime.date.fromisoformat(entry["until"])
            datetime.date.fromisoformat(entry["since"])
            if entry["task"] in found:
                raise QuarantineError(f"`{entry['task']}` is twice in `{path}`")
            if until < today:
                raise QuarantineError(f"the quarantine of `{entry['task']}` in `{path}` ended on {until}")
            found[entry["task"]] = entry
        return found
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise QuarantineError(f"`{path}` is no quarantine list: {error}") from error


def not_counted(entry, hits, tries):
    """Returns the line of a task that is not counted."""
    return f"not counted, {hits:g} of {tries}: {entry['task']}: {entry['reason']} (since {entry['since']}, until {entry['until']})"
