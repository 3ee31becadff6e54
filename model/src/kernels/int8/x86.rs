//! The tile in the instructions of x86 processors: `vpdpbusd` multiplies four pairs of 8-bit numbers
//! and adds them to a 32-bit one, in every lane of a register.
//!
//! Here and below is `unsafe`, but for an advice of `huge_pages` the only of the project: the call of a
//! function that was compiled for instructions which the line before found to be there.
#![expect(unsafe_code, reason = "instructions that no library offers safely")]

mod amx;
mod blocks;

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32,
    _mm256_dpbusd_epi32, _mm256_mul_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_si256,
    _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_mul_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_si512,
};

use bytemuck::cast;

use super::kernel::{TileProduct, WIDTH};
pub(super) use amx::{STEP as TILE_STEP, Tiles};
pub(super) use blocks::{group_dots, round_block};

/// Sets of instructions that have VNNI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::kernels) enum Instructions {
    /// Of the matrix unit, with AVX-512 for the rest.
    Amx,
    /// Of AVX-512.
    Avx512,
    /// The same on registers half as wide.
    Avx512Vl,
    /// Of AVX2, as processors without AVX-512 have it.
    Avx,
}

impl Instructions {
    /// Every set that this processor has.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        let all = [Self::Amx, Self::Avx512, Self::Avx512Vl, Self::Avx];
        all.into_iter().filter(|instructions| match instructions {
            Self::Amx => amx::is_available(),
            Self::Avx512 | Self::Avx512Vl => has_avx512_vnni(),
            Self::Avx => has_avx_vnni(),
        })
    }

    /// Prepares this thread for products, where that is needed.
    pub(super) fn tiles(self) -> Option<Tiles> {
        (self == Self::Amx).then(Tiles::new)
    }

    pub(super) fn add(self, product: TileProduct<'_>) {
        match self {
            Self::Amx => amx::add(product),
            Self::Avx512 => add_avx512(product),
            Self::Avx512Vl => add_avx512vl(product),
            Self::Avx => add_avx(product),
        }
    }
}

fn has_avx512_vnni() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("f16c")
}

fn has_avx_vnni() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
}

/// Writes `$add` for one set of instructions.
///
/// Two registers of `$lanes` rows of weights meet `M` rows of activations, so that `2·M` registers
/// hold the sums; of twelve rows `$most` at once.
macro_rules! kernel {
    (
        fn $add:ident if $available:ident, $feature:literal, $most:literal rows, $lanes:literal lanes,
        $ints:ty: $splat:ident $zero:ident $multiply_add:ident,
        floats: $splat_floats:ident $from_ints:ident $multiply:ident $add_floats:ident
    ) => {
        fn $add(tile: TileProduct<'_>) {
            #[target_feature(enable = $feature)]
            fn whole(mut tile: TileProduct<'_>) {
                let rows = tile.scales.len();
                for column in (0..WIDTH).step_by(2 * $lanes) {
                    match rows {
                        12 => {
                            for row in (0..12).step_by($most) {
                                part::<$most>(&mut tile, row, column);
                            }
                        }
                        8 => {
                            part::<4>(&mut tile, 0, column);
                            part::<4>(&mut tile, 4, column);
                        }
                        _ => part::<4>(&mut tile, 0, column),
                    }
                }
            }

            /// `M` rows of activations from `row` on, two registers of weights from `column` on.
            #[target_feature(enable = $feature)]
            fn part<const M: usize>(tile: &mut TileProduct<'_>, row: usize, column: usize) {
                let rows = tile.scales.len();
                let mut sums = [[$zero(); 2]; M];
                for (sums, &sum) in sums.iter_mut().zip(&tile.sums[row..row + M]) {
                    *sums = [$splat(sum.wrapping_mul(-128)); 2];
                }
                let words = tile.xs.chunks_exact(rows).zip(&tile.panel.levels);
                for (xs, weights) in words {
                    let (weights, _) = weights[column..].as_chunks::<$lanes>();
                    let [low, high]: [$ints; 2] = [cast(weights[0]), cast(weights[1])];
                    for (sums, &x) in sums.iter_mut().zip(&xs[row..row + M]) {
                        let x = $splat(i32::from_le_bytes(x.map(i8::cast_unsigned)));
                        sums[0] = $multiply_add(sums[0], low, x);
                        sums[1] = $multiply_add(sums[1], high, x);
                    }
                }
                let scales = &tile.panel.scales;
                let rows = sums.iter().zip(&mut tile.ys[row..]).zip(&tile.scales[row..]);
                for ((sums, ys), &row_scale) in rows {
                    let (ys, _) = ys[column..].as_chunks_mut::<$lanes>();
                    let (scales, _) = scales[column..].as_chunks::<$lanes>();
                    for ((&sum, y), scale) in sums.iter().zip(ys).zip(scales) {
                        let product = $multiply($from_ints(sum), cast(*scale));
                        let product = $multiply(product, $splat_floats(row_scale));
                        *y = cast($add_floats(cast(*y), product));
                    }
                }
            }

            assert!($available());
            // SAFETY: the processor was just found to have the instructions.
            unsafe { whole(tile) }
        }
    };
}

kernel!(
    fn add_avx512 if has_avx512_vnni, "avx512f,avx512vnni", 12 rows, 16 lanes,
    __m512i: _mm512_set1_epi32 _mm512_setzero_si512 _mm512_dpbusd_epi32,
    floats: _mm512_set1_ps _mm512_cvtepi32_ps _mm512_mul_ps _mm512_add_ps
);

kernel!(
    fn add_avx512vl if has_avx512_vnni, "avx512f,avx512vl,avx512vnni", 6 rows, 8 lanes,
    __m256i: _mm256_set1_epi32 _mm256_setzero_si256 _mm256_dpbusd_epi32,
    floats: _mm256_set1_ps _mm256_cvtepi32_ps _mm256_mul_ps _mm256_add_ps
);

kernel!(
    fn add_avx if has_avx_vnni, "avx2,avxvnni", 6 rows, 8 lanes,
    __m256i: _mm256_set1_epi32 _mm256_setzero_si256 _mm256_dpbusd_avx_epi32,
    floats: _mm256_set1_ps _mm256_cvtepi32_ps _mm256_mul_ps _mm256_add_ps
);
