"""Measures Handsight and its peers in turn, and prints a table of Markdown.

    python tests/peers/bench.py --bin target/release --work target/peers --size 3b \
        --llama-cpp SOURCE LIBRARIES --transformers

`--bin` is where `handsight` and `examples/random_checkpoint` were built. What it makes, checkpoints
of random weights, stays in `--work` and is used again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent

FIGURES = [
    ("load_s", "load", "s"),
    ("image_encode_s", "image encode", "s"),
    ("prefill_tok_s", "prefill", "tok/s"),
    ("decode_tok_s", "decode", "tok/s"),
    ("cold_step_s", "cold step", "s"),
    ("quarter_changed_s", "a quarter changed", "s"),
    ("unchanged_s", "same screen again", "s"),
    ("peak_bytes", "peak memory", "GB"),
]

SIZES = {"3b": ["3b"], "small": ["3b", "4", "8"]}
"""What `random_checkpoint` is told: the shapes, and layers and vision blocks if there are fewer."""

KEYS = {
    "image encode": "image_encode_s",
    "prefill": "prefill_tok_s",
    "decode": "decode_tok_s",
    "cold step": "cold_step_s",
    "a quarter changed": "quarter_changed_s",
    "same screen again": "unchanged_s",
}
"""What `handsight bench` calls them."""


def run(command: list) -> str:
    """Run a command and return what it prints; its errors are seen."""
    print("$", *command, file=sys.stderr, flush=True)
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def screenshot(path: Path, width: int, height: int) -> None:
    """Draw something of this size that is nowhere flat."""
    image = Image.new("RGB", (width, height))
    image.putdata(
        [
            ((x ^ y) % 256, (x // 3 + y) % 256, (3 * x + y // 2) % 256)
            for y in range(height)
            for x in range(width)
        ]
    )
    image.save(path)


def ours(binary: Path, model: Path, image: Path, *flags: str) -> dict:
    """Measure one step of ours."""
    command = [binary, "bench", "--json", "--model", model, "--image", image, *flags]
    result = json.loads(run(command))
    figures = {KEYS[name]: f["values"][0] for name, f in result["figures"].items() if name in KEYS}
    return figures | {key: result[key] for key in ("load_s", "peak_bytes", "prompt_tokens")}


def main() -> None:
    """Measure everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", default="3b", choices=SIZES)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--types", default="q4k,q8_0,bf16")
    parser.add_argument("--llama-cpp", type=Path, nargs=2, metavar=("SOURCE", "LIBRARIES"))
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--only", default="", metavar="TEXT", help="engines with this in the name")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    binary = arguments.bin / "handsight"
    arguments.work.mkdir(parents=True, exist_ok=True)
    folder = arguments.work / arguments.size
    if not (folder / "config.json").exists():
        run([arguments.bin / "examples" / "random_checkpoint", folder, *SIZES[arguments.size]])
    image = arguments.work / "1280x720.png"
    if not image.exists():
        screenshot(image, 1280, 720)

    engines = {}
    for kind in arguments.types.split(","):
        file = arguments.work / f"{arguments.size}-{kind}.gguf"
        mmproj = file.with_name(f"mmproj-{file.name}")
        if not file.exists():
            run([binary, "models", "quantize", folder, file, "--type", kind])
        engines[f"handsight, {kind} GGUF"] = lambda file=file: ours(binary, file, image)
        engines[f"handsight, {kind} GGUF, exact"] = lambda f=file: ours(binary, f, image, "--exact")
        if arguments.llama_cpp:
            script = [sys.executable, HERE / "llama_cpp_peer.py", *arguments.llama_cpp]
            command = [*script, file, mmproj, image]
            engines[f"llama.cpp, {kind} GGUF"] = lambda command=command: json.loads(run(command))
    engines["handsight, bf16 folder"] = lambda: ours(binary, folder, image)
    engines["handsight, folder, f32"] = lambda: ours(binary, folder, image, "--dtype", "f32")
    awq = arguments.work / f"{arguments.size}-awq"
    if not (awq / "config.json").exists():
        run([arguments.bin / "examples" / "random_checkpoint", awq, *SIZES[arguments.size], "awq"])
    engines["handsight, AWQ folder"] = lambda: ours(binary, awq, image)
    if arguments.transformers:
        command = [sys.executable, HERE / "transformers_peer.py", folder, image]
        engines["transformers, f32"] = lambda: json.loads(run(command))

    engines = {name: measure for name, measure in engines.items() if arguments.only in name}
    results: dict[str, list[dict]] = {name: [] for name in engines}
    for _ in range(arguments.runs):
        for name, measure in engines.items():
            try:
                results[name].append(measure())
            except subprocess.CalledProcessError as error:
                print(f"{name}: {error}", file=sys.stderr)
            if arguments.out:
                arguments.out.write_text(json.dumps(results, indent=1))
    table(results)


def table(results: dict[str, list[dict]]) -> None:
    """Print the middle of each figure, one engine to a row."""
    print("| engine |", " | ".join(f"{name}, {unit}" for _, name, unit in FIGURES), "|")
    print("|---|" + "---|" * len(FIGURES))
    for engine, runs in results.items():
        cells = []
        for key, _, unit in FIGURES:
            values = [run[key] for run in runs if key in run]
            middle = statistics.median(values) if values else None
            scale = 1e9 if unit == "GB" else 1
            cells.append("—" if middle is None else f"{middle / scale:.2f}")
        print(f"| {engine} |", " | ".join(cells), "|")
    processors = len(os.sched_getaffinity(0))
    print(f"\n{processors} processors, {max(map(len, results.values()), default=0)} run(s)")


if __name__ == "__main__":
    main()
