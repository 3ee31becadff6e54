//! Every kernel against the plain sum, and against each other.

use super::*;
use crate::kernels::product::{Linear, linear};
use crate::kernels::rows::Dense;

/// The instructions round a block as the plain loop does.
#[test]
fn blocks_are_rounded_alike() {
    /// `scales` is where the second bytes of numbers in 16 bits are.
    fn check<K: KType>(scales: &[usize]) {
        let mut state = 1_u32;
        for _ in 0..50 {
            let mut block: Vec<u8> = (0..K::BYTES)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                })
                .collect();
            // Scales of a usual size.
            for &at in scales {
                block[at] = 0x28 | block[at] & 3;
            }
            let (mut fast, mut plain) = ([0; DEPTH], [0; DEPTH]);
            let scale = round_block::<K>(&block, &mut fast);
            let parts = K::parts(&block);
            let (plain_scale, inverse) = parts.scale(K::MOST);
            for (at, level) in plain.iter_mut().enumerate() {
                let (scale, offset) =
                    (parts.scales[at / GROUP] * inverse, parts.offsets[at / GROUP] * inverse);
                *level = nearest(f32::from(parts.levels[at]).mul_add(scale, -offset)) as i8;
            }
            assert_eq!((scale, fast), (plain_scale, plain));
        }
    }
    check::<crate::kernels::k_quants::Q4K>(&[1, 3]);
    check::<crate::kernels::k_quants::Q5K>(&[1, 3]);
    check::<crate::kernels::k_quants::Q6K>(&[209]);
    check::<crate::kernels::k_quants::Q5Zero>(
        &[0, 1, 2, 3, 4, 5, 6, 7].map(|block| 22 * block + 1),
    );
}

/// The product by one kernel.
fn matmul(kernel: Kernel, weights: &Dense<'_, f32>, xs: &[f32], n: usize) -> Vec<f32> {
    let (rows, cols) = Rows::dims(weights);
    let mut ys = vec![f32::NAN; n * rows];
    let xs = Integers::new(kernel, xs, n, cols);
    linear(&xs, Linear { weights, bias: None }, None, &mut ys);
    ys
}

/// Numbers like those of a layer, the same every time.
fn values(n: usize, scale: f32) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as u16) / 65536.0 - 0.5
    };
    (0..n).map(|_| scale * (next() + next() + next())).collect()
}

/// What the rounded numbers give in f64.
fn plain(weights: &[f32], xs: &[f32], cols: usize) -> Vec<f32> {
    let rounded = |row: &[f32]| -> Vec<f64> {
        row.chunks(DEPTH)
            .flat_map(|part| {
                let largest = part.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
                let scale = f64::from(largest) / 127.0;
                let level = move |x: &f32| (x * (127.0 / largest)).round_ties_even();
                part.iter()
                    .map(move |x| if largest > 0.0 { f64::from(level(x)) * scale } else { 0.0 })
            })
            .collect()
    };
    let weights: Vec<Vec<f64>> = weights.chunks(cols).map(rounded).collect();
    let dot = |x: &[f64], w: &Vec<f64>| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() as f32;
    xs.chunks(cols)
        .map(rounded)
        .flat_map(|x| weights.iter().map(move |w| dot(&x, w)).collect::<Vec<_>>())
        .collect()
}

/// Odd numbers of rows and columns, more than one depth, block and panel, and tiles of every height.
#[test]
fn all_kernels_give_the_product_of_the_rounded_numbers() {
    for (rows, cols) in [(1, 1), (5, 7), (33, 260), (70, 1031), (64, 512), (37, 4111)] {
        let weights = values(rows * cols, 0.02);
        for n in [1, 4, 5, 12, 13, 20, 31] {
            let xs = values(n * cols, 3.0);
            let expected = plain(&weights, &xs, cols);
            let size = expected.iter().map(|y| y.abs()).fold(0.0, f32::max);
            let mut first: Option<Vec<f32>> = None;
            for kernel in Kernel::available() {
                let ys = matmul(kernel, &Dense { weights: &weights, cols }, &xs, n);
                for (y, expected) in ys.iter().zip(&expected) {
                    let off = (y - expected).abs();
                    assert!(off <= 2e-6 * size, "{kernel:?} {rows}×{cols}, {n}: {y} {expected}");
                }
                let first = first.get_or_insert_with(|| ys.clone());
                assert_eq!(*first, ys, "{kernel:?} differs from another kernel");
            }
        }
    }
}

#[test]
fn a_large_number_makes_only_its_own_run_coarse() {
    let cols = 2 * DEPTH;
    let weights = values(8 * cols, 0.02);
    let product = |xs: &[f32]| matmul(Kernel::Scalar, &Dense { weights: &weights, cols }, xs, 1);
    let mut xs = values(cols, 1.0);
    xs[3] = 1000.0;
    let runs = |from: usize, to: usize| -> Vec<f32> {
        xs.iter().enumerate().map(|(i, &x)| if (from..to).contains(&i) { x } else { 0.0 }).collect()
    };
    let (whole, first) = (product(&xs), product(&runs(0, DEPTH)));
    let second = runs(DEPTH, cols);
    for (row, weights) in weights.chunks(cols).enumerate() {
        let exact: f32 = weights.iter().zip(&second).map(|(w, x)| w * x).sum();
        assert!((whole[row] - first[row] - exact).abs() < 0.01, "{} {exact}", whole[row]);
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let weights = values(2 * 300, 0.02);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut xs = values(300, 1.0);
        xs[299] = bad;
        for kernel in Kernel::available() {
            let ys = matmul(kernel, &Dense { weights: &weights, cols: 300 }, &xs, 1);
            assert!(ys.iter().all(|y| y.is_nan()), "{kernel:?}: {ys:?}");
        }
    }
}
