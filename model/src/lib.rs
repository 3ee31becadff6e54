//! Qwen2.5-VL on [candle](candle_core): load a checkpoint, process images, generate an answer.
//!
//! The crate knows tensors, tokens and JSON Schema; it knows nothing of screens or actions. An
//! [`Engine`] is a checkpoint with everything around it:
//!
//! ```
//! use handsight_model::{CancelFlag, Engine, GenerateOptions, Message, Request};
//!
//! let engine = Engine::embedded()?;
//! let image = image::RgbImage::from_pixel(224, 112, image::Rgb([255; 3]));
//! let request = Request {
//!     messages: vec![Message::image_and_text(0, "click \"Save\"")],
//!     images: vec![image.into()],
//!     options: GenerateOptions { max_new_tokens: 16, ..Default::default() },
//!     ..Default::default()
//! };
//! let answer = engine.generate(&request, &mut |_token| {}, &CancelFlag::default())?;
//! assert_eq!(answer.stats.image_tokens, 8 * 4);
//! # Ok::<(), handsight_model::ModelError>(())
//! ```
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tensor sizes fit in f64 and u32, and pixel arithmetic is bounded"
)]

pub mod chat;
#[cfg(feature = "hub")]
pub mod hub;
pub mod kv_cache;
pub mod media;
pub mod memory;
pub mod processor;
pub mod qwen2_5_vl;
pub mod tokenizer;
#[doc(hidden)]
pub mod untrusted;

mod answer_text;
mod batch;
mod checkpoint;
mod constraint;
mod device_map;
mod draft;
mod engine;
mod error;
mod files;
mod gguf;
mod huge_pages;
mod kernels;
mod measure;
mod placement;
mod prefix_cache;
mod prefix_store;
mod projection;
mod prompt;
mod request;
mod sampler;
mod scheduler;
mod sequence;
mod vision_cache;
mod weights;

pub use chat::{Message, Part, Role, ToolCall};
pub use constraint::Constraint;
pub use device_map::{DeviceKind, DeviceMap, DeviceShare};
pub use engine::{CacheCounts, CheckpointInfo, Engine, EngineOptions};
pub use error::ModelError;
pub use gguf::{ConvertProgress, ConvertReport, GgufType, convert};
pub use measure::{Steps, TOGETHER, Workload, dictate, measure};
pub use request::{
    CancelFlag, Completion, GenerateOptions, ImageInput, PixelLimits, Request, Stats, StopReason,
    TokenInfo, TopToken, VideoInput,
};
pub use sampler::Sampling;
pub use scheduler::{Event, Scheduler, SchedulerLimits, SchedulerStats};
pub use weights::{Quantization, WeightDtype};
