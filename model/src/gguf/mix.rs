//! Which matrix is quantised to what: those that matter most keep more bits.

use candle_core::quantized::GgmlDType;

/// Returns what a matrix with rows of `cols` weights is stored in when `base` is asked for; `layers`
/// is how many the decoder has.
///
/// * The merger is the only way from the image to the text, and its inputs are far larger than
///   elsewhere: 16 bits.
/// * Coordinates are read off the features of the vision tower: 8 bits.
/// * Every token goes through the embedding and the lm head, and small differences decide between
///   likely ones; the errors of `v_proj` and `down_proj` go straight into the residual stream: 6
///   bits, the latter in the layers that llama.cpp's mixes choose, too.
/// * Rows that are no whole number of blocks take smaller blocks, or none.
///
/// # Source
///
/// The choice of layers: `use_more_bits` in `llama-quant.cpp` of llama.cpp (revision 0c1e570), by
/// which its `Q4_K_M` and `Q5_K_M` go.
pub(crate) fn dtype(base: GgmlDType, name: &str, cols: usize, layers: usize) -> GgmlDType {
    let is = |part: &str| name.contains(part);
    let better = if base == GgmlDType::Q8_0 { base } else { GgmlDType::Q6K };
    let wanted = if is("visual.merger.") {
        GgmlDType::F16
    } else if is("visual.") {
        GgmlDType::Q8_0
    } else if is("embed_tokens.") || is("lm_head.") {
        better
    } else if is(".v_proj.") || is(".down_proj.") {
        let more = layer(name).is_some_and(|layer| needs_more_bits(layer, layers));
        if more { better } else { base }
    } else {
        base
    };
    let fits = |dtype: &GgmlDType| cols.is_multiple_of(dtype.block_size());
    [wanted, GgmlDType::Q8_0].into_iter().find(fits).unwrap_or(GgmlDType::F16)
}

fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}

/// The first and last eighth, and every third between.
fn needs_more_bits(layer: usize, layers: usize) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
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
