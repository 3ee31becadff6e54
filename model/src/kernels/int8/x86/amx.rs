//! The tile in the matrix unit of newer server processors (AMX): one instruction multiplies 12 rows of
//! activations with 16 rows of weights, 64 columns at once.
#![expect(unsafe_code, reason = "instructions that no library offers safely")]

use std::arch::asm;
use std::arch::x86_64::{
    __cpuid, __cpuid_count, _mm512_add_epi32, _mm512_add_ps, _mm512_cvtepi32_ps, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps,
};
use std::sync::OnceLock;

use bytemuck::cast;

use super::super::kernel::{Panel, TileProduct, WIDTH, WORD};
use super::has_avx512_vnni;
use crate::kernels::product::HEIGHT;

/// Words of columns that one instruction multiplies; activations are filled up to a multiple of it.
pub(in super::super) const STEP: usize = 16;

/// Returns whether this processor has the unit, and the system lets this process use it.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_avx512_vnni() && has_tiles() && is_permitted())
}

fn has_tiles() -> bool {
    const AMX_TILE: u32 = 1 << 24;
    const AMX_INT8: u32 = 1 << 25;
    let has_leaf = __cpuid(0).eax >= 7;
    has_leaf && __cpuid_count(7, 0).edx & (AMX_TILE | AMX_INT8) == AMX_TILE | AMX_INT8
}

/// Asks Linux for the room that the tiles take in the state of a thread.
fn is_permitted() -> bool {
    #[cfg(not(target_os = "linux"))]
    return false;
    #[cfg(target_os = "linux")]
    {
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const XFEATURE_XTILE_DATA: u64 = 18;
        let result: i64;
        // SAFETY: the call reads and writes no memory of the process.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XFEATURE_XTILE_DATA,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        result == 0
    }
}

/// Which rows of how many bytes the registers hold: two of sums and one of activations, `HEIGHT` rows
/// each, and two of weights.
#[repr(C, align(64))]
struct Shapes([u8; 64]);

static SHAPES: Shapes = {
    let mut bytes = [0; 64];
    bytes[0] = 1; // palette
    let rows = [HEIGHT as u8, HEIGHT as u8, HEIGHT as u8, STEP as u8, STEP as u8];
    let mut tile = 0;
    while tile < rows.len() {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = rows[tile];
        tile += 1;
    }
    Shapes(bytes)
};

/// The registers while they are in use; a thread that keeps them is slower to switch to.
pub(in super::super) struct Tiles(());

impl Tiles {
    /// Prepares the registers of this thread.
    pub(super) fn new() -> Self {
        assert!(is_available());
        // SAFETY: the processor was found to have the unit; the shapes are 64 bytes as it wants them.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly));
        }
        Self(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: they can only have been prepared by a processor that has them.
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }
}

/// The products of a tile, as integers.
#[repr(C, align(64))]
struct Products([[i32; WIDTH]; HEIGHT]);

/// Adds a product to what is there; the registers have to be prepared.
pub(super) fn add(mut tile: TileProduct<'_>) {
    #[target_feature(enable = "avx512f")]
    fn finish(tile: &mut TileProduct<'_>, products: &Products) {
        let (scales, _) = tile.panel.scales.as_chunks::<16>();
        let rows = tile.ys.iter_mut().zip(&products.0);
        for ((ys, products), (&row_scale, &sum)) in rows.zip(tile.scales.iter().zip(tile.sums)) {
            let moved = _mm512_set1_epi32(sum.wrapping_mul(-128));
            let (ys, _) = ys.as_chunks_mut::<16>();
            let (products, _) = products.as_chunks::<16>();
            for ((y, &product), &scale) in ys.iter_mut().zip(products).zip(scales) {
                let product = _mm512_cvtepi32_ps(_mm512_add_epi32(cast(product), moved));
                let product = _mm512_mul_ps(product, cast(scale));
                let product = _mm512_mul_ps(product, _mm512_set1_ps(row_scale));
                *y = cast(_mm512_add_ps(cast(*y), product));
            }
        }
    }

    let products = multiply(tile.xs, tile.panel);
    assert!(has_avx512_vnni());
    // SAFETY: the processor was just found to have the instructions.
    unsafe { finish(&mut tile, &products) }
}

/// Multiplies `xs`, `(HEIGHT, words)`, with a panel.
fn multiply(xs: &[[i8; WORD]], panel: &Panel) -> Products {
    let words = xs.len() / HEIGHT;
    assert!(xs.len() == words * HEIGHT && words.is_multiple_of(STEP));
    assert!((1..=panel.levels.len()).contains(&words));
    let mut products = std::mem::MaybeUninit::<Products>::uninit();
    // SAFETY: `Tiles` prepared the registers, else the processor faults. `words / STEP` times 12 rows of
    // 64 bytes, `words` apart, are read of `xs`, and 16 rows of 128 bytes of the levels, of which there
    // are `words`; all of `products` is written.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm2, [{xs} + {xs_stride}*1]",
            "tileloadd tmm3, [{levels} + {stride}*1]",
            "tileloadd tmm4, [{levels} + {stride}*1 + 64]",
            "tdpbsud tmm0, tmm2, tmm3",
            "tdpbsud tmm1, tmm2, tmm4",
            "add {xs}, 64",
            "add {levels}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{products} + {stride}*1], tmm0",
            "tilestored [{products} + {stride}*1 + 64], tmm1",
            xs = inout(reg) xs.as_ptr() => _,
            xs_stride = in(reg) words * WORD,
            levels = inout(reg) panel.levels.as_ptr() => _,
            stride = in(reg) WIDTH * WORD,
            steps = inout(reg) words / STEP => _,
            products = in(reg) products.as_mut_ptr(),
            options(nostack),
        );
        products.assume_init()
    }
}
