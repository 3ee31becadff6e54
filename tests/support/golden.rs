//! Goldens: what the reference computed, and the pictures it was given.
//!
//! `model/reference` writes them; `golden/MANIFEST.toml` says how. Everything here panics with a
//! sentence rather than return an error: only tests call it.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use flate2::read::GzDecoder;
use fs_err as fs;
use handsight_model::qwen2_5_vl::vision::Grid;
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Returns the folder of the goldens.
pub fn golden_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Returns a folder of the tiny checkpoints' fixture: `flat-f32`, `sharded-bf16` or `configs`.
pub fn tiny_fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl").join(name)
}

/// Returns the `tokenizer.json` of the released checkpoints.
///
/// # Panics
///
/// Panics if the fixture is damaged.
pub fn qwen_tokenizer_json() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/qwen2-tokenizer");
    let file = fs::File::open(path.join("tokenizer.json.gz")).expect("the fixture is committed");
    let mut json = Vec::new();
    let read = GzDecoder::new(file).read_to_end(&mut json);
    read.expect("the fixture is a gzip file");
    json
}

/// Returns the picture of gradients and steps that `model/reference/pattern.py` draws.
pub fn pattern(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let red = 7 * x + 3 * y + 31 * seed;
        let green = 5 * x + 11 * y + 57 * seed;
        let blue = 40 * (x / 5 + y / 3) + 83 * seed;
        Rgb([red, green, blue].map(|level| level.to_le_bytes()[0]))
    })
}

/// Returns the rows of a JSON golden.
///
/// # Panics
///
/// Panics if there is no such golden or it is not a list.
pub fn rows(file: &str) -> Vec<Value> {
    let path = golden_dir().join(file);
    let text = fs::read_to_string(&path).expect("the golden is committed");
    match serde_json::from_str(&text) {
        Ok(Value::Array(rows)) => rows,
        other => panic!("`{}` is not a JSON list: {other:?}", path.display()),
    }
}

/// The tensors of one golden file.
#[derive(Debug)]
pub struct Golden {
    name: String,
    tensors: HashMap<String, Tensor>,
}

impl Golden {
    /// Opens `golden/{name}.safetensors`.
    ///
    /// # Panics
    ///
    /// Panics if there is no such golden.
    pub fn open(name: &str) -> Self {
        let path = golden_dir().join(format!("{name}.safetensors"));
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu)
            .unwrap_or_else(|err| panic!("golden `{name}` cannot be read: {err}"));
        Self { name: name.to_owned(), tensors }
    }

    /// Returns whether the golden has a tensor `key`.
    pub fn has(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    /// Returns the tensor `key`.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn tensor(&self, key: &str) -> &Tensor {
        self.tensors.get(key).unwrap_or_else(|| panic!("golden `{}` has no `{key}`", self.name))
    }

    /// Returns the values of an f32 tensor, row-major.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn floats(&self, key: &str) -> Vec<f32> {
        floats(self.tensor(key))
    }

    /// Returns the values of an i64 tensor, row-major.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn integers(&self, key: &str) -> Vec<i64> {
        let flat = self.tensor(key).flatten_all().and_then(|tensor| tensor.to_vec1());
        flat.unwrap_or_else(|err| panic!("`{key}` of golden `{}` is not i64: {err}", self.name))
    }

    /// Returns the values of an i64 tensor of token ids.
    ///
    /// # Panics
    ///
    /// Panics if there is none, or one does not fit.
    pub fn token_ids(&self, key: &str) -> Vec<u32> {
        let ids = self.integers(key).into_iter().map(u32::try_from);
        ids.collect::<Result<_, _>>().expect("token ids are not negative")
    }

    /// Returns the grids of the case's images; none if it has no image.
    pub fn grids(&self) -> Vec<Grid> {
        if !self.has("grid_thw") {
            return Vec::new();
        }
        self.integers("grid_thw").chunks_exact(3).map(grid).collect()
    }
}

/// Returns the grid of three integers: time, height, width.
///
/// # Panics
///
/// Panics unless there are three, none negative.
pub fn grid(thw: &[i64]) -> Grid {
    let side = |at: usize| usize::try_from(thw[at]).expect("grid sides are not negative");
    Grid { time: side(0), height: side(1), width: side(2) }
}

/// Returns the values of an f32 tensor, row-major.
///
/// # Panics
///
/// Panics if it is not one.
pub fn floats(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.flatten_all().and_then(|tensor| tensor.to_vec1());
    flat.unwrap_or_else(|err| panic!("not an f32 tensor: {err}"))
}

/// Returns the largest absolute difference of two lists.
///
/// # Panics
///
/// Panics if their lengths differ or a difference is not a number.
pub fn max_difference(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len(), "as many values as the golden");
    let differences = actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
    differences.fold(0.0, |max, difference| {
        assert!(difference.is_finite(), "a difference is {difference}");
        max.max(difference)
    })
}

/// Checks that no value is further than `tolerance` from the golden's, and prints how far the
/// furthest is.
///
/// # Panics
///
/// Panics with `what` and the difference otherwise.
#[track_caller]
#[expect(
    clippy::print_stdout,
    reason = "the measured difference, shown when a test is asked for it"
)]
pub fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    let difference = max_difference(actual, expected);
    println!("{what}: max difference {difference:.1e}, tolerance {tolerance:.0e}");
    assert!(difference <= tolerance, "{what}: {difference} is more than {tolerance}");
}
