//! eˣ of a register of numbers.

use pulp::Simd;

/// Returns eˣ, to within 2 units in the last place. Below −87.3, where it leaves the range of f32, it
/// is about 10⁻³⁸, above 88.3 about 10³⁸.
///
/// # Source
///
/// The usual way: x = n·ln 2 + r with |r| ≤ ln 2 / 2, eʳ by its series, and n added to the exponent
/// (Cody and Waite, Software Manual for the Elementary Functions, 1980).
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// 1.5·2²³: a number added to it has its nearest integer in the lowest bits of the sum.
    const MAGIC: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// 1/k! from k = 6 down to 0.
    const SERIES: [f32; 7] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

    // By comparisons, which leave alone what is no number.
    let x =
        simd.select_f32s(simd.less_than_f32s(x, simd.splat_f32s(-87.3)), simd.splat_f32s(-87.3), x);
    let x =
        simd.select_f32s(simd.less_than_f32s(simd.splat_f32s(88.3), x), simd.splat_f32s(88.3), x);
    let shifted =
        simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(MAGIC));
    let n = simd.sub_f32s(shifted, simd.splat_f32s(MAGIC));
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_HIGH), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_LOW), r);
    let mut series = simd.splat_f32s(SERIES[0]);
    for &factor in &SERIES[1..] {
        series = simd.mul_add_e_f32s(series, r, simd.splat_f32s(factor));
    }
    let exponent =
        simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(series), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Exp(f32);

    impl WithSimd for Exp {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let y = exp(simd, simd.splat_f32s(self.0));
            simd.reduce_max_f32s(y)
        }
    }

    #[test]
    fn it_is_the_exponential() {
        let mut worst = 0.0_f64;
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(Arch::new().dispatch(Exp(x))) / exact - 1.0).abs();
            worst = worst.max(error);
        }
        assert!(worst < 2.5e-7, "{worst}");
        assert!(Arch::new().dispatch(Exp(f32::NEG_INFINITY)) < 2e-38);
        assert!(Arch::new().dispatch(Exp(1000.0)) > 1e38);
        assert!(Arch::new().dispatch(Exp(f32::NAN)).is_nan());
    }
}
