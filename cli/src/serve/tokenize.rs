//! `/tokenize` and `/detokenize`, as vLLM has them: what a prompt costs before it is sent.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use handsight_model::Request;
use serde_json::{Value, json};

use super::Server;
use super::body::{blocking, read_json};
use super::content::Conversation;
use super::error::{ApiError, json_response};
use super::fields::{Fields, wrong_type};
use super::request::{MediaOptions, Tools};

/// `POST /tokenize`: a text, or messages as the model would read them.
pub(super) async fn tokenize(
    State(server): State<Arc<Server>>,
    request: HttpRequest,
) -> Response<Body> {
    handle(server, request, tokens_of).await
}

/// `POST /detokenize`: tokens back to text.
pub(super) async fn detokenize(
    State(server): State<Arc<Server>>,
    request: HttpRequest,
) -> Response<Body> {
    handle(server, request, text_of).await
}

async fn handle(
    server: Arc<Server>,
    request: HttpRequest,
    answer: fn(&Server, Fields) -> Result<Value, ApiError>,
) -> Response<Body> {
    let answered = async {
        let body = read_json(request, server.limits.body_bytes, &server.memory).await?;
        let place = server.readers.acquire().await.map_err(|_| ApiError::shutting_down())?;
        let reader = Arc::clone(&server);
        let value = blocking(move || {
            let mut fields = Fields::new("", body)?;
            if let Some(model) = fields.string("model")? {
                reader.check_model(&model)?;
            }
            answer(&reader, fields)
        });
        let value = value.await?;
        drop(place);
        value
    };
    match answered.await {
        Ok(value) => json_response(StatusCode::OK, &value),
        Err(error) => error.into_response(),
    }
}

fn tokens_of(server: &Server, mut fields: Fields) -> Result<Value, ApiError> {
    let prompt = fields.string("prompt")?;
    let messages = fields.array("messages")?;
    let with_texts = fields.bool("return_token_strs")?.unwrap_or(false);
    let is_true = |value: &Value| value == &Value::Bool(true);
    fields.refuse_unless("add_generation_prompt", is_true, "the prompt always ends with it")?;
    // The checkpoints' tokenizers add none, so both ways are the same.
    fields.ignore(&["add_special_tokens"]);
    let engine = server.engine();
    let tokens = match (prompt, messages) {
        (Some(text), None) => {
            fields.finish()?;
            engine.tokenizer().encode(&text)?
        }
        (None, Some(messages)) => {
            let limits = &server.limits;
            let tools = Tools::read(&mut fields, limits.request.tools)?;
            fields.finish()?;
            let options = MediaOptions::default();
            let conversation = Conversation::read(messages, &limits.media, options, false)?;
            let request = Request {
                messages: conversation.messages,
                images: conversation.images,
                videos: conversation.videos,
                tools: tools.offered().iter().map(|tool| tool.definition.clone()).collect(),
                ..Request::default()
            };
            engine.prompt_tokens(&request)?
        }
        _ => {
            let message = "Exactly one of 'prompt' and 'messages' has to be given.";
            return Err(ApiError::bad_request(message).with_param("prompt"));
        }
    };
    let texts = with_texts.then(|| {
        let text = |&id| engine.tokenizer().decode(&[id]).unwrap_or_default();
        tokens.iter().map(text).collect::<Vec<String>>()
    });
    Ok(json!({
        "count": tokens.len(),
        "max_model_len": server.limits.request.context,
        "tokens": tokens,
        "token_strs": texts,
    }))
}

fn text_of(server: &Server, mut fields: Fields) -> Result<Value, ApiError> {
    let values = fields.array("tokens")?.ok_or_else(|| fields.missing("tokens"))?;
    fields.finish()?;
    let tokenizer = server.engine().tokenizer();
    let ids = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let path = format!("tokens[{index}]");
            let id = value.as_u64().ok_or_else(|| wrong_type(&path, "an integer", value))?;
            let known = u32::try_from(id).ok().filter(|&id| (id as usize) < tokenizer.len());
            known.ok_or_else(|| {
                let message = format!("Invalid '{path}': the vocabulary has no token {id}.");
                ApiError::param(path.clone(), "invalid_value", message)
            })
        })
        .collect::<Result<Vec<u32>, _>>()?;
    Ok(json!({ "prompt": tokenizer.decode(&ids)? }))
}
