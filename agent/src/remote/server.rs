//! Which server it is, told from its list of models, and what follows from that.

use serde_json::Value;

use super::schema::SchemaForm;

/// The servers whose ways are known. The API they share leaves much open: each adds fields of its
/// own, and refuses or ignores those of the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ServerKind {
    /// `handsight serve`.
    Handsight,
    /// vLLM.
    Vllm,
    /// `SGLang`.
    Sglang,
    /// llama-server of llama.cpp.
    LlamaServer,
    /// Any other: only what is in the API's documentation is sent.
    Other,
}

impl ServerKind {
    /// Tells the server from the owner of its models.
    fn of_owner(owner: &str) -> Self {
        match owner {
            "handsight" => Self::Handsight,
            "vllm" => Self::Vllm,
            "sglang" => Self::Sglang,
            "llamacpp" => Self::LlamaServer,
            _ => Self::Other,
        }
    }

    /// The forms in which a JSON Schema may be understood, likeliest first.
    ///
    /// vLLM before 0.6 knew its own field only; llama-cpp-python and others put the schema beside
    /// the type `json_object`.
    pub(super) fn schema_forms(self) -> &'static [SchemaForm] {
        match self {
            Self::Handsight | Self::Sglang => &[SchemaForm::JsonSchema],
            Self::Vllm => &[SchemaForm::JsonSchema, SchemaForm::GuidedJson],
            Self::LlamaServer => &[SchemaForm::JsonSchema, SchemaForm::JsonObject],
            Self::Other => {
                &[SchemaForm::JsonSchema, SchemaForm::JsonObject, SchemaForm::GuidedJson]
            }
        }
    }

    /// The field of a regular expression, if there is one.
    pub(super) fn regex_field(self) -> Option<&'static str> {
        match self {
            Self::Handsight | Self::Vllm => Some("guided_regex"),
            Self::Sglang => Some("regex"),
            Self::LlamaServer | Self::Other => None,
        }
    }

    /// Whether answers can be held to one of our grammars: others have dialects of their own.
    pub(super) fn takes_grammars(self) -> bool {
        self == Self::Handsight
    }

    /// The field of the repetition penalty. Where it exists it is always sent: such servers take
    /// their default from the checkpoint, and 1.05 changes digits.
    pub(super) fn repetition_field(self) -> Option<&'static str> {
        match self {
            Self::Handsight | Self::Vllm | Self::Sglang => Some("repetition_penalty"),
            Self::LlamaServer => Some("repeat_penalty"),
            Self::Other => None,
        }
    }

    /// Whether the fields `top_k` and `ignore_eos` exist.
    pub(super) fn takes_extensions(self) -> bool {
        self != Self::Other
    }

    /// Whether videos can be sent, as a list of frames.
    pub(super) fn takes_videos(self) -> bool {
        matches!(self, Self::Handsight | Self::Vllm)
    }

    /// Whether an answer can be begun for the model.
    pub(super) fn takes_prefixes(self) -> bool {
        matches!(self, Self::Vllm | Self::Sglang)
    }
}

/// The models a server says it has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ModelList(Vec<ListedModel>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ListedModel {
    pub(super) id: String,
    pub(super) kind: ServerKind,
    /// What only `handsight serve` tells.
    pub(super) ours: OurCard,
}

/// What `handsight serve` tells of its model beyond the API.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct OurCard {
    pub(super) prompt_profile: Option<String>,
    pub(super) min_pixels: Option<u64>,
    pub(super) max_pixels: Option<u64>,
    pub(super) parameters: Option<u64>,
}

/// The most models that are looked at, and that an error names.
const MAX_MODELS: usize = 10_000;
const MAX_NAMED: usize = 20;

impl ModelList {
    /// Reads the answer of `/models`; nothing if it is something else.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let root: Value = serde_json::from_slice(json).ok()?;
        let models = root.get("data")?.as_array()?.iter().take(MAX_MODELS).filter_map(|model| {
            let ours = &model["handsight"];
            Some(ListedModel {
                id: model.get("id")?.as_str()?.to_owned(),
                kind: ServerKind::of_owner(model["owned_by"].as_str().unwrap_or_default()),
                ours: OurCard {
                    prompt_profile: ours["prompt_profile"].as_str().map(str::to_owned),
                    min_pixels: ours["min_pixels"].as_u64(),
                    max_pixels: ours["max_pixels"].as_u64(),
                    parameters: ours["parameters"].as_u64(),
                },
            })
        });
        Some(Self(models.collect()))
    }

    pub(super) fn find(&self, name: &str) -> Option<&ListedModel> {
        self.0.iter().find(|model| model.id == name)
    }

    /// Returns the model if there is only one.
    pub(super) fn only(&self) -> Option<&ListedModel> {
        if let [model] = &self.0[..] { Some(model) } else { None }
    }

    /// Returns the names as the end of a sentence.
    pub(super) fn names(&self) -> String {
        let mut names: Vec<String> =
            self.0.iter().take(MAX_NAMED).map(|model| format!("`{}`", model.id)).collect();
        if self.0.len() > MAX_NAMED {
            names.push(format!("{} more", self.0.len() - MAX_NAMED));
        }
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_from_its_list() {
        let json = br#"{"object": "list", "data": [
            {"id": "Qwen/Qwen2.5-VL-7B-Instruct", "owned_by": "vllm", "max_model_len": 32768},
            {"id": "lora", "owned_by": "vllm"}, {"name": "no id"}]}"#;
        let list = ModelList::read(json).unwrap();
        assert_eq!(list.names(), "`Qwen/Qwen2.5-VL-7B-Instruct`, `lora`");
        assert_eq!(list.find("lora").unwrap().kind, ServerKind::Vllm);
        assert_eq!((list.find("Lora"), list.only()), (None, None));

        let json = br#"{"data": [{"id": "e", "owned_by": "handsight",
            "handsight": {"prompt_profile": "embedded-v1", "max_pixels": 602112}}]}"#;
        let list = ModelList::read(json).unwrap();
        let model = list.only().unwrap();
        assert!(model.kind.takes_grammars());
        assert_eq!(model.ours.prompt_profile.as_deref(), Some("embedded-v1"));
        assert_eq!((model.ours.min_pixels, model.ours.max_pixels), (None, Some(602_112)));

        let many: Vec<_> = (0..23).map(|id| format!(r#"{{"id": "{id}"}}"#)).collect();
        let json = format!(r#"{{"data": [{}]}}"#, many.join(","));
        assert!(ModelList::read(json.as_bytes()).unwrap().names().ends_with("`19`, 3 more"));
        for bad in ["", "<html>", "{}", r#"{"data": 7}"#] {
            assert_eq!(ModelList::read(bad.as_bytes()), None, "{bad}");
        }
    }
}
