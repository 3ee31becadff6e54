//! Files and bytes from outside → pictures a model can be shown: images and sampled videos.
//!
//! Everything here may come from a stranger, so sizes are read and checked before memory is taken
//! for them, and every wait has an end.

pub mod image;
pub mod video;

mod error;

pub use error::MediaError;
