//! The gate of both kinds of MLP: silu(gate)·up.

use candle_core::{Result, Tensor};

use crate::kernels;

/// Returns silu(`gate`)·`up`, number by number; all three have the same shape.
pub(crate) fn gate(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !kernels::takes(gate) {
        return gate.silu()? * up;
    }
    let gated = kernels::with_values(gate, |gates| {
        kernels::with_values(up, |ups| kernels::elementwise::gate(gates, ups))
    })??;
    Tensor::from_vec(gated, gate.shape(), gate.device())
}
