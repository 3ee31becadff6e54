"""Where fixtures and goldens live, relative to this folder."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "tiny-qwen2_5_vl"
FLAT = FIXTURE / "flat-f32"
SHARDED = FIXTURE / "sharded-bf16"
CONFIGS = FIXTURE / "configs"
QWEN_TOKENIZER = ROOT / "tests" / "fixtures" / "qwen2-tokenizer" / "tokenizer.json.gz"
GOLDEN = ROOT / "tests" / "golden"
