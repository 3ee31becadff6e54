//! Benchmarks: public sets of pictures and instructions, asked once and scored many ways.
//!
//! Everything between the stages is a plain file. *Import* turns whatever a set is published as into one
//! form ([`Item`]) and refuses what cannot be judged; *infer* asks a model and writes down what it wrote
//! ([`Prediction`]), never only what was read out of it; a [`Scorer`] judges that, its published quirks
//! included, as often as one likes and without the model; a [`Summary`] counts, with intervals.
//!
//! What a figure depends on stands in the [`RunManifest`], whose hash is the run's name: predictions of
//! unlike runs are never mixed.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts fit in f64, and shares of a picture's sides in u32"
)]

pub mod answer;
pub mod curve;
pub mod dataset;
pub mod diff;
pub mod import;
pub mod infer;
pub mod item;
mod lines;
pub mod merge;
pub mod prediction;
pub mod region;
pub mod run;
pub mod scorer;
pub mod selfcheck;
pub mod statistics;
pub mod summary;

pub use dataset::{Dataset, DatasetError};
pub use item::{Item, Step, StepKind, Target};
pub use prediction::{Look, Prediction, PredictionError};
pub use run::{Run, RunManifest};
pub use scorer::{Judged, Outcome, Scorer};
pub use summary::Summary;
