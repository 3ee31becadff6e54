//! Which matrix is quantised to what in a file: as while loading, but that rows must be whole blocks.

use candle_core::quantized::GgmlDType;

use crate::weights::form::mixed;

/// Returns what a matrix with rows of `cols` weights is stored in when `base` is asked for; `layers`
/// is how many the decoder has.
///
/// What is not to be quantised keeps 16 bits. Rows that are no whole number of blocks take smaller
/// blocks, or none.
pub(crate) fn dtype(base: GgmlDType, name: &str, cols: usize, layers: usize) -> GgmlDType {
    let wanted = mixed(base, name, layers).unwrap_or(GgmlDType::F16);
    let fits = |dtype: &GgmlDType| cols.is_multiple_of(dtype.block_size());
    [wanted, GgmlDType::Q8_0].into_iter().find(fits).unwrap_or(GgmlDType::F16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_of_a_quantised_3b_is_the_table() {
        use GgmlDType::{F16, Q4K, Q6K, Q8_0};
        for (name, cols, expected) in [
            ("model.embed_tokens.weight", 2048, Q6K),
            ("lm_head.weight", 2048, Q6K),
            ("model.layers.0.self_attn.q_proj.weight", 2048, Q4K),
            ("model.layers.0.self_attn.v_proj.weight", 2048, Q6K),
            ("model.layers.4.mlp.down_proj.weight", 11008, Q4K),
            ("model.layers.6.mlp.down_proj.weight", 11008, Q6K),
            ("model.layers.35.mlp.down_proj.weight", 11008, Q6K),
            ("model.layers.35.mlp.up_proj.weight", 2048, Q4K),
            ("model.layers.5.mlp.down_proj.weight", 320, Q8_0),
            ("visual.blocks.31.mlp.down_proj.weight", 3420, F16),
            ("visual.blocks.0.attn.qkv.weight", 1280, Q8_0),
            ("visual.merger.mlp.0.weight", 5120, F16),
        ] {
            assert_eq!(dtype(Q4K, name, cols, 36), expected, "{name}");
        }
    }
}
