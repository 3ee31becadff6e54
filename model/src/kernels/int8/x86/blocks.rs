//! Blocks of the K types in registers of AVX-512: taken apart, multiplied and rounded.
//!
//! Arrays are filled in loops: a closure that is handed to `map` would not be compiled into its place. Nor
//! would be, with the optimiser's usual budget, a function that takes a block apart, and a call for each
//! block costs as much as its multiplications. So these functions are always compiled into their place,
//! which a function with instructions of its own cannot be told: they have those of whoever calls them.
#![expect(unsafe_code, reason = "instructions that no library offers safely")]

use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _MM_HINT_T0, _mm_and_si128, _mm_cvtph_ps, _mm_loadu_si128,
    _mm_or_si128, _mm_prefetch, _mm_shuffle_epi32, _mm_srli_epi32, _mm_srlv_epi32,
    _mm256_loadu_si256, _mm256_slli_epi16, _mm256_srli_epi16, _mm512_abs_ps, _mm512_add_ps,
    _mm512_and_si512, _mm512_castsi256_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_epi8,
    _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtps_epi32,
    _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_fmadd_ps, _mm512_fmsub_ps, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_maddubs_epi16, _mm512_max_ps, _mm512_mul_ps, _mm512_or_si512,
    _mm512_permutexvar_epi16, _mm512_permutexvar_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps,
    _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
    _mm512_sub_ps,
};

use bytemuck::cast;
use half::f16;

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

/// For each of the four registers of a block, the group that each four of its levels belong to.
const FOURS: [[u32; 16]; BLOCK / 64] = {
    let mut groups = [[0; 16]; BLOCK / 64];
    let mut at = 0;
    while at < BLOCK / 4 {
        groups[at / 16][at % 16] = (4 * at / GROUP) as u32;
        at += 1;
    }
    groups
};

/// The same of each two levels.
const PAIRS: [[u16; 32]; BLOCK / 64] = {
    let mut groups = [[0; 32]; BLOCK / 64];
    let mut at = 0;
    while at < BLOCK / 2 {
        groups[at / 32][at % 32] = (2 * at / GROUP) as u16;
        at += 1;
    }
    groups
};

/// For each group, the first or the second eight of numbers that two neighbours share.
const SHARED: [[i32; 16]; 2] = [
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7],
    [8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15],
];

/// Asks the memory for as much as a block, so many bytes after it: the processor itself looks ahead only
/// within a page.
#[inline]
#[target_feature(enable = "sse")]
fn ask_ahead(block: &[u8], bytes: usize) {
    for line in (0..block.len()).step_by(64) {
        // It may point anywhere: nothing is read that could be seen.
        _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(bytes + line).cast());
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
    /// The low bits of each of four bytes.
    const SIX: u32 = 0x3f3f_3f3f;
    const FOUR: u32 = 0x0f0f_0f0f;
    // SAFETY: see `lanes`.
    unsafe {
        let (head, packed) = block.split_at(16);
        let head = load_128(head);
        let [scale, offset, ..]: [f32; 4] = cast(_mm_cvtph_ps(head));
        // Four bits of the last half of them are in one place, the two above in another.
        let low = _mm_srlv_epi32(_mm_shuffle_epi32::<0b11_10_11_01>(head), cast([0, 0, 0, 4]));
        let low = _mm_and_si128(low, cast([SIX, FOUR, SIX, FOUR]));
        let high = _mm_srli_epi32::<2>(_mm_shuffle_epi32::<0b10_10_01_01>(head));
        let high = _mm_and_si128(high, cast([0, SIX ^ FOUR, 0, SIX ^ FOUR]));
        // Eight scales, then eight offsets.
        let both = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_or_si128(low, high)));
        let scales = _mm512_permutexvar_ps(cast(SHARED[0]), both);
        let offsets = _mm512_permutexvar_ps(cast(SHARED[1]), both);
        let fours = _mm512_set1_epi8(15);
        let mut levels = [_mm512_setzero_si512(); 4];
        for (levels, packed) in levels.iter_mut().zip(packed.chunks_exact(32)) {
            let packed = load_256(packed);
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
        let (low, rest) = block.split_at(128);
        let (high, rest) = rest.split_at(64);
        let (packed, scale) = rest.split_at(16);
        let scale = f16::from_le_bytes([scale[0], scale[1]]).to_f32();
        let scales = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_128(packed)));
        let (fours, pairs) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30));
        let mut levels = [_mm512_setzero_si512(); 4];
        let halves = low.chunks_exact(64).zip(high.chunks_exact(32));
        for (levels, (low, high)) in levels.chunks_exact_mut(2).zip(halves) {
            let (low, high) = (load_512(low), load_256(high));
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
unsafe fn load_128(bytes: &[u8]) -> __m128i {
    assert!(bytes.len() >= 16);
    // SAFETY: there are as many.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline(always)]
unsafe fn load_256(bytes: &[u8]) -> __m256i {
    assert!(bytes.len() >= 32);
    // SAFETY: there are as many.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline(always)]
unsafe fn load_512(bytes: &[u8]) -> __m512i {
    assert!(bytes.len() >= 64);
    // SAFETY: there are as many.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline(always)]
unsafe fn join(low: __m256i, high: __m256i) -> __m512i {
    // SAFETY: see `lanes`.
    unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high) }
}

/// The scales of a block's groups, beside the products they belong to.
enum Spread {
    /// Whole numbers in 16 bits, for pairs of products.
    Whole([__m512i; BLOCK / 64]),
    /// Any numbers, for fours.
    Any([__m512; BLOCK / 64]),
}

#[inline(always)]
unsafe fn spread(scales: __m512, layout: Layout) -> Spread {
    // SAFETY: see `lanes`.
    unsafe {
        if layout == Layout::Other {
            let mut spread = [scales; BLOCK / 64];
            for part in 0..BLOCK / 64 {
                spread[part] = _mm512_permutexvar_ps(cast(FOURS[part]), scales);
            }
            return Spread::Any(spread);
        }
        let whole = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(scales));
        let mut spread = [_mm512_castsi256_si512(whole); BLOCK / 64];
        for part in 0..BLOCK / 64 {
            spread[part] = _mm512_permutexvar_epi16(cast(PAIRS[part]), spread[part]);
        }
        Spread::Whole(spread)
    }
}

/// Multiplies a block's levels with activations and scales, and adds some of the products up in each lane.
#[inline(always)]
unsafe fn dots(
    levels: &[__m512i; BLOCK / 64],
    xs: &[__m512i; BLOCK / 64],
    spread: &Spread,
) -> __m512 {
    // SAFETY: see `lanes`.
    unsafe {
        match spread {
            Spread::Whole(scales) => {
                let mut dots = _mm512_setzero_si512();
                for part in 0..BLOCK / 64 {
                    // Two products are below 2¹⁵: levels have 6 bits, activations 7 and a sign.
                    let pairs = _mm512_maddubs_epi16(levels[part], xs[part]);
                    dots = _mm512_dpwssd_epi32(dots, pairs, scales[part]);
                }
                _mm512_cvtepi32_ps(dots)
            }
            Spread::Any(scales) => {
                let mut dots = _mm512_setzero_ps();
                for part in 0..BLOCK / 64 {
                    let zero = _mm512_setzero_si512();
                    let fours = _mm512_dpbusd_epi32(zero, levels[part], xs[part]);
                    dots = _mm512_fmadd_ps(_mm512_cvtepi32_ps(fours), scales[part], dots);
                }
                dots
            }
        }
    }
}

/// Multiplies `R` rows of blocks with the blocks of `N` rows of activations.
pub(in super::super) fn group_dots<K: KType, const R: usize, const N: usize>(
    rows: [&[u8]; R],
    xs: [&[Block]; N],
) -> [[f32; N]; R] {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
    fn whole<K: KType, const R: usize, const N: usize>(
        rows: [&[u8]; R],
        xs: [&[Block]; N],
    ) -> [[f32; N]; R] {
        let mut sums = [[_mm512_setzero_ps(); N]; R];
        for at in 0..rows[0].len() / K::BYTES {
            for (row, sums) in rows.iter().zip(&mut sums) {
                let block = &row[at * K::BYTES..(at + 1) * K::BYTES];
                // The same place in the rows that come next.
                ask_ahead(block, R * row.len());
                // SAFETY: compiled for the same.
                let Lanes { levels, scales, offsets, scale, offset } = unsafe { lanes::<K>(block) };
                let scale = _mm512_set1_ps(scale);
                let offsets = _mm512_mul_ps(offsets, _mm512_set1_ps(offset));
                // SAFETY: compiled for the same.
                let spread = unsafe { spread(scales, K::LAYOUT) };
                for n in 0..N {
                    let x = &xs[n][at];
                    let parts: &[__m512i; BLOCK / 64] = bytemuck::cast_ref(&x.levels);
                    let below = _mm512_mul_ps(offsets, cast(x.group_sums));
                    // SAFETY: compiled for the same.
                    let dots = unsafe { dots(&levels, parts, &spread) };
                    let sum = _mm512_fmsub_ps(dots, scale, below);
                    sums[n] = _mm512_fmadd_ps(sum, _mm512_set1_ps(x.scale), sums[n]);
                }
            }
        }
        let mut whole = [[0.0; N]; R];
        for (whole, sums) in whole.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
            *whole = _mm512_reduce_add_ps(*sums);
        }
        whole
    }

    assert!(has_avx512_vnni());
    // SAFETY: the processor was just found to have the instructions.
    unsafe { whole::<K, R, N>(rows, xs) }
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
