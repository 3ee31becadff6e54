//! A model spread over several devices answers as it does on one. There is no GPU here: one is
//! pretended, on which candle's own operations compute in the dtype a GPU would.

use candle_core::{Device, Tensor};
use handsight_model::{DeviceKind, DeviceMap, DeviceShare, Engine, EngineOptions, WeightDtype};
use handsight_tests::golden::tiny_fixture;

use super::{answer, assert_same, look, tiny};

fn share(kind: DeviceKind, limit: Option<u64>) -> DeviceShare {
    DeviceShare { kind, limit }
}

fn on(shares: &[DeviceShare], dtype: Option<WeightDtype>) -> EngineOptions {
    EngineOptions { devices: DeviceMap::On(shares.to_vec()), dtype, ..EngineOptions::default() }
}

fn weight_bytes() -> u64 {
    let plan = Engine::memory_plan_of(&tiny_fixture("flat-f32"), &EngineOptions::default());
    plan.unwrap().weight_bytes()
}

#[test]
fn layers_on_several_devices_answer_as_on_one() {
    use DeviceKind::{Cpu, Pretended};
    // The vision tower and the embedding are a little more than half, two layers a little less than
    // a quarter.
    let limits = [weight_bytes() * 3 / 5, weight_bytes() / 4];
    let request = look("Click the button.", (140, 84, 3));
    let expected = answer(&tiny(&EngineOptions::default()), &request);
    for kinds in [[Cpu, Cpu, Cpu], [Pretended, Cpu, Pretended], [Cpu, Pretended, Cpu]] {
        let [a, b, c] = kinds;
        let options =
            on(&[share(a, Some(limits[0])), share(b, Some(limits[1])), share(c, None)], None);
        let engine = tiny(&options);
        let weights = &engine.memory_plan().weights;
        assert!(weights.iter().all(|weights| weights.bytes > 0), "{weights:?}");
        assert!(weights.iter().zip(limits).all(|(weights, limit)| weights.bytes <= limit));
        assert_eq!(engine.memory_plan().weight_bytes(), weight_bytes());
        assert_same(&answer(&engine, &request), &expected);
        // And again, now from what it remembers.
        assert_same(&answer(&engine, &request), &expected);
    }
}

#[test]
fn sixteen_bits_on_a_gpu_are_close_to_thirty_two_on_the_cpu() {
    let expected = logits(&tiny(&EngineOptions::default()));
    let norm = |xs: &mut dyn Iterator<Item = f32>| xs.map(|x| x * x).sum::<f32>().sqrt();
    let half = Some(weight_bytes() * 3 / 5);
    // f16 has eight times the precision of bf16 in the decoder, and the vision tower in f32.
    for (dtype, tolerance) in [(WeightDtype::Bf16, 5e-2), (WeightDtype::F16, 5e-2 / 8.0)] {
        let gpu = share(DeviceKind::Pretended, None);
        let gpu_and_cpu = [share(DeviceKind::Pretended, half), share(DeviceKind::Cpu, None)];
        for shares in [&[gpu][..], &gpu_and_cpu] {
            let actual = logits(&tiny(&on(shares, Some(dtype))));
            let error = norm(&mut actual.iter().zip(&expected).map(|(a, b)| a - b))
                / norm(&mut expected.iter().copied());
            // Rounded it must be, or the weights were f32 after all.
            assert!((1e-6..tolerance).contains(&error), "{dtype} on {shares:?}: {error}");
        }
    }
}

/// The logits of every token of a prompt with a picture.
fn logits(engine: &Engine) -> Vec<f32> {
    let model = engine.model();
    let request = look("Click the button.", (140, 84, 3));
    let ids = engine.prompt_tokens(&request).unwrap();
    let image = engine.processor().process(&handsight_tests::golden::pattern(140, 84, 3)).unwrap();
    let shape = (image.grid.patch_len(), 1176);
    let pixels: Tensor = Tensor::from_vec(image.pixel_values, shape, &Device::Cpu).unwrap();
    let features = model.image_features(&pixels, &[image.grid]).unwrap();
    let embeddings = model.embed(&ids, Some(&features)).unwrap();
    let positions: Vec<[u32; 3]> = (0..).take(ids.len()).map(|at| [at; 3]).collect();
    let hidden = model.forward(&embeddings, &positions, &mut model.new_cache()).unwrap();
    let logits = model.logits(&hidden).unwrap().to_dtype(candle_core::DType::F32).unwrap();
    logits.flatten_all().unwrap().to_vec1().unwrap()
}
