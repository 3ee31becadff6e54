//! A model that a server runs: any server with the OpenAI API, ours among them.
//!
//! The image is resized here and sent at the size the model sees, so that the server has nothing
//! left to resize and points are in pixels known on this side. What must hold of the answer is sent
//! in the form the server understands and then checked, because servers ignore what they do not
//! know. The key goes to the server and nowhere else.

mod address;
mod answer;
mod error;
mod http;
mod key;
mod listing;
mod retry;
mod schema;
mod server;
mod sse;
pub(crate) mod untrusted;
mod wire;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use handsight_model::processor::Processor;
use handsight_model::{
    CancelFlag, Completion, Constraint, ModelError, PixelLimits, Request, StopReason, TokenInfo,
};

pub use self::address::Address;
use self::answer::{Collector, Step, said};
pub use self::error::RemoteError;
use self::http::{Client, Deadline, Exchange, Head, Next, Piece};
pub use self::key::ApiKey;
use self::listing::list_models;
use self::schema::Checker;
pub use self::schema::SchemaForm;
use self::server::{ListedModel, OurCard, ServerKind};
use self::wire::{Ask, LeftOut, Pictures};
use crate::settle::pause;
use crate::vision_model::{AnswerError, ModelCard, VisionModel};

/// How a server is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteOptions {
    /// What opens the server.
    pub key: Option<ApiKey>,
    /// How long an answer may take, repetitions included.
    pub timeout: Duration,
    /// The most attempts to get one answer from a server that fails.
    pub max_attempts: u32,
    /// The form in which a JSON Schema is sent; by default the one that works.
    pub schema: Option<SchemaForm>,
    /// The fewest pixels of an image, if the server's model has another limit than the family's.
    pub min_pixels: Option<u64>,
    /// The most pixels of an image, likewise.
    pub max_pixels: Option<u64>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            key: None,
            timeout: Duration::from_secs(300),
            max_attempts: 5,
            schema: None,
            min_pixels: None,
            max_pixels: None,
        }
    }
}

/// How often one request is answered in vain before the server is said to ignore its schema.
const MAX_ASKS: usize = 3;

/// What llama-server makes of an image at most, in pixels: 4096 tokens.
const LLAMA_MAX_PIXELS: u64 = 4096 * 28 * 28;

/// As much of what a server said as an error repeats, in characters.
const MAX_SAID_CHARS: usize = 400;

/// A model on a server.
pub struct RemoteModel {
    client: Client,
    name: String,
    kind: ServerKind,
    ours: OurCard,
    processor: Processor,
    options: RemoteOptions,
    learned: Mutex<Learned>,
}

/// What the server's answers taught.
#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    /// The form of a schema that an answer has followed.
    form: Option<SchemaForm>,
    left_out: LeftOut,
}

/// What one attempt came to.
enum Attempt {
    Answered(Completion),
    /// The server refuses the request as it is.
    Refused {
        status: u16,
        said: String,
    },
}

impl RemoteModel {
    /// Finds a model on a server: the one that is named, or the only one there is.
    ///
    /// # Errors
    ///
    /// [`RemoteError`] if the server cannot be reached, wants another key, or has no such model.
    pub fn open(
        address: Address,
        options: RemoteOptions,
        cancel: &CancelFlag,
    ) -> Result<Self, RemoteError> {
        let client = Client::new(address, options.key.clone());
        let server = || client.address().server().to_owned();
        let list = list_models(&client, &options, cancel)?;
        let wanted = client.address().model().map(str::to_owned);
        let listed = match (&list, &wanted) {
            (Some(list), Some(name)) => list.find(name).cloned().ok_or_else(|| {
                let known = list.names();
                RemoteError::NoSuchModel { server: server(), name: name.clone(), known }
            })?,
            (Some(list), None) => list
                .only()
                .cloned()
                .ok_or_else(|| RemoteError::WhichModel { server: server(), known: list.names() })?,
            // Some servers have no list.
            (None, Some(name)) => {
                let (id, ours) = (name.clone(), OurCard::default());
                ListedModel { id, kind: ServerKind::Other, ours }
            }
            (None, None) => {
                let known = "no list of them".to_owned();
                return Err(RemoteError::WhichModel { server: server(), known });
            }
        };
        let processor = processor(&listed, &options);
        let ListedModel { id: name, kind, ours } = listed;
        let learned = Mutex::default();
        Ok(Self { client, name, kind, ours, processor, options, learned })
    }

    /// Returns the server's address.
    pub fn server(&self) -> &str {
        self.client.address().server()
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses what the server has no field for, rather than leave it out.
    fn check_request(&self, request: &Request) -> Result<(), RemoteError> {
        let kind = self.kind;
        let what = match &request.constraint {
            Some(Constraint::Lark(_)) if !kind.takes_grammars() => "a grammar",
            Some(Constraint::Regex(_)) if kind.regex_field().is_none() => "a regular expression",
            None | Some(Constraint::JsonSchema(_))
                if request.prefix.is_some() && !kind.takes_prefixes() =>
            {
                "the start of an answer"
            }
            _ if !request.videos.is_empty() && !kind.takes_videos() => "a video",
            _ if request.options.ignore_eos && !kind.takes_extensions() => "`ignore_eos`",
            _ => return Ok(()),
        };
        Err(RemoteError::Unsupported { server: self.server().to_owned(), what })
    }

    /// Returns the forms of a schema to try, one for each time a request is asked.
    fn forms(&self, request: &Request) -> Vec<SchemaForm> {
        if !matches!(request.constraint, Some(Constraint::JsonSchema(_))) {
            return vec![SchemaForm::NotSent];
        }
        let proved = self.learned().form;
        if let Some(form) = self.options.schema.or(proved) {
            return vec![form; MAX_ASKS];
        }
        let forms = self.kind.schema_forms();
        let last = forms.last().copied().unwrap_or(SchemaForm::NotSent);
        forms.iter().copied().chain(std::iter::repeat(last)).take(MAX_ASKS).collect()
    }

    /// Asks until an answer keeps to its constraint.
    fn ask(
        &self,
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        self.check_request(request)?;
        let checker = Checker::new(request.constraint.as_ref())?;
        let pictures = Pictures::of(request, &self.processor)?;
        let deadline = Deadline::new(self.options.timeout);
        let forms = self.forms(request);
        let mut refused: Option<(String, String)> = None;
        let mut first_refusal = None;
        let mut index = 0;
        while let Some(&form) = forms.get(index) {
            let ask = Ask {
                request,
                pictures: &pictures,
                model: &self.name,
                server: self.kind,
                form,
                left_out: self.learned().left_out,
                refused: refused.as_ref().map(|(reply, problem)| (&**reply, &**problem)),
            };
            // What may have to be asked again is told only when it is known to be good.
            let mut hold = |_: &TokenInfo| {};
            let tell: &mut dyn FnMut(&TokenInfo) =
                if checker.checks() { &mut hold } else { &mut *on_token };
            match self.attempt(&ask, tell, deadline, cancel)? {
                Attempt::Refused { said, .. } if self.learned().left_out.learn(&said) => {}
                Attempt::Refused { status, said } => {
                    let next = forms[index..].iter().position(|&other| other != form);
                    let error = self.refusal(status, &said);
                    match next.filter(|_| schema::is_about_form(&said)) {
                        Some(next) => {
                            first_refusal.get_or_insert(error);
                            index += next;
                        }
                        None => return Err(first_refusal.unwrap_or(error).into()),
                    }
                }
                Attempt::Answered(completion) => {
                    let is_whole =
                        matches!(completion.stop, StopReason::Stop | StopReason::StopString);
                    match checker.problem(&completion.text).filter(|_| is_whole) {
                        None => {
                            if is_whole && checker.checks() {
                                self.learned().form = Some(form);
                                tell_all(&completion, on_token);
                            }
                            return Ok(completion);
                        }
                        Some(problem) => {
                            refused = Some((completion.text, problem));
                            index += 1;
                        }
                    }
                }
            }
        }
        let (reply, problem) = refused.unwrap_or_default();
        let mut names: Vec<&str> = forms.iter().map(|form| form.as_str()).collect();
        names.dedup();
        let (server, forms) = (self.server().to_owned(), names.join(", "));
        Err(RemoteError::Constraint { server, forms, problem, reply }.into())
    }

    /// Gets one answer, asking again while the server fails.
    fn attempt(
        &self,
        ask: &Ask<'_>,
        on_token: &mut dyn FnMut(&TokenInfo),
        deadline: Deadline,
        cancel: &CancelFlag,
    ) -> Result<Attempt, RemoteError> {
        let body = serde_json::to_vec(&ask.body()).unwrap_or_default();
        let mut number = 1;
        loop {
            let mut has_told = false;
            let mut tell = |token: &TokenInfo| {
                has_told = true;
                on_token(token);
            };
            let exchange = self.client.start("chat/completions", Some(body.clone()), deadline);
            let outcome = self.read(&exchange, ask.pictures.tokens, &mut tell, cancel);
            let (error, asked) = match outcome {
                Ok(attempt) => return Ok(attempt),
                Err(Failure { error, retry_after }) => (error, retry_after),
            };
            // What was shown cannot be taken back.
            let may_repeat = error.is_passing() && !has_told && number < self.options.max_attempts;
            let wait = retry::wait(number, asked);
            if !may_repeat || wait >= deadline.left() {
                return Err(with_attempts(error, number));
            }
            if !pause(wait, cancel) {
                return Ok(Attempt::Answered(Collector::new().finish(0, true)));
            }
            number += 1;
        }
    }

    /// Reads one answer.
    fn read(
        &self,
        exchange: &Exchange<'_>,
        image_tokens: usize,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Attempt, Failure> {
        let mut collector = Collector::new();
        let mut head = Head { status: 0, retry_after: None };
        loop {
            let step = match exchange.next(cancel)? {
                Next::Cancelled => {
                    return Ok(Attempt::Answered(collector.finish(image_tokens, true)));
                }
                Next::Over if collector.is_over() => Ok(Step::Done),
                Next::Over => return Err(self.cut_off().into()),
                Next::Piece(Piece::Head(new)) => {
                    head = new;
                    continue;
                }
                Next::Piece(Piece::Body(body)) if !(200..300).contains(&head.status) => {
                    return self.no_answer(&head, &body);
                }
                Next::Piece(Piece::Body(body)) => collector.body(&body),
                Next::Piece(Piece::Event(data)) => collector.event(&data),
            };
            match step {
                Ok(Step::Grew(count)) => collector.latest(count).iter().for_each(&mut *on_token),
                Ok(Step::Done) if collector.is_over() => {
                    return Ok(Attempt::Answered(collector.finish(image_tokens, false)));
                }
                Ok(Step::Done) => return Err(self.cut_off().into()),
                Ok(Step::Failed(said)) => return Err(self.failed(head.status, &said).into()),
                Err(problem) => {
                    let problem = self.short(&problem);
                    let server = self.server().to_owned();
                    return Err(RemoteError::Unreadable { server, problem }.into());
                }
            }
        }
    }

    /// Sorts an answer with a status that says it is none.
    fn no_answer(&self, head: &Head, body: &[u8]) -> Result<Attempt, Failure> {
        let said = said(body);
        match head.status {
            401 | 403 => {
                let (server, said) = (self.server().to_owned(), self.quoted(&said));
                let status = head.status;
                Err(RemoteError::Unauthorized { server, status, said }.into())
            }
            408 | 409 | 425 | 429 => Err(self.passing(head, &said)),
            // A field that is not supported is a fault of the request, whatever the status says.
            500..600 if !LeftOut::default().learn(&said) => Err(self.passing(head, &said)),
            status => Ok(Attempt::Refused { status, said }),
        }
    }

    fn passing(&self, head: &Head, said: &str) -> Failure {
        let Head { status, retry_after } = *head;
        Failure { error: self.failed(status, said), retry_after }
    }

    fn failed(&self, status: u16, said: &str) -> RemoteError {
        let (server, said) = (self.server().to_owned(), self.quoted(said));
        RemoteError::Failed { server, attempts: 1, status, said }
    }

    fn refusal(&self, status: u16, said: &str) -> RemoteError {
        let (server, said) = (self.server().to_owned(), self.quoted(said));
        RemoteError::Refused { server, status, said }
    }

    fn cut_off(&self) -> RemoteError {
        RemoteError::CutOff { server: self.server().to_owned() }
    }

    /// Returns what a server said as the end of a sentence.
    fn quoted(&self, said: &str) -> String {
        if said.is_empty() { String::new() } else { format!(": {}", self.short(said)) }
    }

    /// Returns text of the server's on one line, not too long and without the key.
    fn short(&self, text: &str) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = self.client.redact(&words.join(" "));
        match text.char_indices().nth(MAX_SAID_CHARS) {
            None => text,
            Some((end, _)) => format!("{}…", &text[..end]),
        }
    }
}

/// An attempt that failed, and when the server wants to be asked again.
struct Failure {
    error: RemoteError,
    retry_after: Option<Duration>,
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self { error, retry_after: None }
    }
}

/// Tells of a whole answer at once.
fn tell_all(completion: &Completion, on_token: &mut dyn FnMut(&TokenInfo)) {
    if completion.tokens.is_empty() {
        on_token(&TokenInfo { text: completion.text.clone(), ..TokenInfo::default() });
    }
    completion.tokens.iter().for_each(on_token);
}

fn with_attempts(error: RemoteError, number: u32) -> RemoteError {
    match error {
        RemoteError::Failed { server, status, said, .. } => {
            RemoteError::Failed { server, status, said, attempts: number }
        }
        error => error,
    }
}

/// Returns the processor of the model's family, with the limits that hold for this server.
fn processor(listed: &ListedModel, options: &RemoteOptions) -> Processor {
    let mut processor = Processor::default();
    if listed.kind == ServerKind::LlamaServer {
        processor.max_pixels = LLAMA_MAX_PIXELS;
    }
    if let Some(min) = options.min_pixels.or(listed.ours.min_pixels) {
        processor.min_pixels = min;
    }
    if let Some(max) = options.max_pixels.or(listed.ours.max_pixels) {
        processor.max_pixels = max.max(processor.min_pixels);
    }
    processor
}

impl VisionModel for RemoteModel {
    fn card(&self) -> ModelCard {
        ModelCard {
            name: format!("{} at {}", self.name, self.server()),
            parameters: self.ours.parameters,
            prompt_profile: self.ours.prompt_profile.clone(),
            takes_grammars: self.kind.takes_grammars(),
        }
    }

    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        self.processor.resized_size_within(width, height, limits)
    }

    fn answer(
        &self,
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        self.ask(request, on_token, cancel)
    }

    fn check_frame(&self, answer: &Completion) -> Result<(), AnswerError> {
        let (image_tokens, prompt_tokens) = (answer.stats.image_tokens, answer.stats.prompt_tokens);
        // A server that counts nothing proves nothing.
        if prompt_tokens == 0 || prompt_tokens >= image_tokens {
            return Ok(());
        }
        let server = self.server().to_owned();
        Err(RemoteError::OtherSize { server, image_tokens, prompt_tokens }.into())
    }
}
