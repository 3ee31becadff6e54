//! The gated MLP of both transformers: down(silu(gate(x))·up(x)).

use candle_core::{Result, Tensor};

use super::Projection;
use crate::kernels::{self, Activations, Scratch};

/// Adds the MLP of `xs` to `sum`, both `(s, c)`.
///
/// On the CPU what is between the projections, `(s, i)`, which is the largest thing in a layer, is never
/// a tensor.
pub(crate) fn gated_mlp(
    [gate, up, down]: [&Projection; 3],
    xs: &Tensor,
    sum: &Tensor,
) -> Result<Tensor> {
    let n = xs.dim(0)?;
    let for_kernels = [gate, up, down].iter().all(|projection| projection.is_for_kernels());
    if !for_kernels || n <= gate.few_rows() || gate.dims()? != up.dims()? {
        let (gate, up) = (gate.forward(xs)?, up.forward(xs)?);
        return down.forward_sum(&gated(&gate, &up)?, sum);
    }
    let (i, c) = gate.dims()?;
    let mut hidden = Scratch::new(n * i);
    kernels::with_values(xs, |xs| {
        let xs = Activations::new(xs, n, c, gate.rounding && up.rounding);
        gate.with_linear(|gate| up.with_linear(|up| xs.gated(gate, up, &mut hidden)))?
    })??;
    down.forward_slice_sum(&hidden, sum)
}

/// silu(`gate`)·`up`, number by number.
fn gated(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !kernels::takes(gate) {
        return gate.silu()? * up;
    }
    let gated = kernels::with_values(gate, |gates| {
        kernels::with_values(up, |ups| kernels::elementwise::gate(gates, ups))
    })??;
    Tensor::from_vec(gated, gate.shape(), gate.device())
}
