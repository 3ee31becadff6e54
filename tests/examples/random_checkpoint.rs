//! `cargo run --release -p handsight-tests --example random_checkpoint -- FOLDER [3b|7b] [LAYERS DEPTH] [awq]`:
//! writes a checkpoint of a released size with random weights, to measure on.

use std::path::Path;

use anyhow::{Context, Result, bail};
use handsight_tests::random_checkpoint::{Shape, write_random_checkpoint};

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let awq = words.pop_if(|word| word == "awq").is_some();
    let dir = words.first().context("name the folder to write")?;
    let mut shape = match words.get(1).map(String::as_str) {
        None | Some("3b") => Shape::B3,
        Some("7b") => Shape::B7,
        Some(other) => bail!("`{other}` is neither `3b` nor `7b`"),
    };
    if let [layers, depth] = words.get(2..).unwrap_or_default() {
        (shape.layers, shape.depth) = (layers.parse()?, depth.parse()?);
    }
    shape.awq = awq;
    write_random_checkpoint(Path::new(dir), &shape)
}
