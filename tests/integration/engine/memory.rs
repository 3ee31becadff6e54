//! What does not fit into memory is refused with the numbers, before it takes any.

use handsight_model::memory::format_bytes;
use handsight_model::{CancelFlag, Engine, EngineOptions, ModelError, Quantization};
use handsight_tests::golden::{pattern, tiny_fixture};

use super::{answer, look, tiny};

fn allowed(memory: u64) -> EngineOptions {
    EngineOptions { memory: Some(memory), ..EngineOptions::default() }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_with_the_numbers() {
    let path = tiny_fixture("flat-f32");
    let plan = Engine::memory_plan_of(&path, &EngineOptions::default()).unwrap();
    let needed = plan.weight_bytes() + plan.loading_bytes;
    assert!(tiny(&allowed(needed)).info().parameters > 0);
    for memory in [needed - 1, plan.weight_bytes() - 1, 0] {
        let error = Engine::load(&path, &allowed(memory)).map(|_| ()).unwrap_err();
        assert!(matches!(error, ModelError::Memory { free, .. } if free == memory), "{error}");
        assert!(error.to_string().ends_with(&format!("{} are free", format_bytes(memory))));
        assert!(error.hint().unwrap().contains("--quantize"));
    }
    // Smaller weights need less.
    let quantize = Some(Quantization::Q4K);
    let smaller = EngineOptions { quantize, ..EngineOptions::default() };
    let smaller = Engine::memory_plan_of(&path, &smaller).unwrap();
    assert!(2 * smaller.weight_bytes() < plan.weight_bytes(), "{smaller:?}");
}

#[test]
fn a_request_that_does_not_fit_is_refused_and_the_engine_goes_on() {
    let plan = Engine::memory_plan_of(&tiny_fixture("flat-f32"), &EngineOptions::default());
    let plan = plan.unwrap();
    // Enough for the weights, but less than this process has taken already.
    let engine = tiny(&allowed(plan.weight_bytes() + plan.loading_bytes));
    let request = look("Click the button.", (140, 84, 3));
    let error = engine.generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap_err();
    let ModelError::RequestMemory { needed, free: 0 } = error else { panic!("{error}") };
    let grid = engine.processor().process(&pattern(140, 84, 3)).unwrap().grid;
    let tokens = engine.prompt_len(&request).unwrap();
    assert_eq!(needed, plan.request_bytes(tokens + 8, tokens, grid.patch_len()));
    assert!(needed >= (tokens as u64 + 8) * plan.kv_bytes_per_token);

    let engine = tiny(&allowed(1 << 40));
    assert_eq!(answer(&engine, &request).tokens.len(), 8);
}
