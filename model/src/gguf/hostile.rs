//! Files that lie: every one is refused with a message that says where, and none takes memory that
//! the file does not have.

use super::container::{Container, read};
use super::tensor_type::TensorType;
use super::value::{Kind, Value};
use super::write::{PlannedTensor, head, tensor};
use super::{GgufSummary, parse_gguf};

/// A file with one key, and one tensor of two rows of 32 in `Q8_0`.
fn good() -> Vec<u8> {
    let metadata = [("some.key".to_owned(), Value::u32(7))];
    let kind = TensorType::from_number(8).unwrap();
    let plan = PlannedTensor { name: "weight".to_owned(), shape: vec![2, 32], kind };
    let mut bytes = head(&metadata, std::slice::from_ref(&plan));
    tensor(&mut bytes, &vec![1; plan.len() as usize]).unwrap();
    bytes
}

/// The start of a file of version 3 that claims so many tensors and keys.
fn start(n_tensors: u64, n_keys: u64) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(n_tensors.to_le_bytes());
    bytes.extend(n_keys.to_le_bytes());
    bytes
}

fn text(bytes: &str) -> Vec<u8> {
    let mut all = (bytes.len() as u64).to_le_bytes().to_vec();
    all.extend(bytes.as_bytes());
    all
}

/// A key and the kind of its value.
fn key(name: &str, kind: u32) -> Vec<u8> {
    [text(name), kind.to_le_bytes().to_vec()].concat()
}

fn array(name: &str, item: u32, count: u64) -> Vec<u8> {
    [key(name, 9), item.to_le_bytes().to_vec(), count.to_le_bytes().to_vec()].concat()
}

/// A directory's entry with its sides in the order of the file.
fn entry(name: &str, sides: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let sides = sides.iter().flat_map(|side| side.to_le_bytes()).collect::<Vec<_>>();
    let rank = ((sides.len() / 8) as u32).to_le_bytes().to_vec();
    let place = [kind.to_le_bytes().to_vec(), offset.to_le_bytes().to_vec()].concat();
    [text(name), rank, sides, place].concat()
}

/// A file with these tensors and so many bytes of data.
fn with_tensors(entries: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut bytes = [start(entries.len() as u64, 0), entries.concat()].concat();
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

fn with_keys(keys: &[Vec<u8>]) -> Vec<u8> {
    // Room that a count could hide in.
    [start(0, keys.len() as u64), keys.concat(), vec![0; 64]].concat()
}

#[track_caller]
fn refused(bytes: &[u8], expected: &str) {
    let err = parse_gguf(bytes).unwrap_err().to_string();
    assert!(err.starts_with("GGUF file `(memory)`: "), "{err}");
    assert!(err.contains(expected), "expected `{expected}` in: {err}");
}

#[test]
fn a_good_file_is_read_and_every_cut_of_it_is_refused() {
    let good = good();
    let Container { metadata, tensors } = read(good.as_slice(), good.len() as u64, "f").unwrap();
    assert_eq!(metadata.get("some.key").unwrap().as_integer(), Some(7));
    assert_eq!(tensors["weight"].shape, [2, 32]);
    assert_eq!(tensors["weight"].len, 2 * 34);
    assert_eq!(parse_gguf(&good).unwrap(), GgufSummary { keys: 1, tensors: 1 });
    // The padding at the end belongs to nobody.
    let end = (tensors["weight"].start + tensors["weight"].len) as usize;
    for len in 0..end {
        assert!(parse_gguf(&good[..len]).is_err(), "cut at {len} of {end}");
    }
    parse_gguf(&good[..end]).unwrap();
}

#[test]
fn what_is_no_such_file_is_refused() {
    for (bytes, expected) in [
        (vec![], "claims 4 bytes at 0, but the file has 0"),
        (b"GGML\x03\0\0\0".to_vec(), "it does not start with `GGUF`"),
        (b"GGUF\x01\0\0\0".to_vec(), "it has version 1; only 2 and 3 are supported"),
        (b"GGUF\x04\0\0\0".to_vec(), "it has version 4; only 2 and 3 are supported"),
        (b"GGUF\0\0\0\x03".to_vec(), "it was written for a big-endian machine"),
        (b"GGUF\x03\0".to_vec(), "the file of 6 bytes ends in `the version`"),
        (start(0, u64::MAX), "it claims to have 18446744073709551615 keys"),
        (start(u64::MAX, 0), "it claims to have 18446744073709551615 tensors"),
        (start(1 << 60, 0), "tensors; its 24 bytes can hold 0 at most"),
    ] {
        refused(&bytes, expected);
    }
}

#[test]
fn metadata_that_lies_is_refused_by_key() {
    let long = [key("k", 8), (1_u64 << 60).to_le_bytes().to_vec()].concat();
    for (keys, expected) in [
        (vec![long], "`k` claims 1152921504606846976 bytes at 45, but the file has 109"),
        (vec![array("k", 0, 1 << 60)], "`k` claims to have 1152921504606846976 items"),
        (vec![array("k", 4, 1 << 22)], "`k` claims to have 4194304 items"),
        (vec![array("k", 8, 9)], "`k` claims to have 9 items, more than its"),
        (vec![array("k", 9, 1)], "the value of `k` is an array of arrays"),
        (vec![key("k", 13)], "the value of `k` has the unknown type 13"),
        (vec![array("k", 99, 0)], "the value of `k` has the unknown type 99"),
        (vec![[key("k", 7), vec![1]].concat(); 2], "the key `k` is there twice"),
        (vec![key("", 7)], "key 0 has 0 bytes; there must be 1 to 1024"),
        (vec![key(&"x".repeat(1025), 7)], "key 0 has 1025 bytes"),
        (
            vec![[key("general.alignment", 4), 24_u32.to_le_bytes().to_vec()].concat()],
            "`general.alignment` is not a power of two up to 65536",
        ),
        (
            vec![[key("general.alignment", 4), 0_u32.to_le_bytes().to_vec()].concat()],
            "`general.alignment` is not a power of two",
        ),
    ] {
        refused(&with_keys(&keys), expected);
    }
    let mut bytes = with_keys(&[key("kk", 7)]);
    bytes[32] = 0xff;
    refused(&bytes, "key 0 is not UTF-8");
}

#[test]
fn tensors_that_lie_are_refused_by_name() {
    const F32: u32 = 0;
    const Q4_K: u32 = 12;
    for (entries, expected) in [
        (
            vec![entry("t", &[1 << 60], F32, 0)],
            "tensor `t` claims 1152921504606846976 elements, more than the file can hold",
        ),
        (
            vec![entry("t", &[1 << 40, 1 << 40], F32, 0)],
            "tensor `t` claims 1099511627776 × 1099511627776 elements",
        ),
        (vec![entry("t", &[0, 4], F32, 0)], "tensor `t` claims 0 × 4 elements"),
        (vec![entry("t", &[u64::MAX, 1], F32, 0)], "tensor `t` claims 18446744073709551615 × 1"),
        (vec![entry("t", &[], F32, 0)], "tensor `t` has 0 dimensions"),
        (vec![entry("t", &[1, 1, 1, 1, 1], F32, 0)], "tensor `t` has 5 dimensions"),
        (
            vec![entry("t", &[300], Q4_K, 0)],
            "tensor `t` has rows of 300 elements, which is not a whole number of Q4_K blocks of 256",
        ),
        (
            vec![entry("t", &[256], 23, 0)],
            "tensor `t` has the type IQ4_XS; supported are F32, F16, BF16, Q4_0",
        ),
        (vec![entry("t", &[256], 99, 0)], "tensor `t` has the type number 99"),
        (
            vec![entry("t", &[8], F32, 64)],
            "tensor `t` claims 32 bytes at offset 64 of the data, which is not in the file of 128",
        ),
        (vec![entry("t", &[8], F32, 4)], "not a multiple of 32"),
        (vec![entry("t", &[8], F32, u64::MAX - 31)], "tensor `t` claims 32 bytes at offset 1844"),
        (vec![entry("t", &[16], F32, 0), entry("u", &[8], F32, 32)], "tensors `t` and `u` overlap"),
        (vec![entry("t", &[8], F32, 0), entry("t", &[8], F32, 32)], "tensor `t` is there twice"),
    ] {
        refused(&with_tensors(&entries, 64), expected);
    }
}

/// A language model's metadata up to what the reader looks at.
fn language_model(changes: &[(&str, Option<Value>)]) -> Vec<u8> {
    let mut keys: Vec<(String, Value)> = [
        ("tokenizer.ggml.model", Value::text("gpt2")),
        ("tokenizer.ggml.pre", Value::text("qwen2")),
        (
            "tokenizer.ggml.tokens",
            Value::texts(
                ["a", "b", "ab", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>"]
                    .into_iter()
                    .chain(["<|vision_end|>", "[PAD7]"]),
            ),
        ),
        ("tokenizer.ggml.merges", Value::texts(["a b"].into_iter())),
        ("tokenizer.ggml.token_type", Value::i32s(&[1, 1, 1, 3, 3, 3, 3, 5])),
        ("qwen2vl.attention.head_count", Value::u32(2)),
        ("qwen2vl.embedding_length", Value::u32(8)),
        ("qwen2vl.feed_forward_length", Value::u32(8)),
        ("qwen2vl.block_count", Value::u32(1)),
        ("qwen2vl.context_length", Value::u32(64)),
        ("qwen2vl.attention.layer_norm_rms_epsilon", Value::f32(1e-6)),
        ("qwen2vl.rope.freq_base", Value::f32(1e6)),
        ("qwen2vl.rope.dimension_sections", Value::i32s(&[1, 1, 0, 0])),
        ("clip.vision.block_count", Value::u32(1)),
        ("clip.vision.n_wa_pattern", Value::u32(8)),
        ("clip.vision.embedding_length", Value::u32(8)),
        ("clip.vision.attention.head_count", Value::u32(2)),
        ("clip.vision.projection_dim", Value::u32(8)),
        ("clip.vision.patch_size", Value::u32(14)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    for (name, value) in changes {
        keys.retain(|(key, _)| key != name);
        keys.extend(value.clone().map(|value| ((*name).to_owned(), value)));
    }
    head(&keys, &[])
}

#[test]
fn a_model_that_cannot_be_is_refused_by_key() {
    parse_gguf(&language_model(&[])).unwrap();
    let broken =
        Value { kind: Kind::Text, count: Some(1), bytes: vec![1, 0, 0, 0, 0, 0, 0, 0, 0xff] };
    for (name, value, expected) in [
        ("tokenizer.ggml.model", Some(Value::text("llama")), "only `gpt2` is supported"),
        ("tokenizer.ggml.pre", Some(Value::text("llama-bpe")), "`llama-bpe`, but only `qwen2`"),
        ("tokenizer.ggml.pre", None, "the metadata has no `tokenizer.ggml.pre`"),
        ("tokenizer.ggml.tokens", Some(Value::u32(1)), "is not a list of texts"),
        ("tokenizer.ggml.tokens", Some(broken), "is not a list of texts"),
        ("tokenizer.ggml.token_type", Some(Value::i32s(&[1])), "8 tokens but 1 types"),
        (
            "tokenizer.ggml.tokens",
            Some(Value::texts(["a"; 8].into_iter())),
            "the token `a` is in the vocabulary twice",
        ),
        ("qwen2vl.block_count", Some(Value::i32s(&[1, 2])), "`qwen2vl.block_count` is not a count"),
        ("qwen2vl.block_count", Some(Value::text("1")), "`qwen2vl.block_count` is not a count"),
        ("qwen2vl.rope.freq_base", Some(Value::f32(f32::NAN)), "is not a number"),
        (
            "qwen2vl.rope.dimension_sections",
            Some(Value::i32s(&[1, 1, 0, 1])),
            "[1, 1, 0, 1], which is not time, height and width",
        ),
        ("clip.vision.image_mean", Some(Value::f32s(&[0.5])), "is not three numbers"),
    ] {
        refused(&language_model(&[(name, value)]), expected);
    }
}

#[test]
fn what_the_configuration_refuses_is_refused() {
    for (name, value, expected) in [
        ("qwen2vl.attention.head_count", Value::u32(0), "must be a multiple of"),
        ("qwen2vl.embedding_length", Value::u32(u32::MAX), "`hidden_size` is `4294967295`"),
        ("clip.vision.block_count", Value::u32(u32::MAX), "`depth` is `4294967295`"),
        ("clip.use_silu", Value::bool(false), "vision hidden_act `gelu` is not `silu`"),
        ("qwen2vl.rope.scaling.type", Value::text("linear"), "rope type `linear`"),
        ("tokenizer.ggml.merges", Value::texts(["ab"].into_iter()), "the tokenizer could not be"),
    ] {
        let err = parse_gguf(&language_model(&[(name, Some(value))])).unwrap_err().to_string();
        assert!(err.contains(expected), "expected `{expected}` in: {err}");
    }
}
