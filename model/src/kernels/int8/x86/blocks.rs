//! Blocks of the K types in registers of AVX-512: taken apart, multiplied and rounded.
//!
//! Arrays are filled in loops: a closure that is handed to `map` would not be compiled into its place. Nor
//! would be, with the optimiser's usual budget, a function that takes a block apart, and a call for each
//! block costs as much as its multiplications. So these functions are always compiled into their place,
//! which a function with instructions of its own cannot be told: they have those of whoever calls them.
#![expect(unsafe_code, reason = "instructions that no library offers safely")]

use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _MM_HINT_T0, _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_prefetch,
    _mm256_slli_epi16, _mm256_srli_epi16, _mm512_abs_ps, _mm512_add_ps, _mm512_and_si512,
    _mm512_castsi256_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
    _mm512_fmsub_ps, _mm512_fnmadd_ps, _mm512_inserti64x4, _mm512_max_ps, _mm512_mul_ps,
    _mm512_or_si512, _mm512_permutexvar_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps,
    _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_sub_ps,
};

use bytemuck::{cast, pod_read_unaligned};

use super::has_avx512_vnni;
use crate::kernels::int8::dots::Block;
use crate::kernels::k_quants::{BLOCK, GROUP, KType, Layout};

/// A block taken apart: a weight is `scale · scales · level − offset · offsets` of its group.
struct Lanes {
    /// 64 to a register.
    levels: [__m512i; BLOCK / 64],
    /// One for each group.
    scales: __m512,
    offsets: __m512,
    scale: f32,
    offset: f32,
}

/// How many bytes before they are needed weights are asked for: the processor itself looks ahead only
/// within a page.
const AHEAD: usize = 2048;

/// Which scale each lane of the four registers of a block is multiplied with.
const SCALES: [[i32; 16]; 4] = {
    const fn fours(first: i32) -> [i32; 16] {
        let [a, b, c, d] = [first, first + 1, first + 2, first + 3];
        [a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d]
    }
    assert!(GROUP == 16);
    [fours(0), fours(4), fours(8), fours(12)]
};

/// For each group, the first or the second eight of numbers that two neighbours share.
const SHARED: [[i32; 16]; 2] = [
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7],
    [8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15],
];

/// Asks the memory for as much as a block, [`AHEAD`] of this one.
#[inline]
#[target_feature(enable = "sse")]
fn ask_ahead(block: &[u8]) {
    for line in (0..block.len()).step_by(64) {
        // It may point anywhere: nothing is read that could be seen.
        _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(AHEAD + line).cast());
    }
}

/// Takes a block apart.
///
/// # Safety
/// As of all unsafe functions here: the caller is compiled for AVX-512 (F, BW) and F16C.
#[inline(always)]
unsafe fn lanes<K: KType>(block: &[u8]) -> Lanes {
    match K::LAYOUT {
        // SAFETY: as here.
        Layout::Q4K => unsafe { q4k(block) },
        // SAFETY: as here.
        Layout::Q6K => unsafe { q6k(block) },
        Layout::Other => {
            let parts = K::parts(block);
            let (scales, offsets) = (cast(parts.scales), cast(parts.offsets));
            Lanes { levels: cast(parts.levels), scales, offsets, scale: 1.0, offset: 1.0 }
        }
    }
}

/// Scale and offset in f16, eight of 6 bits each, then per 64 weights 32 low and 32 high halves of
/// bytes.
#[inline(always)]
unsafe fn q4k(block: &[u8]) -> Lanes {
    // SAFETY: see `lanes`.
    unsafe {
        let [first, a, b, c]: [u32; 4] = pod_read_unaligned(&block[..16]);
        let [scale, offset] = halves(first);
        let [low, high] = [c & 0x0f0f_0f0f, c >> 4 & 0x0f0f_0f0f];
        let upper = [(a >> 6 & 0x0303_0303) << 4, (b >> 6 & 0x0303_0303) << 4];
        let packed = [a & 0x3f3f_3f3f, low | upper[0], b & 0x3f3f_3f3f, high | upper[1]];
        // Eight scales, then eight offsets.
        let both = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(cast(packed)));
        let scales = _mm512_permutexvar_ps(cast(SHARED[0]), both);
        let offsets = _mm512_permutexvar_ps(cast(SHARED[1]), both);
        let fours = _mm512_set1_epi8(15);
        let mut levels = [_mm512_setzero_si512(); 4];
        for (part, levels) in levels.iter_mut().enumerate() {
            let packed: __m256i = pod_read_unaligned(&block[16 + 32 * part..48 + 32 * part]);
            *levels = _mm512_and_si512(join(packed, _mm256_srli_epi16::<4>(packed)), fours);
        }
        Lanes { levels, scales, offsets, scale, offset }
    }
}

/// Low halves of bytes, high pairs of bits, a scale of 8 bits for each group, and one in f16 for all.
/// Levels count from −32.
#[inline(always)]
unsafe fn q6k(block: &[u8]) -> Lanes {
    // SAFETY: see `lanes`.
    unsafe {
        let [scale, _] = halves(u32::from(pod_read_unaligned::<u16>(&block[208..210])));
        let packed: __m128i = pod_read_unaligned(&block[192..208]);
        let scales = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(packed));
        let (fours, pairs) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30));
        let mut levels = [_mm512_setzero_si512(); 4];
        for (half, levels) in levels.chunks_exact_mut(2).enumerate() {
            let low: __m512i = pod_read_unaligned(&block[64 * half..64 * (half + 1)]);
            let high: __m256i = pod_read_unaligned(&block[128 + 32 * half..160 + 32 * half]);
            // What comes over from the neighbouring byte lies outside of the pair.
            let first = join(_mm256_slli_epi16::<4>(high), _mm256_slli_epi16::<2>(high));
            let second = join(high, _mm256_srli_epi16::<2>(high));
            let low_fours = _mm512_and_si512(low, fours);
            let high_fours = _mm512_and_si512(_mm512_srli_epi16::<4>(low), fours);
            levels[0] = _mm512_or_si512(low_fours, _mm512_and_si512(first, pairs));
            levels[1] = _mm512_or_si512(high_fours, _mm512_and_si512(second, pairs));
        }
        Lanes { levels, scales, offsets: scales, scale, offset: 32.0 * scale }
    }
}

#[inline(always)]
unsafe fn join(low: __m256i, high: __m256i) -> __m512i {
    // SAFETY: see `lanes`.
    unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high) }
}

/// Two numbers in f16.
#[inline(always)]
unsafe fn halves(both: u32) -> [f32; 2] {
    // SAFETY: see `lanes`.
    unsafe {
        let [first, second, ..]: [f32; 4] =
            cast(_mm_cvtph_ps(_mm_cvtsi32_si128(both.cast_signed())));
        [first, second]
    }
}

/// Multiplies a row of blocks with the blocks of `N` rows of activations.
pub(in super::super) fn row_dots<K: KType, const N: usize>(
    row: &[u8],
    xs: [&[Block]; N],
) -> [f32; N] {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
    fn whole<K: KType, const N: usize>(row: &[u8], xs: [&[Block]; N]) -> [f32; N] {
        let mut sums = [_mm512_setzero_ps(); N];
        for (at, block) in row.chunks_exact(K::BYTES).enumerate() {
            ask_ahead(block);
            // SAFETY: compiled for the same.
            let Lanes { levels, scales, offsets, scale, offset } = unsafe { lanes::<K>(block) };
            let mut spread = [scales; BLOCK / 64];
            for part in 0..BLOCK / 64 {
                spread[part] = _mm512_permutexvar_ps(cast(SCALES[part]), scales);
            }
            for n in 0..N {
                let x = &xs[n][at];
                let parts: &[__m512i; BLOCK / 64] = bytemuck::cast_ref(&x.levels);
                let mut dots = _mm512_setzero_ps();
                for part in 0..BLOCK / 64 {
                    let zero = _mm512_setzero_si512();
                    let ints = _mm512_dpbusd_epi32(zero, levels[part], parts[part]);
                    dots = _mm512_fmadd_ps(_mm512_cvtepi32_ps(ints), spread[part], dots);
                }
                let below = _mm512_mul_ps(offsets, cast(x.group_sums));
                sums[n] = _mm512_fmadd_ps(dots, _mm512_set1_ps(scale * x.scale), sums[n]);
                sums[n] = _mm512_fnmadd_ps(below, _mm512_set1_ps(offset * x.scale), sums[n]);
            }
        }
        let mut whole = [0.0; N];
        for (whole, sum) in whole.iter_mut().zip(sums) {
            *whole = _mm512_reduce_add_ps(sum);
        }
        whole
    }

    assert!(has_avx512_vnni());
    // SAFETY: the processor was just found to have the instructions.
    unsafe { whole::<K, N>(row, xs) }
}

/// As `int8::round_block`; nothing if the processor lacks the instructions.
pub(in super::super) fn round_block<K: KType>(
    block: &[u8],
    levels: &mut [i8; BLOCK],
) -> Option<f32> {
    #[target_feature(enable = "avx512f,avx512bw,f16c")]
    fn whole<K: KType>(block: &[u8], out: &mut [i8; BLOCK]) -> f32 {
        // SAFETY: compiled for the same.
        let Lanes { levels, scales, offsets, scale, offset } = unsafe { lanes::<K>(block) };
        let scales = _mm512_mul_ps(scales, _mm512_set1_ps(scale));
        let offsets = _mm512_mul_ps(offsets, _mm512_set1_ps(offset));
        let most = _mm512_sub_ps(_mm512_mul_ps(scales, _mm512_set1_ps(K::MOST)), offsets);
        let largest = _mm512_max_ps(_mm512_abs_ps(most), _mm512_abs_ps(offsets));
        let largest = _mm512_reduce_max_ps(largest);
        let poison = _mm512_mul_ps(_mm512_add_ps(scales, offsets), _mm512_setzero_ps());
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let factor = _mm512_set1_ps(inverse);
        let scales: [f32; 16] = cast(_mm512_mul_ps(scales, factor));
        let offsets: [f32; 16] = cast(_mm512_mul_ps(offsets, factor));
        let levels: [[u8; GROUP]; BLOCK / GROUP] = cast(levels);
        for (at, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let levels = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(cast(levels[at])));
            let (scale, offset) = (_mm512_set1_ps(scales[at]), _mm512_set1_ps(offsets[at]));
            let rounded = _mm512_cvtps_epi32(_mm512_fmsub_ps(levels, scale, offset));
            *out = cast(_mm512_cvtepi32_epi8(rounded));
        }
        largest / 127.0 + _mm512_reduce_add_ps(poison)
    }

    // SAFETY: the processor is found to have the instructions first.
    has_avx512_vnni().then(|| unsafe { whole::<K>(block, levels) })
}
