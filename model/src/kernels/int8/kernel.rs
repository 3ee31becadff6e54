//! One tile of the product, on whatever processor this is.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytemuck::Zeroable;

use super::DEPTH;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::kernels::packed::Order;
use crate::kernels::product::HEIGHT;

/// Rows of weights in a panel.
pub(in crate::kernels) const WIDTH: usize = 32;

/// Columns that one instruction multiplies and adds up.
pub(super) const WORD: usize = 4;

/// The 8-bit weights of [`WIDTH`] rows in a depth: of each word of columns first one row's, then the
/// next's.
#[derive(Clone, Copy, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Panel {
    /// Moved up by 128, since the instruction wants one side without a sign.
    pub(super) levels: [[[u8; WORD]; WIDTH]; DEPTH / WORD],
    /// What each row's numbers are multiplied with.
    pub(super) scales: [f32; WIDTH],
    /// How many words of columns are filled.
    pub(super) words: usize,
}

impl Panel {
    /// Sets the weights of one row.
    #[inline(always)]
    pub(super) fn set_row(&mut self, row: usize, levels: &[[i8; WORD]], scale: f32) {
        for (column, word) in self.levels[..self.words].iter_mut().zip(levels) {
            column[row] = word.map(|level| level.cast_unsigned() ^ 128);
        }
        self.scales[row] = scale;
    }
}

/// What multiplies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::kernels) enum Kernel {
    /// One number at a time: what the others are compared with.
    Scalar,
    /// Instructions of x86 processors.
    #[cfg(target_arch = "x86_64")]
    X86(x86::Instructions),
}

impl Kernel {
    /// Every kernel that this processor can run.
    pub(in crate::kernels) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = x86::Instructions::available().map(Self::X86);
        #[cfg(not(target_arch = "x86_64"))]
        let wide = std::iter::empty();
        wide.chain([Self::Scalar])
    }

    /// Returns the fastest kernel, if it is faster than a product in f32. Which that is depends on more
    /// than what a processor has (a matrix unit may be shared with others), so they are timed once.
    pub(in crate::kernels) fn fast() -> Option<Self> {
        static FAST: OnceLock<Option<Kernel>> = OnceLock::new();
        let fastest = || {
            let wide = Self::available().filter(|&kernel| kernel != Self::Scalar);
            wide.min_by_key(|kernel| kernel.time())
        };
        *FAST.get_or_init(fastest)
    }

    /// How long some products take, the best of a few times.
    fn time(self) -> Duration {
        let panel = Panel { words: DEPTH / WORD, ..Panel::zeroed() };
        let (xs, mut ys) = ([[1; WORD]; HEIGHT * DEPTH / WORD], [[0.0; WIDTH]; HEIGHT]);
        let once = |_round| {
            let start = Instant::now();
            self.run(|| {
                for _ in 0..200 {
                    let (scales, sums) = (&[1.0; HEIGHT], &[0; HEIGHT]);
                    self.add(TileProduct { panel: &panel, xs: &xs, scales, sums, ys: &mut ys });
                }
            });
            start.elapsed()
        };
        (0..5).map(once).min().unwrap_or_default()
    }

    /// Returns how activations lie in a tile.
    pub(super) fn order(self) -> Order {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86(x86::Instructions::Amx) => Order::ByRow { multiple: x86::TILE_STEP },
            _ => Order::ByColumn,
        }
    }

    /// Runs products one after another, which [`add`](Self::add) then may be asked for.
    #[inline(always)]
    pub(super) fn run(self, products: impl FnOnce()) {
        #[cfg(target_arch = "x86_64")]
        let _tiles = match self {
            Self::Scalar => None,
            Self::X86(instructions) => instructions.tiles(),
        };
        products();
    }

    /// Adds a product to what is there.
    pub(super) fn add(self, product: TileProduct<'_>) {
        match self {
            Self::Scalar => product.scalar(),
            #[cfg(target_arch = "x86_64")]
            Self::X86(instructions) => instructions.add(product),
        }
    }
}

/// A panel and a tile, and what their product is added to.
pub(super) struct TileProduct<'a> {
    pub(super) panel: &'a Panel,
    /// `(words, rows)`, or as the kernel's [`Order`] has it.
    pub(super) xs: &'a [[i8; WORD]],
    /// What each row's numbers are multiplied with, 12, 8 or 4 of them.
    pub(super) scales: &'a [f32],
    /// The sum of each row's numbers.
    pub(super) sums: &'a [i32],
    /// `(rows, width)`
    pub(super) ys: &'a mut [[f32; WIDTH]],
}

impl TileProduct<'_> {
    fn scalar(self) {
        let rows = self.scales.len();
        for (row, ys) in self.ys.iter_mut().enumerate() {
            let mut products = [self.sums[row].wrapping_mul(-128); WIDTH];
            let xs = self.xs[row..].iter().step_by(rows);
            for (xs, weights) in xs.zip(&self.panel.levels[..self.panel.words]) {
                for (product, weights) in products.iter_mut().zip(weights) {
                    for (&x, &weight) in xs.iter().zip(weights) {
                        *product = product.wrapping_add(i32::from(x) * i32::from(weight));
                    }
                }
            }
            for ((y, product), scale) in ys.iter_mut().zip(products).zip(&self.panel.scales) {
                *y += product as f32 * scale * self.scales[row];
            }
        }
    }
}
