//! A server we did not write: llama.cpp's, with files that its own converter made.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use handsight_agent::{PromptProfile, RemoteModel, RemoteOptions, VisionModel, ground};
use handsight_model::{
    CancelFlag, Completion, Constraint, Engine, EngineOptions, GenerateOptions, ImageInput,
    Message, Request, Role, StopReason,
};
use handsight_tests::program::Program;
use image::RgbImage;
use serde_json::Value;

use crate::{python, root};

/// The server; it ends when this is dropped.
struct LlamaServer {
    _program: Program,
    address: String,
}

impl LlamaServer {
    fn start() -> Self {
        let fixture = |name: &str| root().join("fixtures/gguf").join(name);
        let mut command = Command::new(python());
        command
            .arg(root().join("python/llama_server.py"))
            .args([fixture("flat-f32.gguf"), fixture("mmproj-flat-f32.gguf")])
            .stderr(Stdio::null());
        let mut program = Program::start_with(&mut command, Stdio::piped()).unwrap();
        let mut address = String::new();
        BufReader::new(program.take_stdout().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://127.0.0.1:"), "no address but {address:?}");
        Self { _program: program, address: address.trim().to_owned() }
    }

    fn model(&self) -> RemoteModel {
        let address = format!("{}/v1#tiny", self.address).parse().unwrap();
        RemoteModel::open(address, RemoteOptions::default(), &CancelFlag::default()).unwrap()
    }
}

/// The same weights in this process.
fn engine() -> Engine {
    let file = root().join("fixtures/gguf/flat-f32.gguf");
    Engine::load(&file, &EngineOptions::default()).unwrap()
}

/// Something with edges, so that another size is another picture.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let channels = [x ^ y, 3 * x + y / 2, (x / 9 + y / 7) * 31];
        image::Rgb(channels.map(|channel| channel.to_le_bytes()[0]))
    })
}

fn request(messages: Vec<Message>, images: Vec<ImageInput>, tokens: usize) -> Request {
    let options = GenerateOptions { max_new_tokens: tokens, ..Default::default() };
    Request { messages, images, options, ..Default::default() }
}

fn answers(server: &RemoteModel, engine: &Engine, request: &Request) -> [Completion; 2] {
    let cancel = CancelFlag::default();
    [
        server.answer(request, &mut |_| {}, &cancel).unwrap(),
        engine.generate(request, &mut |_| {}, &cancel).unwrap(),
    ]
}

#[test]
fn llama_cpp_answers_as_this_process_does() {
    let (server, engine) = (LlamaServer::start(), engine());
    let model = server.model();
    let hello = vec![Message::text(Role::User, "hello, what is on the screen?")];
    let [there, here] = answers(&model, &engine, &request(hello, Vec::new(), 12));
    assert_eq!(there.text, here.text);
    assert_eq!(there.stats.prompt_tokens, here.stats.prompt_tokens);
    assert_eq!(there.stop, StopReason::Length);

    // Sides that are multiples of nothing: it sees as many tokens as we do, since what it is sent has
    // the size we would have made ourselves.
    let picture = Arc::new(picture(300, 411));
    let look = vec![Message::image_and_text(0, "Where is Save?")];
    let [there, here] = answers(&model, &engine, &request(look, vec![picture.into()], 8));
    assert_eq!(there.stats.prompt_tokens, here.stats.prompt_tokens);
    assert_eq!(there.text, here.text);
}

#[test]
fn llama_cpp_keeps_to_the_schemas_it_is_sent() {
    let server = LlamaServer::start();
    let model = server.model();
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "name": { "enum": ["Save", "Cancel"] },
            "at": { "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 99 },
                    "minItems": 2, "maxItems": 2 },
        },
        "required": ["name", "at"],
        "additionalProperties": false,
    });
    let mut asked = request(vec![Message::text(Role::User, "Which button?")], Vec::new(), 64);
    asked.constraint = Some(Constraint::JsonSchema(schema));
    let answer = model.answer(&asked, &mut |_| {}, &CancelFlag::default()).unwrap();
    let value: Value = serde_json::from_str(&answer.text).unwrap();
    assert!(["Save", "Cancel"].contains(&value["name"].as_str().unwrap()), "{value}");
    assert_eq!(value["at"].as_array().map(Vec::len), Some(2), "{value}");

    // The schema of a click on this very picture.
    let picture = picture(640, 480);
    let profile = PromptProfile::computer_use();
    let found =
        ground(&model, &profile, &picture, "the Save button", &CancelFlag::default()).unwrap();
    assert!((0..640).contains(&found.point.x) && (0..480).contains(&found.point.y));
    assert_eq!((found.frame.model.width, found.frame.model.height), (644, 476));
}
