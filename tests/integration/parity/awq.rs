//! A checkpoint that `AutoAWQ` packed: what transformers computes from the weights that `AutoAWQ`'s own
//! code reads in it.

use handsight_model::{Engine, EngineOptions};
use handsight_tests::golden::{Golden, assert_close, tiny_fixture};

use super::cases;
use super::model::prompt_logits;

/// What logits may differ by: the order of additions, as everywhere. No weight is rounded.
const TOLERANCE: f32 = 1e-4;

/// Goldens: `awq_*`.
#[test]
fn a_packed_checkpoint_means_what_autoawq_reads_in_it() {
    let options = EngineOptions { exact: true, ..EngineOptions::default() };
    let engine = Engine::load(&tiny_fixture("flat-awq"), &options).unwrap();
    for case in cases().into_iter().filter(|case| ["tiny", "two_images"].contains(&&*case.name)) {
        let golden = Golden::open(&format!("awq_{}", case.name));
        let logits = prompt_logits(&engine, &case, &golden, usize::MAX);
        let kept = golden.integers("logit_positions");
        let kept: Vec<f32> =
            kept.iter().flat_map(|&at| logits[usize::try_from(at).unwrap()].clone()).collect();
        assert_close(&format!("{}: logits", case.name), &kept, &golden.floats("logits"), TOLERANCE);
    }
}
