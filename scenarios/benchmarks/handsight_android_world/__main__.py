"""Runs AndroidWorld's suite with Handsight as the agent: `python -m handsight_android_world --help`."""

import argparse
import inspect
import json
import os
import sys

from handsight_episodes import EpisodeClient, ServerError
from handsight_episodes.repeats import QuarantineError, quarantine

# MiniWoB's pages change quickly, and AndroidWorld's own runner waits as long.
MINIWOB_PAUSE = 0.2


def arguments(args):
    """Reads the command line; the options of AndroidWorld's run.py have its names."""
    parser = argparse.ArgumentParser(prog="handsight_android_world", description=__doc__)
    parser.add_argument("--server", default="http://127.0.0.1:8080", help="where `handsight serve` listens")
    parser.add_argument("--token_file", help="the file with the server's token")
    parser.add_argument("--timeout", type=float, default=600.0, help="the longest a decision may take, in seconds")
    parser.add_argument("--standard", action="store_true", help="keep to AndroidWorld's own actions")
    parser.add_argument("--name", default="Handsight", help="what results call the agent")
    parser.add_argument("--suite_family", default="android_world")
    parser.add_argument("--tasks", help="names of tasks, with commas; all of the family if none are given")
    parser.add_argument("--n_task_combinations", type=int, default=1)
    parser.add_argument("--task_random_seed", type=int, default=30)
    parser.add_argument("--fixed_task_seed", action="store_true")
    parser.add_argument("--checkpoint_dir", help="where to save episodes, and to go on from")
    parser.add_argument("--output_path", default=os.path.expanduser("~/android_world/runs"))
    parser.add_argument("--adb_path", default="adb")
    parser.add_argument("--console_port", type=int, default=5554)
    parser.add_argument("--grpc_port", type=int, default=8554)
    parser.add_argument("--perform_emulator_setup", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="write the table there, too")
    parser.add_argument("--quarantine", metavar="FILE", help="a list of tasks that are run, but not counted")
    parser.add_argument("--report", metavar="DIR", help="run nothing: print the table of a checkpoint folder")
    return parser.parse_args(args)


def main(args=None):
    """Runs it; returns the exit status."""
    args = arguments(args)
    try:
        return run(args)
    except ServerError as error:
        problem, hint = error, "start it with `handsight serve`, and name it with --server"
    except ImportError as error:
        problem, hint = error, "install AndroidWorld beside this package, as its README says"
    print(f"error: {problem}\nhint: {hint}", file=sys.stderr)
    return 3


def run(args):
    """Runs what was asked for; returns the exit status."""
    # These import AndroidWorld and all it needs, which `--help` does without.
    from android_world import checkpointer as checkpointer_lib

    try:
        args.quarantined = quarantine(args.quarantine) if args.quarantine else {}
    except QuarantineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.report:
        # AndroidWorld would make the folder.
        if not os.path.isdir(args.report):
            print(f"error: there is no folder `{args.report}`", file=sys.stderr)
            return 2
        return report(args, checkpointer_lib.IncrementalCheckpointer(args.report).load())
    token = None
    if args.token_file:
        with open(args.token_file, encoding="utf-8") as file:
            token = file.read().strip()
    elif os.environ.get("HANDSIGHT_API_KEY"):
        token = os.environ["HANDSIGHT_API_KEY"]
    client = EpisodeClient(args.server, token, args.timeout)
    # An emulator takes a minute to get ready: a server that is not there is told at once.
    probe = client.begin("open the settings", "android", benchmark="android_world", max_steps=1)
    client.end(probe["episode"])
    print(f"agent: {json.dumps(probe['model'])}; actions: {'standard' if args.standard else 'standard and adb'}")

    from android_world import registry, suite_utils
    from android_world.env import env_launcher
    from handsight_android_world.agent import HandsightAgent, actuation_version

    print(f"actuation.py of AndroidWorld: {actuation_version()}")
    env = env_launcher.load_and_setup_env(
        console_port=args.console_port,
        emulator_setup=args.perform_emulator_setup,
        adb_path=args.adb_path,
        grpc_port=args.grpc_port,
    )
    suite = suite_utils.create_suite(
        registry.TaskRegistry().get_registry(family=args.suite_family),
        n_task_combinations=args.n_task_combinations,
        seed=args.task_random_seed,
        tasks=args.tasks.split(",") if args.tasks else None,
        use_identical_params=args.fixed_task_seed,
        **({"env": env} if "env" in inspect.signature(suite_utils.create_suite).parameters else {}),
    )
    suite.suite_family = args.suite_family
    pause = MINIWOB_PAUSE if args.suite_family.startswith("miniwob") else None
    agent = HandsightAgent(env, client, args.name, pause, args.standard, args.task_random_seed)
    folder = args.checkpoint_dir or checkpointer_lib.create_run_directory(args.output_path)
    checkpointer = checkpointer_lib.IncrementalCheckpointer(folder)
    print(f"episodes are saved in {folder}")
    try:
        suite_utils.run(suite, agent, checkpointer=checkpointer)
    finally:
        agent.close()
        env.close()
    return report(args, checkpointer.load())


def report(args, episodes):
    """Prints the table of episodes; returns the exit status."""
    from handsight_android_world import table

    found = table.rows(episodes, args.quarantined)
    beside = table.beside(episodes, args.quarantined)
    if not found and not beside:
        print("there are no episodes", file=sys.stderr)
        return 1
    again = table.reliability(episodes, args.quarantined)
    print("\n".join([table.text(found), *map(str, again), *beside]))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump([vars(row) for row in found], file, indent=2, default=str)
    return 0


if __name__ == "__main__":
    sys.exit(main())
