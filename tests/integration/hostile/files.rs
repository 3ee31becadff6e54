//! Files that lie, have no end or are programs.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::program::Program;
use serde_json::{Value, json};

/// A file that means harm, and what is said of it.
struct Case {
    what: &'static str,
    /// Puts it into the folder, where `white.png` and a checkpoint, `model`, are.
    make: fn(&Path),
    args: &'static [&'static str],
    code: i32,
    /// A part of the message or its causes.
    says: &'static str,
}

/// The most address space a command may have; the binary alone takes a third of it.
const MEMORY_KIB: u64 = 3 << 20;

/// The most time a command may take, on a machine that is busy with other tests.
const TIME: Duration = Duration::from_secs(90);

const ASK: &[&str] = &["ask", "white.png", "what?", "--model", "model", "--max-tokens", "4"];
const GGUF: &[&str] = &["ask", "white.png", "what?", "--model", "a.gguf"];
const PICTURE: &[&str] = &["ask", "bad", "what?", "--model", "model", "--max-tokens", "4"];
const SCHEMA: &[&str] =
    &["ask", "white.png", "what?", "--model", "model", "--schema", "bad", "--max-tokens", "8"];
const VIDEO: &[&str] =
    &["ask", "--video", "bad.gif", "what?", "--model", "model", "--max-tokens", "4"];

/// Replaces a file of the checkpoint.
fn model(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(dir.join("model").join(name), content).unwrap();
}

/// Writes so many bytes of holes: they take no space on the disk, and would take it in memory.
fn hole(path: &Path, start: &[u8], len: u64) {
    fs::write(path, start).unwrap();
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The head of a GGUF file: version 3, so many tensors, no keys.
fn gguf(tensors: u64) -> Vec<u8> {
    [b"GGUF\x03\0\0\0".to_vec(), tensors.to_le_bytes().to_vec(), vec![0; 8]].concat()
}

/// A head with one key: a list of texts that claims `count` of them.
fn gguf_list(count: u64) -> Vec<u8> {
    let mut head = b"GGUF\x03\0\0\0".to_vec();
    for number in [0, 1, 1_u64] {
        head.extend(number.to_le_bytes());
    }
    head.push(b'k');
    head.extend([9_u32, 8].map(u32::to_le_bytes).concat());
    head.extend(count.to_le_bytes());
    head
}

fn safetensors(header: &Value, len: u64) -> Vec<u8> {
    let header = header.to_string();
    assert!(len >= 8 + header.len() as u64);
    [(header.len() as u64).to_le_bytes().to_vec(), header.into_bytes()].concat()
}

fn template(dir: &Path, template: &str) {
    model(dir, "chat_template.json", json!({ "chat_template": template }).to_string());
}

pub(super) fn zeros(len: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..len >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// A PNG file of these chunks.
pub(super) fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, data) in chunks {
        let body = [name.as_slice(), data].concat();
        png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        png.extend(&body);
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

pub(super) fn png_head(width: u32, height: u32) -> (&'static [u8; 4], Vec<u8>) {
    let sides = [width, height].map(u32::to_be_bytes).concat();
    (b"IHDR", [sides, vec![8, 0, 0, 0, 0]].concat())
}

/// An animation of so many frames of one pixel on a large canvas.
fn gif(frames: usize, side: u16) -> Vec<u8> {
    let mut gif = b"GIF89a".to_vec();
    gif.extend([side, side].map(u16::to_le_bytes).concat());
    gif.extend(b"\x80\0\0\0\0\0\xff\xff\xff");
    for _ in 0..frames {
        gif.extend(b"!\xf9\x04\x00\x0a\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0");
    }
    gif.push(b';');
    gif
}

const LOOPS: &str = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) \
                     %}{{ c }}{% endfor %}{% endfor %}{% endfor %}";

fn cases() -> Vec<Case> {
    [weights(), checkpoint(), pictures(), others()].into_iter().flatten().collect()
}

fn weights() -> Vec<Case> {
    vec![
        Case {
            what: "2^60 tensors",
            make: |dir| fs::write(dir.join("a.gguf"), gguf(1 << 60)).unwrap(),
            args: GGUF,
            code: 3,
            says: "it claims to have 1152921504606846976 tensors",
        },
        Case {
            what: "2^60 texts in a file with room for them",
            make: |dir| hole(&dir.join("a.gguf"), &gguf_list(1 << 60), 1 << 43),
            args: GGUF,
            code: 3,
            says: "`k` claims to have 1152921504606846976 items",
        },
        Case {
            what: "four million empty texts, as far as the file goes",
            make: |dir| hole(&dir.join("a.gguf"), &gguf_list(1 << 22), 1 << 40),
            args: GGUF,
            code: 3,
            says: "the metadata has no `general.architecture`",
        },
        Case {
            what: "a GGUF that is a pipe",
            make: |dir| pipe(&dir.join("a.gguf")),
            args: GGUF,
            code: 3,
            says: "`a.gguf` is not a file",
        },
        Case {
            what: "a header of 2^60 bytes",
            make: |dir| model(dir, "model.safetensors", (1_u64 << 60).to_le_bytes()),
            args: ASK,
            code: 3,
            says: "it says its header has 1152921504606846976 bytes",
        },
        Case {
            what: "a header of 99 MB of nothing",
            make: |dir| {
                let head = 99_000_000_u64.to_le_bytes();
                hole(&dir.join("model/model.safetensors"), &head, 1 << 40);
            },
            args: ASK,
            code: 3,
            says: "expected value at line 1 column 1",
        },
        Case {
            what: "one tensor of a terabyte that is there",
            make: |dir| {
                let name = "model.embed_tokens.weight";
                let bytes = 1_u64 << 40;
                let tensor =
                    json!({"dtype": "F32", "shape": [bytes >> 2], "data_offsets": [0, bytes]});
                let head = safetensors(&json!({ name: tensor }), bytes);
                let len = head.len() as u64 + bytes;
                hole(&dir.join("model/model.safetensors"), &head, len);
            },
            args: ASK,
            code: 3,
            says: "the weights need 1.10 TB of memory",
        },
        Case {
            what: "weights that are a pipe",
            make: |dir| pipe(&dir.join("model/model.safetensors")),
            args: ASK,
            code: 3,
            says: "model.safetensors` is not a file",
        },
    ]
}

fn checkpoint() -> Vec<Case> {
    vec![
        Case {
            what: "a configuration of a terabyte",
            make: |dir| hole(&dir.join("model/config.json"), b"{", 1 << 40),
            args: ASK,
            code: 3,
            says: "config.json` has more than 64 MiB",
        },
        Case {
            what: "a configuration that is a pipe",
            make: |dir| pipe(&dir.join("model/config.json")),
            args: ASK,
            code: 3,
            says: "config.json` is not a file",
        },
        Case {
            what: "a configuration that is not UTF-8",
            make: |dir| model(dir, "config.json", b"{\"model_type\": \"\xff\xfe\"}"),
            args: ASK,
            code: 3,
            says: "config.json` is not UTF-8 from byte 16 on",
        },
        Case {
            what: "a configuration nested a million times",
            make: |dir| model(dir, "config.json", "[".repeat(1_000_000)),
            args: ASK,
            code: 3,
            says: "recursion limit exceeded",
        },
        Case {
            what: "a tokenizer whose parts contradict each other",
            make: |dir| {
                let path = dir.join("model/tokenizer.json");
                let text = fs::read_to_string(path).unwrap();
                model(dir, "tokenizer.json", text.replace("\"ByteLevel\"", "\"ByteFallback\""));
            },
            args: ASK,
            code: 3,
            says: "the tokenizer could not be built from `tokenizer.json`",
        },
        Case {
            what: "a token with the id 2^32 - 1",
            make: |dir| {
                let json =
                    json!({"model": {"type": "BPE", "vocab": {"a": u32::MAX}, "merges": []}});
                model(dir, "tokenizer.json", json.to_string());
            },
            args: ASK,
            code: 3,
            says: "the token `a` has the id 4294967295",
        },
        Case {
            what: "a chat template that does not end",
            make: |dir| template(dir, LOOPS),
            args: ASK,
            code: 3,
            says: "ran out of fuel",
        },
        Case {
            what: "a chat template that reads files",
            make: |dir| template(dir, "{% include '/etc/passwd' %}{{ open('/etc/passwd') }}"),
            args: ASK,
            code: 3,
            says: "template not found",
        },
        Case {
            what: "a chat template that grows",
            make: |dir| {
                let grows = "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set n.s \
                             = n.s ~ n.s %}{% endfor %}{{ n.s }}";
                template(dir, grows);
            },
            args: ASK,
            code: 3,
            says: "it makes values of more than 64 MiB",
        },
    ]
}

fn pictures() -> Vec<Case> {
    vec![
        Case {
            what: "a picture of 60000 by 60000 in sixty bytes",
            make: |dir| {
                let chunks =
                    [png_head(60_000, 60_000), (b"IDAT", zeros(1 << 20)), (b"IEND", vec![])];
                fs::write(dir.join("bad"), png(&chunks)).unwrap();
            },
            args: PICTURE,
            code: 2,
            says: "Image size exceeds limit",
        },
        Case {
            what: "a small picture with a gigabyte of colour profile",
            make: |dir| {
                let profile = [b"x\0\0".to_vec(), zeros(4 << 30)].concat();
                let rows = zeros(1 << 20);
                let end = (b"IEND", vec![]);
                let chunks = [png_head(64, 64), (b"iCCP", profile), (b"IDAT", rows), end];
                fs::write(dir.join("bad"), png(&chunks)).unwrap();
            },
            args: PICTURE,
            code: 0,
            says: "",
        },
        Case {
            what: "a picture of a terabyte",
            make: |dir| hole(&dir.join("bad"), b"\x89PNG\r\n\x1a\n", 1 << 40),
            args: PICTURE,
            code: 2,
            says: "`bad` has 268435457 bytes and at most 268435456 are read",
        },
        Case {
            what: "an animation of a hundred thousand frames",
            make: |dir| fs::write(dir.join("bad.gif"), gif(100_000, 16)).unwrap(),
            args: VIDEO,
            code: 2,
            says: "it has more than 50000 frames of 16×16 px",
        },
        Case {
            what: "an animation of many large frames",
            make: |dir| fs::write(dir.join("bad.gif"), gif(40_000, 30_000)).unwrap(),
            args: VIDEO,
            code: 2,
            says: "`bad.gif` has 30000×30000 px",
        },
    ]
}

fn others() -> Vec<Case> {
    vec![
        Case {
            what: "a schema that matches nothing",
            make: |dir| {
                let schema = r#"{"allOf": [{"const": 1}, {"const": 2}]}"#;
                fs::write(dir.join("bad"), schema).unwrap();
            },
            args: SCHEMA,
            code: 2,
            says: "constrained decoding failed",
        },
        Case {
            what: "a schema that is made of itself",
            make: |dir| {
                let schema = r##"{"allOf": [{"$ref": "#"}, {"$ref": "#"}]}"##;
                fs::write(dir.join("bad"), schema).unwrap();
            },
            args: SCHEMA,
            code: 2,
            says: "circular references",
        },
        Case {
            what: "a schema of a million states",
            make: |dir| {
                let schema = r#"{"type": "string", "pattern": "^((a{1000}){1000}){1000}$"}"#;
                fs::write(dir.join("bad"), schema).unwrap();
            },
            args: SCHEMA,
            code: 2,
            says: "constrained decoding failed",
        },
        Case {
            what: "a schema without end",
            make: |dir| std::os::unix::fs::symlink("/dev/zero", dir.join("bad")).unwrap(),
            args: SCHEMA,
            code: 2,
            says: "is too long",
        },
        Case {
            what: "a family without end",
            make: |dir| std::os::unix::fs::symlink("/dev/zero", dir.join("bad.toml")).unwrap(),
            args: &["ground", "white.png", "x", "--family", "bad.toml"],
            code: 2,
            says: "is larger than the 1048576 bytes",
        },
        Case {
            what: "a family nested a hundred thousand times",
            make: |dir| {
                fs::write(dir.join("bad.toml"), format!("a={}", "[".repeat(100_000))).unwrap();
            },
            args: &["ground", "white.png", "x", "--family", "bad.toml"],
            code: 2,
            says: "`bad.toml` does not describe a family",
        },
        Case {
            what: "a policy of a billion laughs",
            make: |dir| {
                let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
                for level in 1..30 {
                    let below = format!("*a{}", level - 1);
                    let items = vec![below; 10].join(", ");
                    writeln!(yaml, "a{level}: &a{level} [{items}]").unwrap();
                }
                fs::write(dir.join("bad.yaml"), yaml).unwrap();
            },
            args: &["policy", "check", "bad.yaml"],
            code: 2,
            says: "bad.yaml",
        },
        Case {
            what: "a trace of a terabyte",
            make: |dir| {
                fs::create_dir(dir.join("bad")).unwrap();
                hole(&dir.join("bad/trace.jsonl"), b"{", 1 << 40);
            },
            args: &["trace", "show", "bad"],
            code: 2,
            says: "trace.jsonl` has more than 256 MiB",
        },
    ]
}

#[test]
fn files_that_mean_harm_are_refused_in_little_time_and_memory() {
    for case in cases() {
        eprintln!("{}", case.what);
        let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
        let dir = handsight.dir();
        let white = image::RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
        white.save(dir.join("white.png")).unwrap();
        fs::create_dir(dir.join("model")).unwrap();
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl/flat-f32");
        for entry in fs::read_dir(fixture).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.join("model").join(entry.file_name())).unwrap();
        }
        (case.make)(dir);
        check(&handsight, &case);
    }
}

fn check(handsight: &Binary, case: &Case) {
    let whole = handsight.command(case.args);
    let script = format!("ulimit -v {MEMORY_KIB}; exec \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash"]).arg(whole.get_program()).args(whole.get_args());
    command.arg("--json").current_dir(handsight.dir()).env_remove("DISPLAY");
    let start = Instant::now();
    let mut program = Program::start(command.stderr(Stdio::piped())).unwrap();
    let output = program.wait(TIME);
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", case.what));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let what = format!("{} ({:?})", case.what, start.elapsed());
    assert_eq!(output.status.code(), Some(case.code), "{what}: {output:?}");
    assert!(!stderr.contains("panicked") && !stderr.contains("a fault in"), "{what}: {stderr}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    if case.code == 0 {
        return;
    }
    let error = &told["error"];
    let said = format!("{} {}", error["message"], error["causes"]).replace("\\\"", "\"");
    assert!(said.contains(case.says), "{what}: {said}");
    assert!(
        error["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
        "{what}: no hint in {error}"
    );
    assert!(said.len() < 2000, "{what}: a message of {} bytes", said.len());
}
