//! A model on a server: what is sent, what is believed, and what becomes of every kind of fault.

mod llama_server;

use std::time::Duration;

use handsight_agent::{
    AnswerError, ApiKey, PromptProfile, RemoteError, RemoteModel, RemoteOptions, SchemaForm,
    VisionModel, ground,
};
use handsight_model::{
    CancelFlag, Completion, Constraint, Message, Request, Role, StopReason, TokenInfo,
};
use handsight_tests::fake_server::{FakeServer, Fault, Script};
use image::RgbImage;
use serde_json::{Value, json};

fn open(server: &FakeServer, options: RemoteOptions) -> Result<RemoteModel, RemoteError> {
    let address = server.url("test-model").parse().unwrap();
    RemoteModel::open(address, options, &CancelFlag::default())
}

fn request(constraint: Option<Constraint>) -> Request {
    let messages = vec![Message::text(Role::User, "hello")];
    Request { messages, constraint, ..Request::default() }
}

fn ask(model: &RemoteModel, request: &Request) -> Result<(Completion, String), RemoteError> {
    let mut told = String::new();
    let mut tell = |token: &TokenInfo| told += &token.text;
    match model.answer(request, &mut tell, &CancelFlag::default()) {
        Ok(completion) => Ok((completion, told)),
        Err(AnswerError::Remote(error)) => Err(*error),
        Err(error) => panic!("{error}"),
    }
}

fn with_faults(faults: impl IntoIterator<Item = Fault>) -> Script {
    Script { faults: faults.into_iter().collect(), ..Script::default() }
}

fn status(status: u16, body: &str) -> Fault {
    Fault::Status(status, Vec::new(), body.to_owned())
}

#[test]
fn an_answer_is_streamed_and_counted() {
    let server = FakeServer::start(Script::default());
    let model = open(&server, RemoteOptions::default()).unwrap();
    let (answer, told) = ask(&model, &request(None)).unwrap();
    assert_eq!((answer.text.as_str(), told.as_str()), ("hello", "hello"));
    assert_eq!(answer.stop, StopReason::Stop);
    assert_eq!((answer.tokens.len(), answer.stats.prompt_tokens), (5, 5000));
    assert!(model.card().name.starts_with("test-model at http://127.0.0.1:"));
}

#[test]
fn a_wrong_name_is_met_with_the_right_ones() {
    let models = vec!["one".to_owned(), "two".to_owned()];
    let server = FakeServer::start(Script { models, ..Script::default() });
    let message = open(&server, RemoteOptions::default()).err().unwrap().to_string();
    assert!(message.ends_with("has no model `test-model`; it has `one`, `two`"), "{message}");
    let unnamed = server.url("").parse().unwrap();
    let opened = RemoteModel::open(unnamed, RemoteOptions::default(), &CancelFlag::default());
    assert!(matches!(opened.err().unwrap(), RemoteError::WhichModel { .. }));
    // The list is asked for once, not with every question.
    let server = FakeServer::start(Script::default());
    let model = open(&server, RemoteOptions::default()).unwrap();
    ask(&model, &request(None)).unwrap();
    ask(&model, &request(None)).unwrap();
    let lists = server.seen().iter().filter(|seen| seen.line == "GET /v1/models").count();
    assert_eq!(lists, 1);
}

#[test]
fn a_key_opens_the_server_and_is_in_no_message() {
    let script = Script { key: Some("sk-right-key".to_owned()), ..Script::default() };
    let server = FakeServer::start(script);
    let with = |key| RemoteOptions { key: ApiKey::new(key), ..RemoteOptions::default() };
    let model = open(&server, with("sk-right-key")).unwrap();
    assert_eq!(ask(&model, &request(None)).unwrap().0.text, "hello");
    assert!(!model.card().name.contains("sk-"));
    let err = open(&server, with("sk-wrong-key")).err().unwrap();
    let message = format!("{err} {err:?}");
    assert!(message.contains("Incorrect API key provided: Bearer [key]"), "{message}");
    assert!(!message.contains("sk-wrong-key"), "{message}");
    assert!(err.hint().unwrap().contains("HANDSIGHT_API_KEY"));
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_is_told() {
    let busy = Fault::Status(429, vec![("Retry-After".into(), "0".into())], "busy".into());
    let faults = [busy, status(503, "loading"), Fault::Garbage(Vec::new())];
    let server = FakeServer::start(with_faults(faults));
    let model = open(&server, RemoteOptions::default()).unwrap();
    assert_eq!(ask(&model, &request(None)).unwrap().0.text, "hello");
    assert_eq!(server.asked().len(), 4);

    let two = RemoteOptions { max_attempts: 2, ..RemoteOptions::default() };
    let broken = r#"{"error": {"message": "out of\nmemory"}}"#;
    let server = FakeServer::start(with_faults([status(500, broken), status(500, broken)]));
    let err = ask(&open(&server, two).unwrap(), &request(None)).unwrap_err().to_string();
    assert!(err.ends_with("failed 2 time(s) (status 500): out of memory"), "{err}");

    // A server that wants longer than there is time is not waited for.
    let later = Fault::Status(429, vec![("Retry-After".into(), "3600".into())], String::new());
    let server = FakeServer::start(with_faults([later]));
    let err = ask(&open(&server, RemoteOptions::default()).unwrap(), &request(None)).unwrap_err();
    assert!(matches!(err, RemoteError::Failed { status: 429, attempts: 1, .. }), "{err}");

    // A request that is refused is not repeated.
    let server = FakeServer::start(with_faults([status(400, "the context is 4096 tokens")]));
    let err = ask(&open(&server, RemoteOptions::default()).unwrap(), &request(None)).unwrap_err();
    assert!(err.to_string().ends_with("(status 400): the context is 4096 tokens"), "{err}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn answers_that_are_none_are_errors_and_not_endless() {
    let check = |fault: Fault, is_expected: fn(&RemoteError) -> bool| {
        let server = FakeServer::start(with_faults([fault.clone(), fault]));
        let once = RemoteOptions { max_attempts: 1, ..RemoteOptions::default() };
        let err = ask(&open(&server, once).unwrap(), &request(None)).unwrap_err();
        assert!(is_expected(&err), "{err:?}");
    };
    let unreadable = |err: &RemoteError| matches!(err, RemoteError::Unreadable { .. });
    let cut_off = |err: &RemoteError| matches!(err, RemoteError::CutOff { .. });
    check(status(200, "<html>hello</html>"), unreadable);
    check(status(200, r#"{"choices": []}"#), unreadable);
    check(Fault::Stream("data: {\n\n".into()), unreadable);
    check(Fault::Garbage(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), |err| {
        matches!(err, RemoteError::Unreadable { .. } | RemoteError::Unreachable { .. })
    });
    check(Fault::Stream(String::new()), cut_off);
    let half = r#"data: {"choices": [{"delta": {"content": "half"}}]}"#;
    check(Fault::Stream(format!("{half}\n\n")), cut_off);
    check(Fault::Stream("data: [DONE]\n\n".into()), cut_off);
    check(Fault::Endless, |err| matches!(err, RemoteError::TooLong { .. }));
}

#[test]
fn what_was_shown_is_not_asked_for_again() {
    let half = r#"data: {"choices": [{"delta": {"content": "half"}}]}"#;
    let server = FakeServer::start(with_faults([Fault::Stream(format!("{half}\n\n"))]));
    let model = open(&server, RemoteOptions::default()).unwrap();
    let err = ask(&model, &request(None)).unwrap_err();
    assert!(matches!(err, RemoteError::CutOff { .. }), "{err}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_silent_server_is_left_at_the_deadline_or_when_cancelled() {
    let server = FakeServer::start(with_faults([Fault::Silence, Fault::Silence]));
    let short = RemoteOptions { timeout: Duration::from_millis(300), ..RemoteOptions::default() };
    let address = server.url("test-model").parse().unwrap();
    let model = RemoteModel::open(address, short, &CancelFlag::default()).unwrap();
    let err = ask(&model, &request(None)).unwrap_err();
    assert!(matches!(err, RemoteError::Timeout { .. }), "{err}");

    let model = open(&server, RemoteOptions::default()).unwrap();
    let cancel = CancelFlag::default();
    let (canceller, watched) = (cancel.clone(), server.clone());
    let waiting = std::thread::spawn(move || {
        while watched.asked().len() < 2 {
            std::thread::yield_now();
        }
        canceller.cancel();
    });
    let answer = model.answer(&request(None), &mut |_| {}, &cancel).unwrap();
    waiting.join().unwrap();
    assert_eq!(answer.stop, StopReason::Cancelled);
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "x": { "type": "integer", "maximum": 99 } },
        "required": ["x"],
        "additionalProperties": false,
    })
}

#[test]
fn a_schema_is_sent_in_the_form_the_server_understands() {
    let check = |owner: &str, understands: &str, refuses: &[&str], expected: &[&str]| {
        let server = FakeServer::start(Script {
            owner: owner.to_owned(),
            understands: vec![understands.to_owned()],
            refuses: refuses.iter().map(|&field| field.to_owned()).collect(),
            answer: "{\"x\": 7}".to_owned(),
            ..Script::default()
        });
        let model = open(&server, RemoteOptions::default()).unwrap();
        let request = request(Some(Constraint::JsonSchema(schema())));
        // What was not good enough was never told.
        let (answer, told) = ask(&model, &request).unwrap();
        assert_eq!((answer.text.as_str(), told.as_str()), ("{\"x\": 7}", "{\"x\": 7}"));
        ask(&model, &request).unwrap();
        let forms: Vec<String> = server.asked().iter().map(form).collect();
        assert_eq!(forms, expected, "{owner}, {understands}");
    };
    check("vllm", "json_schema", &[], &["json_schema", "json_schema"]);
    // An old server that ignores what it does not know; what worked is used from then on.
    check("vllm", "guided_json", &[], &["json_schema", "guided_json", "guided_json"]);
    let others = ["json_schema", "json_object", "json_object"];
    check("me", "json_object", &["json_schema"], &others);
}

/// Names the form in which a request carries its schema.
fn form(body: &Value) -> String {
    let format = body["response_format"]["type"].as_str();
    let guided = body.get("guided_json").map(|_| "guided_json");
    format.or(guided).unwrap_or("none").to_owned()
}

#[test]
fn a_server_that_ignores_its_schema_is_named_and_never_mended() {
    let script = Script {
        understands: Vec::new(),
        free_answer: "```json\n{\"x\": 7}\n```".to_owned(),
        ..Script::default()
    };
    let server = FakeServer::start(script);
    let model = open(&server, RemoteOptions::default()).unwrap();
    let request = request(Some(Constraint::JsonSchema(schema())));
    let err = ask(&model, &request).unwrap_err();
    let RemoteError::Constraint { forms, reply, .. } = &err else { panic!("{err}") };
    assert_eq!(forms, "response_format json_schema, guided_json");
    assert_eq!(reply, "```json\n{\"x\": 7}\n```");
    assert_eq!(server.asked().len(), 3);

    let schema = Some(SchemaForm::JsonObject);
    let forced = RemoteOptions { schema, ..RemoteOptions::default() };
    let err = ask(&open(&server, forced).unwrap(), &request).unwrap_err();
    assert!(err.to_string().contains("(response_format json_object)"), "{err}");
    let forms: Vec<String> = server.asked()[3..].iter().map(form).collect();
    assert_eq!(forms, ["json_object"; 3]);
}

#[test]
fn fields_a_server_refuses_are_left_out_only_where_that_changes_nothing() {
    let refuses = vec!["stream_options".to_owned(), "logprobs".to_owned()];
    let server = FakeServer::start(Script { refuses, ..Script::default() });
    let model = open(&server, RemoteOptions::default()).unwrap();
    let (answer, _) = ask(&model, &request(None)).unwrap();
    assert_eq!((answer.text.as_str(), answer.tokens.len()), ("hello", 0));

    let refuses = vec!["stop".to_owned()];
    let server = FakeServer::start(Script { refuses, ..Script::default() });
    let model = open(&server, RemoteOptions::default()).unwrap();
    let mut stopped = request(None);
    stopped.options.stop = vec!["END".to_owned()];
    let err = ask(&model, &stopped).unwrap_err();
    assert!(matches!(err, RemoteError::Refused { status: 400, .. }), "{err}");
    let err = ask(&model, &request(Some(Constraint::Lark("start: \"a\"".into())))).unwrap_err();
    assert!(err.to_string().ends_with("cannot be sent a grammar"), "{err}");
}

#[test]
fn a_point_is_in_the_pixels_that_were_sent() {
    let call = |x: u32| {
        format!(
            "{{\"name\": \"computer_use\", \"arguments\": {{\"action\": \"left_click\", \
             \"coordinate\": [{x}, 100]}}}}"
        )
    };
    let image = RgbImage::from_pixel(1920, 1080, image::Rgb([200; 3]));
    let look = |script: Script| {
        let server = FakeServer::start(script);
        let model = open(&server, RemoteOptions::default()).unwrap();
        let profile = PromptProfile::computer_use();
        ground(&model, &profile, &image, "the Save button", &CancelFlag::default())
    };
    let found = look(Script { answer: call(966), ..Script::default() }).unwrap();
    assert_eq!((found.frame.model.width, found.frame.model.height), (1932, 1092));
    assert_eq!((found.point.x, found.model_point.x), (960, 966));
    // Six digits of probability e^-0.5 each.
    let probability = found.probability.unwrap();
    assert!((probability - f64::exp(-3.0)).abs() < 1e-6, "{probability}");
    let silent = look(Script { answer: call(966), logprobs: false, ..Script::default() }).unwrap();
    assert_eq!(silent.probability, None);
    // Beyond the image that was sent: the schema forbids it.
    let err = look(Script { answer: call(1932), ..Script::default() }).unwrap_err();
    assert!(format!("{err:?}").contains("Constraint"), "{err:?}");
    // 1932×1092 are 2691 tokens: a server that counts fewer saw something else.
    let err = look(Script { answer: call(5), prompt_tokens: 1300, ..Script::default() });
    assert!(format!("{:?}", err.unwrap_err()).contains("OtherSize"));
}
