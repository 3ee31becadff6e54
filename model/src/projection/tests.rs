//! Every form of the weights against the plain product.

use candle_core::quantized::GgmlDType;
use candle_core::{Device, Tensor};
use half::{bf16, f16};

use super::{HalfWeights, Projection, quantize};

/// Numbers like those of a layer, the same every time.
fn values(n: usize, scale: f32) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as u16) / 65536.0 - 0.5
    };
    (0..n).map(|_| scale * (next() + next() + next())).collect()
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn quantized(dtype: GgmlDType, dense: &[f32], cols: usize) -> Vec<u8> {
    let read = |at: usize, out: &mut [f32]| {
        out.copy_from_slice(&dense[at..at + out.len()]);
        Ok(())
    };
    quantize(dtype, dense.len(), cols, read).unwrap()
}

/// The root of the mean square of the difference, over that of `expected`.
fn relative_error(got: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(got.dims(), expected.dims());
    let square = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>();
    let (got, expected) = (flat(got), flat(expected));
    let difference: Vec<f32> = got.iter().zip(&expected).map(|(a, b)| a - b).collect();
    (square(&difference) / square(&expected)).sqrt()
}

#[test]
fn rows_of_any_batch_are_multiplied_alike() {
    let weight = tensor(values(12, 1.0), &[4, 3]);
    let projection = Projection::dense(weight.clone()).with_bias(tensor(values(4, 1.0), &[4]));
    let xs = tensor(values(18, 1.0), &[6, 3]);
    let ys = projection.forward(&xs).unwrap();
    assert_eq!(ys.dims(), [6, 4]);
    let batched = projection.forward(&xs.reshape((2, 3, 3)).unwrap()).unwrap();
    assert_eq!(batched.dims(), [2, 3, 4]);
    assert_eq!(flat(&ys), flat(&batched));
    let expected = xs.matmul(&weight.t().unwrap()).unwrap();
    let bias = tensor(values(4, 1.0), &[4]);
    assert_eq!(flat(&ys), flat(&expected.broadcast_add(&bias).unwrap()));
    assert_eq!(projection.resident_bytes(), 4 * (12 + 4));
}

/// 16-bit weights are those numbers exactly, so that only the order of additions differs; whatever
/// the number of rows, and for widths that fit no register.
#[test]
fn half_weights_give_the_product_of_what_they_are() {
    for (rows, cols) in [(5, 3), (70, 1031), (33, 256), (1100, 1024)] {
        let dense = values(rows * cols, 0.02);
        let as_bf16: Vec<bf16> = dense.iter().map(|&value| bf16::from_f32(value)).collect();
        // Of f16 the smallest numbers, too, which are stored without a leading one.
        let as_f16: Vec<f16> = dense
            .iter()
            .zip(0..)
            .map(|(&value, i)| f16::from_f32(if i % 7 == 0 { value * 1e-4 } else { value }))
            .collect();
        let exact = [
            as_bf16.iter().map(|value| value.to_f32()).collect::<Vec<_>>(),
            as_f16.iter().map(|value| value.to_f32()).collect(),
        ];
        let forms = [HalfWeights::Bf16(as_bf16), HalfWeights::F16(as_f16)];
        for (form, exact) in forms.into_iter().zip(exact) {
            let half = Projection::half(form, cols);
            let dense = Projection::dense(tensor(exact.clone(), &[rows, cols]));
            assert_eq!(2 * half.resident_bytes(), dense.resident_bytes());
            for n in [1, 2, 3, 4, 7, 16, 17, 40] {
                let xs = tensor(values(n * cols, 3.0), &[n, cols]);
                let error =
                    relative_error(&half.forward(&xs).unwrap(), &dense.forward(&xs).unwrap());
                assert!(error < 2e-6, "{rows}×{cols}, {n} rows: {error}");
            }
            let indices = Tensor::new(&[rows as u32 - 1, 0, 2], &Device::Cpu).unwrap();
            assert_eq!(flat(&half.rows(&indices).unwrap()), flat(&dense.rows(&indices).unwrap()));
            let outside = Tensor::new(&[rows as u32], &Device::Cpu).unwrap();
            assert!(half.rows(&outside).is_err());
        }
    }
}

/// The weights of a quantised matrix are what its blocks say. If activations may be rounded to 8 bits,
/// they are off by about a hundredth.
#[test]
fn quantised_weights_give_the_product_of_what_they_are() {
    use GgmlDType::{Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    // The error of the weights themselves, to see that the types do what they are for.
    let types = [
        (Q4_0, 0.12),
        (Q4_1, 0.12),
        (Q5_0, 0.06),
        (Q5_1, 0.06),
        (Q8_0, 0.008),
        (Q2K, 0.35),
        (Q3K, 0.2),
        (Q4K, 0.1),
        (Q5K, 0.05),
        (Q6K, 0.025),
    ];
    for (dtype, loss) in types {
        for (rows, cols) in [(96, 512), (4100, 256)] {
            let dense = values(rows * cols, 0.02);
            let bytes = quantized(dtype, &dense, cols);
            let blocks = Projection::blocks(dtype, bytes, (rows, cols)).unwrap();
            let all = Tensor::arange(0, rows as u32, &Device::Cpu).unwrap();
            let exact = blocks.rows(&all).unwrap();
            let error = relative_error(&exact, &tensor(dense, &[rows, cols]));
            assert!(error < loss, "{dtype:?}: {error}");
            let dense = Projection::dense(exact);
            let rounding = blocks.clone().with_rounding(true);
            for n in [1, 24, 25, 50] {
                let xs = tensor(values(n * cols, 3.0), &[n, cols]);
                let expected = dense.forward(&xs).unwrap();
                let error = relative_error(&blocks.forward(&xs).unwrap(), &expected);
                assert!(error < 2e-6, "{dtype:?} {rows}×{cols}, {n} rows: {error}");
                let error = relative_error(&rounding.forward(&xs).unwrap(), &expected);
                assert!(error < 0.02, "{dtype:?} {rows}×{cols}, {n} rows, rounded: {error}");
            }
        }
    }
}

/// Guessed tokens go through the decoder together, and must come out as if each had gone alone.
#[test]
fn few_rows_have_the_bits_that_each_has_alone() {
    use GgmlDType::{Q4K, Q5_0, Q5K, Q6K, Q8_0};
    let (rows, cols) = (71, 768);
    let dense = values(rows * cols, 0.02);
    let halves = dense.iter().map(|&value| bf16::from_f32(value)).collect();
    let mut forms = vec![
        Projection::dense(tensor(dense.clone(), &[rows, cols])),
        Projection::half(HalfWeights::Bf16(halves), cols),
    ];
    for dtype in [Q4K, Q5_0, Q5K, Q6K, Q8_0] {
        let bytes = quantized(dtype, &dense, cols);
        let blocks = Projection::blocks(dtype, bytes, (rows, cols)).unwrap();
        forms.extend([blocks.clone(), blocks.with_rounding(true)]);
    }
    let xs = values(super::MOST_FEW_ROWS * cols, 3.0);
    for form in &forms {
        let multiply = |xs: &[f32]| {
            flat(&form.forward(&tensor(xs.to_vec(), &[xs.len() / cols, cols])).unwrap())
        };
        let alone: Vec<f32> = xs.chunks(cols).flat_map(multiply).collect();
        for n in 2..=form.few_rows() {
            assert!(multiply(&xs[..n * cols]) == alone[..n * rows], "{form:?}, {n} rows");
        }
    }
}

/// 3420, the width of the vision MLP of the 3B and 7B, fits no block.
#[test]
fn rows_that_fit_no_block_are_filled_up() {
    let (rows, cols) = (8, 3420 / 4 - 3);
    let dense = values(rows * cols, 0.02);
    let bytes = quantized(GgmlDType::Q8_0, &dense, cols);
    let blocks = Projection::blocks(GgmlDType::Q8_0, bytes, (rows, cols)).unwrap();
    let dense = Projection::dense(tensor(dense, &[rows, cols]));
    for n in [2, 30] {
        let xs = tensor(values(n * cols, 3.0), &[n, cols]);
        let error = relative_error(&blocks.forward(&xs).unwrap(), &dense.forward(&xs).unwrap());
        assert!(error < 0.01, "{n} rows: {error}");
        let rounding = blocks.clone().with_rounding(true);
        let error = relative_error(&rounding.forward(&xs).unwrap(), &dense.forward(&xs).unwrap());
        assert!(error < 0.02, "{n} rows, rounded: {error}");
    }
    assert!(blocks.forward(&tensor(values(cols + 3, 1.0), &[1, cols + 3])).is_err());
}

/// Rows that end within 256 columns are taken apart in another way.
#[test]
fn narrow_blocks_may_end_anywhere() {
    for cols in [256, 288] {
        let dense = values(8 * cols, 0.02);
        let bytes = quantized(GgmlDType::Q5_0, &dense, cols);
        let blocks = Projection::blocks(GgmlDType::Q5_0, bytes, (8, cols)).unwrap();
        let dense = Projection::dense(tensor(dense, &[8, cols]));
        for n in [1, 30] {
            let xs = tensor(values(n * cols, 3.0), &[n, cols]);
            let error = relative_error(&blocks.forward(&xs).unwrap(), &dense.forward(&xs).unwrap());
            assert!(error < 0.06, "{cols} columns, {n} rows: {error}");
        }
    }
}

#[test]
fn blocks_that_do_not_fit_the_shape_are_refused() {
    let err = Projection::blocks(GgmlDType::Q4K, vec![0; 143], (1, 256));
    assert!(err.unwrap_err().to_string().contains("take 144 bytes, but 143 are there"));
}
