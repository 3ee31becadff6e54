//! `ask`.

use std::path::PathBuf;

use clap::Args;

use super::ModelArgs;

/// `ask`.
#[derive(Debug, Args)]
#[command(override_usage = "handsight ask [OPTIONS] [IMAGE]... <QUESTION>")]
pub(crate) struct AskArgs {
    /// The pictures, `-` for one on stdin, and last the question.
    // One list, since the parser cannot tell a last word that stands behind an option.
    #[arg(required = true, value_name = "IMAGE... QUESTION")]
    pub(crate) words: Vec<String>,

    /// A video to show, too: a file, an animated GIF or a folder of frames; may be repeated.
    #[arg(long, value_name = "VIDEO")]
    pub(crate) video: Vec<PathBuf>,

    /// Frames a second to take of a video, 2 by default; of a folder, how many it has.
    #[arg(long, value_name = "N", requires = "video", value_parser = parse_fps)]
    pub(crate) fps: Option<f64>,

    /// Answer in JSON that follows the JSON Schema in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "regex")]
    pub(crate) schema: Option<PathBuf>,

    /// Answer with a text that matches this regular expression as a whole.
    #[arg(long, value_name = "REGEX")]
    pub(crate) regex: Option<String>,

    #[command(flatten)]
    pub(crate) generate: GenerateArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// How an answer is generated.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The most tokens of the answer.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=131_072))]
    pub(crate) max_tokens: u32,

    /// How freely words are drawn, up to 2; 0 takes the likeliest.
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = parse_temperature)]
    pub(crate) temperature: f64,

    /// Makes what is drawn at a temperature repeatable.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,

    /// End the answer before this text; may be repeated.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) stop: Vec<String>,
}

fn parse_fps(text: &str) -> Result<f64, String> {
    within(text, 0.001, 240.0)
}

fn parse_temperature(text: &str) -> Result<f64, String> {
    within(text, 0.0, 2.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(parse_fps("0.5"), Ok(0.5));
        assert_eq!(parse_temperature("2"), Ok(2.0));
        for bad in ["", "x", "nan", "inf", "-1", "1e9"] {
            assert!(parse_fps(bad).is_err() && parse_temperature(bad).is_err(), "{bad}");
        }
        assert!(parse_fps("0").is_err());
    }
}
