//! What several integration tests need: the binary, goldens and fixtures.

pub mod binary;
pub mod embedded_eval;
pub mod golden;
