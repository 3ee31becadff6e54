//! `ask`: a question about pictures and videos, answered in words or in JSON of a schema.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fs_err as fs;
use handsight_agent::{PixelBudget, Usage, VisionModel};
use handsight_model::{
    Completion, Constraint, ImageInput, Message, Part, PixelLimits, Request, Role, StopReason,
    VideoInput,
};
use image::RgbImage;
use serde_json::{Value, json};

use crate::answer;
use crate::args::AskArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::live::millis;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// The most pictures of a question.
const MAX_IMAGES: usize = 256;

/// The most videos of a question.
const MAX_VIDEOS: usize = 16;

/// The most bytes of a schema.
const MAX_SCHEMA: u64 = 1 << 20;

pub(crate) fn run(
    args: &AskArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    answer::refuse_embedded(&args.model, "answer questions")?;
    let (names, question) = split(args)?;
    let schema = args.schema.as_deref().map(read_schema).transpose()?;
    let images = names.iter().map(|name| open::image(name)).collect::<Result<Vec<_>, _>>()?;
    let interrupt = Interrupt::listen(printer)?;
    let own = PixelLimits {
        max_pixels: args.model.talk.pixels.and_then(PixelBudget::most),
        ..PixelLimits::default()
    };
    let videos = args
        .video
        .iter()
        .map(|path| open::video(path, own, args.fps, &interrupt.cancel))
        .collect::<Result<Vec<_>, _>>()?;
    let (model, profile) =
        answer::open_model(&args.model, printer, environment, &interrupt.cancel)?;
    let limits = profile.limits();
    let seen = seen(args, names, &images, &videos, &model, limits)?;

    let request = Request {
        messages: vec![message(images.len(), videos.len(), question)],
        images: images.into_iter().map(|image| shown(image, limits)).collect(),
        videos,
        constraint: constraint(args, schema.as_ref(), model.card().takes_grammars),
        options: answer::options(&args.generate),
        ..Request::default()
    };
    let start = Instant::now();
    let completion = answer::stream(&model, &request, printer, &interrupt.cancel)?;
    let parsed = schema.is_some().then(|| serde_json::from_str::<Value>(&completion.text).ok());
    let mut result = result(&completion, &seen, millis(start.elapsed()));
    if let Some(value) = &parsed {
        result["value"] = json!(value);
    }
    // People have read the answer already.
    printer.result(&result, "")?;
    Ok(match (completion.stop, parsed) {
        (StopReason::Cancelled, _) => Exit::Interrupted,
        // What was cut off is no value.
        (_, Some(None)) => Exit::NotAchieved,
        _ => Exit::Done,
    })
}

/// Tells the pictures from the question, which is last.
fn split(args: &AskArgs) -> Result<(&[String], &str), Failure> {
    let bad = |message: String, hint: &str| Err(Failure::bad_input(message).with_hint(hint));
    let order = "the question comes last: `handsight ask picture.png \"What is this?\"`";
    let Some((question, names)) = args.words.split_last() else {
        return bad("there is no question".to_owned(), order);
    };
    if question.trim().is_empty() {
        return bad("the question is empty".to_owned(), order);
    }
    if question == "-" || Path::new(question).is_file() {
        return bad(format!("`{question}` is a picture, and there is no question"), order);
    }
    if names.iter().filter(|name| *name == "-").count() > 1 {
        return bad("stdin has one picture only".to_owned(), "give `-` once, and files beside it");
    }
    let (images, videos) = (names.len(), args.video.len());
    if images > MAX_IMAGES || videos > MAX_VIDEOS {
        let message = format!(
            "{images} pictures and {videos} videos are too many: at most {MAX_IMAGES} and \
             {MAX_VIDEOS} are shown at once"
        );
        return bad(message, "ask about fewer of them at a time");
    }
    Ok((names, question))
}

/// Reads the schema the answer is to follow.
fn read_schema(path: &Path) -> Result<Value, Failure> {
    let wrong = |problem: String| {
        Failure::bad_input(format!("`{}` {problem}", path.display()))
            .with_hint("give `--schema` a file with one JSON Schema, such as {\"type\":\"object\"}")
    };
    let unread = |error| {
        Failure::new(Exit::BadInput, anyhow::Error::new(error).context("could not read the schema"))
            .with_hint("check the path after `--schema`")
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unread)?;
    file.take(MAX_SCHEMA + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MAX_SCHEMA {
        return Err(wrong(format!("is too long: a schema has at most {MAX_SCHEMA} bytes")));
    }
    let schema: Value =
        serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is not JSON: {error}")))?;
    match schema {
        Value::Object(_) | Value::Bool(_) => Ok(schema),
        _ => Err(wrong("is JSON, but no JSON Schema: that is an object".to_owned())),
    }
}

/// Returns what the answer must look like.
fn constraint(args: &AskArgs, schema: Option<&Value>, is_ours: bool) -> Option<Constraint> {
    let mut schema = match (schema, &args.regex) {
        (Some(schema), _) => schema.clone(),
        (None, regex) => return regex.clone().map(Constraint::Regex),
    };
    if schema == Value::Bool(true) {
        schema = json!({});
    }
    // A model that may put any space anywhere can do so for ever, so it gets those it was trained
    // on. Servers have their own ways.
    if let (true, Value::Object(fields)) = (is_ours, &mut schema) {
        fields.entry("x-guidance").or_insert_with(
            || json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "}),
        );
    }
    Some(Constraint::JsonSchema(schema))
}

/// Returns the user's message: what is shown, then the question.
fn message(images: usize, videos: usize, question: &str) -> Message {
    let images = (0..images).map(|image| Part::Image { image });
    let videos = (0..videos).map(|video| Part::Video { video });
    let question = Part::Text { text: question.to_owned() };
    Message::new(Role::User, images.chain(videos).chain([question]).collect())
}

fn shown(image: RgbImage, limits: PixelLimits) -> ImageInput {
    ImageInput { pixels: Arc::new(image), limits }
}

/// What the model was shown, and at which sizes.
struct Seen {
    images: Vec<Value>,
    videos: Vec<Value>,
}

fn seen(
    args: &AskArgs,
    names: &[String],
    images: &[RgbImage],
    videos: &[VideoInput],
    model: &dyn VisionModel,
    limits: PixelLimits,
) -> Result<Seen, Failure> {
    let size = |(width, height): (u32, u32)| json!({ "width": width, "height": height });
    let images = names.iter().zip(images).map(|(name, image)| {
        let (width, height) = image.dimensions();
        let resized = model.resized_size_within(width, height, limits)?;
        let (original, resized) = (size((width, height)), size(resized));
        Ok(json!({ "path": name, "original": original, "resized": resized }))
    });
    let videos = args.video.iter().zip(videos).map(|(path, video)| {
        json!({
            "path": path.display().to_string(),
            "frames": video.frames.len(),
            "fps": video.fps,
            "resized": video.limits.resized.map(size),
        })
    });
    Ok(Seen { images: images.collect::<Result<_, Failure>>()?, videos: videos.collect() })
}

fn result(completion: &Completion, seen: &Seen, ms: u64) -> Value {
    json!({
        "text": completion.text,
        "stop": completion.stop,
        "probability": answer::probability(completion),
        "usage": Usage::from(&completion.stats),
        "images": seen.images,
        "videos": seen.videos,
        "ms": ms,
    })
}
