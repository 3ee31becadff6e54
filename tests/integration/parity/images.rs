//! The image processor: sizes, resampled pixels, `pixel_values`.

use handsight_model::processor::{Processor, resize::resize_bicubic};
use handsight_tests::golden::{Golden, assert_close, grid, pattern, rows};
use serde_json::Value;

use super::{cases, engine, sha256};

/// Golden: `smart_resize.json`. Whole numbers, so equal.
#[test]
fn images_are_resized_to_the_reference_s_sizes() {
    let rows = rows("smart_resize.json");
    assert!(rows.len() > 100);
    for row in rows {
        let [width, height] = serde_json::from_value(row["size"].clone()).unwrap();
        let limit = |key: &str| row[key].as_u64().unwrap();
        let processor = Processor {
            min_pixels: limit("min_pixels"),
            max_pixels: limit("max_pixels"),
            ..Processor::default()
        };
        let expected: Option<(u32, u32)> = serde_json::from_value(row["resized"].clone()).unwrap();
        assert_eq!(processor.resized_size(width, height).ok(), expected, "{row}");
    }
}

/// Golden: `resize.json`. Bytes, so equal: Pillow's arithmetic is all in whole numbers.
#[test]
fn resampling_is_pillow_s_to_the_bit() {
    for row in rows("resize.json") {
        let size = |key: &str| -> [u32; 2] { serde_json::from_value(row[key].clone()).unwrap() };
        let ([width, height], [to_width, to_height]) = (size("source"), size("target"));
        let resized = resize_bicubic(&pattern(width, height, 0), to_width, to_height);
        let what = format!("{width}×{height} → {to_width}×{to_height}");
        let stride = usize::try_from(row["stride"].as_u64().unwrap()).unwrap();
        let expected: Vec<u8> = serde_json::from_value(row["sample"].clone()).unwrap();
        // The sample first: it shows where and by how much, the hash only that.
        let sample: Vec<u8> =
            resized.iter().copied().step_by(stride).take(expected.len()).collect();
        assert_eq!(sample, expected, "{what}");
        assert_eq!(row["sha256"], Value::from(sha256(resized.as_raw())), "{what}");
    }
}

/// Golden: `pixel_values.safetensors`. Both sides scale and normalise a byte with a few f32
/// operations, so single values differ by a rounding at most, and sums of a row by a thousand.
#[test]
fn pixel_values_match_the_reference() {
    let golden = Golden::open("pixel_values");
    for case in cases() {
        for (index, picture) in case.pictures.iter().enumerate() {
            let name = format!("{}.{index}", case.name);
            let processed = engine("flat").processor().process(picture).unwrap();
            assert_eq!(processed.grid, grid(&golden.integers(&format!("{name}.grid"))), "{name}");
            let values = processed.pixel_values;
            let expected = golden.floats(&format!("{name}.sample"));
            let sample: Vec<f32> =
                values.iter().copied().step_by(101).take(expected.len()).collect();
            assert_close(&format!("{name} sample"), &sample, &expected, 1e-6);
            if golden.has(&format!("{name}.values")) {
                let expected = golden.floats(&format!("{name}.values"));
                assert_close(&format!("{name} values"), &values, &expected, 1e-6);
            }
            let row_sums: Vec<f32> = values.chunks_exact(1176).map(sum).collect();
            let expected = golden.floats(&format!("{name}.row_sums"));
            assert_close(&format!("{name} row sums"), &row_sums, &expected, 2e-3);
            let column_sums: Vec<f32> = (0..1176)
                .map(|column| values.iter().skip(column).step_by(1176).copied().collect::<Vec<_>>())
                .map(|column| sum(&column))
                .collect();
            let expected = golden.floats(&format!("{name}.column_sums"));
            assert_close(&format!("{name} column sums"), &column_sums, &expected, 2e-3);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the golden's sums are f32 too")]
pub(super) fn sum(values: &[f32]) -> f32 {
    values.iter().copied().map(f64::from).sum::<f64>() as f32
}
