"""Rebuilds the tiny checkpoints and every golden: `python model/reference/dump.py`.

`--llama-cpp SOURCE LIBRARIES` also renews the GGUF files and their goldens, see
`dump_gguf.py`; `--autoawq PACKAGE` the AWQ checkpoint and its goldens, see `dump_awq.py`. Without
them those are left as they are.
"""

import argparse
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

import build_checkpoint
import dump_awq
import dump_configs
import dump_gguf
import dump_images
import dump_media
import dump_model
import dump_text
from paths import GOLDEN

PACKAGES = ("transformers", "torch", "tokenizers", "pillow", "numpy", "qwen-vl-utils")


class Manifest:
    """Writes goldens and remembers which module made which."""

    def __init__(self) -> None:
        """Start without entries; `GOLDEN` is created if need be."""
        GOLDEN.mkdir(parents=True, exist_ok=True)
        self.entries: dict[str, str] = {}

    def rows(self, name: str, script: str, rows: list[dict]) -> None:
        """Write a JSON golden, one row to the line."""
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (GOLDEN / name).write_text(f"[\n{lines}\n]\n")
        self.entries[name] = script

    def tensors(self, name: str, script: str, arrays: dict[str, np.ndarray]) -> None:
        """Write a safetensors golden."""
        save_file(dict(sorted(arrays.items())), GOLDEN / name)
        self.entries[name] = script

    def keep(self, name: str, script: str) -> None:
        """Enter a golden of an earlier run."""
        if (GOLDEN / name).exists():
            self.entries[name] = script

    def write(self) -> None:
        """Write `MANIFEST.toml` and remove goldens nothing makes any more."""
        for path in GOLDEN.iterdir():
            # Folders have the goldens of other references, such as `scenarios/reference`.
            if path.is_file() and path.name not in (*self.entries, "MANIFEST.toml"):
                path.unlink()
        lines = [
            "# Written by model/reference/dump.py; one table per golden beside this file.",
            "",
            "[upstream]",
            *(f'{package} = "{version(package)}"' for package in PACKAGES),
        ]
        for name, script in sorted(self.entries.items()):
            digest = hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest()
            lines += [
                "",
                f'[golden."{name}"]',
                f'script = "model/reference/{script}"',
                f'upstream = "transformers {version("transformers")}"',
                f'sha256 = "{digest}"',
            ]
        (GOLDEN / "MANIFEST.toml").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-cpp", type=Path, nargs=2, metavar=("SOURCE", "LIBRARIES"))
    parser.add_argument("--autoawq", type=Path, metavar="PACKAGE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    build_checkpoint.main()
    manifest = Manifest()
    manifest.rows("configs.json", "dump_configs.py", dump_configs.write())
    manifest.rows("smart_resize.json", "dump_images.py", dump_images.smart_resize_table())
    manifest.rows("resize.json", "dump_images.py", dump_images.resize_table())
    manifest.tensors("pixel_values.safetensors", "dump_images.py", dump_images.pixel_values())
    manifest.rows("chat_template.json", "dump_text.py", dump_text.renderings())
    manifest.rows("tiny_tokenizer.json", "dump_text.py", dump_text.tiny_ids())
    manifest.rows("qwen_tokenizer.json", "dump_text.py", dump_text.qwen_ids())
    manifest.rows("windows.json", "dump_model.py", dump_model.windows())
    manifest.rows("prompts.json", "dump_model.py", dump_model.prompt_table())
    for variant in ("flat", "sharded"):
        print(variant)
        for name, arrays in dump_model.prompts(variant).items():
            manifest.tensors(f"{variant}_{name}.safetensors", "dump_model.py", arrays)
    print("media")
    media = "dump_media.py"
    manifest.rows("media.json", media, dump_media.media_table())
    manifest.rows("batches.json", media, dump_media.batch_table())
    manifest.rows("video_positions.json", media, dump_media.video_positions())
    manifest.rows("video_sampling.json", media, dump_media.video_sampling())
    manifest.rows("yarn.json", media, dump_media.yarn_table())
    manifest.tensors("yarn.safetensors", media, dump_media.yarn())
    for name, arrays in {**dump_media.media_goldens(), **dump_media.batches()}.items():
        manifest.tensors(f"media_{name}.safetensors", media, arrays)
    if arguments.llama_cpp:
        print("gguf")
        for name, arrays in dump_gguf.write(*arguments.llama_cpp).items():
            manifest.tensors(f"{name}.safetensors", "dump_gguf.py", arrays)
    else:
        for name in dump_gguf.GOLDENS:
            manifest.keep(f"{name}.safetensors", "dump_gguf.py")
    if arguments.autoawq:
        print("awq")
        for name, arrays in dump_awq.write(arguments.autoawq).items():
            manifest.tensors(f"{name}.safetensors", "dump_awq.py", arrays)
    else:
        for name in dump_awq.GOLDENS:
            manifest.keep(f"{name}.safetensors", "dump_awq.py")
    manifest.write()


if __name__ == "__main__":
    main()
