//! `bench`.

use std::path::PathBuf;

use clap::Args;

use super::ModelArgs;

/// `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The screenshot to look at; by default a drawn one of `--size`.
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    pub(crate) image: Option<PathBuf>,

    /// The size of the drawn screenshot.
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = parse_size)]
    pub(crate) size: (u32, u32),

    /// Tokens of the prompt, beside those of the image.
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) prompt_tokens: u32,

    /// Tokens of the answer.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) new_tokens: u32,

    /// How often to measure; the middle one of each figure is shown, with the range.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: u32,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (28..=8192).contains(side));
    let sides = text.split_once(['x', '×']);
    let size = sides.and_then(|(width, height)| Some((side(width)?, side(height)?)));
    size.ok_or_else(|| "expected a size such as `1280x720`, each side from 28 to 8192".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(parse_size("640x480"), Ok((640, 480)));
        for bad in ["", "640", "640x", "27x27", "9000x1", "-1x9"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
