//! A model that sees: what deciding, grounding and asking need of one, wherever it runs.

use std::sync::{Arc, mpsc};

use handsight_model::{
    CancelFlag, Completion, Engine, Event, ModelError, PixelLimits, Request, Scheduler, TokenInfo,
};

use crate::remote::RemoteError;

/// What a model is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ModelCard {
    /// What a trace and a report call it.
    pub name: String,
    /// How many parameters it has, if that is known.
    pub parameters: Option<u64>,
    /// The prompt it was trained on, if it names one.
    pub prompt_profile: Option<String>,
    /// Whether its answers can be held to a grammar in llguidance's dialect of Lark. Each model can
    /// be held to a JSON Schema, or is checked against it.
    pub takes_grammars: bool,
}

/// A model that answers questions about images.
///
/// There are three: [`Engine`], which runs in this process, [`Scheduler`], which is an engine that answers
/// threads that ask at once in common passes, and [`RemoteModel`](crate::RemoteModel), which a server runs.
pub trait VisionModel: Send + Sync {
    /// Returns what the model is.
    fn card(&self) -> ModelCard;

    /// Returns the size, (width, height), in whose pixels the model speaks of an image that is shown
    /// within these limits.
    ///
    /// # Errors
    ///
    /// [`ModelError::Image`] if such an image cannot be processed within them.
    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError>;

    /// Returns the SHA-256 of its weights in hexadecimal, if they are at hand.
    ///
    /// # Errors
    ///
    /// [`ModelError::Read`] if a file of them is gone.
    fn weights_sha256(&self) -> Result<Option<String>, ModelError> {
        Ok(None)
    }

    /// Whether its vocabulary has the tokens that stand around a box.
    fn has_box_tokens(&self) -> bool {
        false
    }

    /// Answers a request. `on_token` sees every token as it is generated, its text being the part
    /// of the answer that became whole with it.
    ///
    /// When `cancel` is set it returns what there is so far, with
    /// [`StopReason::Cancelled`](handsight_model::StopReason::Cancelled).
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if there is no answer.
    fn answer(
        &self,
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError>;

    /// Checks that the model saw the images at the size they were sent at; a point is worth nothing
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if there is proof that it did not.
    fn check_frame(&self, _answer: &Completion) -> Result<(), AnswerError> {
        Ok(())
    }
}

/// Why a model did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The request cannot be answered, or the model in this process failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The server that runs the model failed.
    #[error(transparent)]
    Remote(Box<RemoteError>),
}

impl From<RemoteError> for AnswerError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Box::new(error))
    }
}

impl AnswerError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint().map(str::to_owned),
            Self::Remote(error) => error.hint().map(str::to_owned),
        }
    }
}

impl VisionModel for Engine {
    fn card(&self) -> ModelCard {
        let info = self.info();
        ModelCard {
            name: info.name.clone(),
            parameters: Some(info.parameters),
            prompt_profile: info.prompt_profile.clone(),
            takes_grammars: true,
        }
    }

    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        self.processor().resized_size_within(width, height, limits)
    }

    fn weights_sha256(&self) -> Result<Option<String>, ModelError> {
        Ok(Some(self.weights_hash()?.to_owned()))
    }

    fn has_box_tokens(&self) -> bool {
        ["<|box_start|>", "<|box_end|>"].iter().all(|token| self.tokenizer().id(token).is_some())
    }

    fn answer(
        &self,
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        Ok(self.generate(request, on_token, cancel)?)
    }
}

impl VisionModel for Scheduler {
    fn card(&self) -> ModelCard {
        self.engine().card()
    }

    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        VisionModel::resized_size_within(&**self.engine(), width, height, limits)
    }

    fn weights_sha256(&self) -> Result<Option<String>, ModelError> {
        self.engine().weights_sha256()
    }

    fn has_box_tokens(&self) -> bool {
        self.engine().has_box_tokens()
    }

    /// Blocks until the answer is there; others that are asked for meanwhile share its passes.
    fn answer(
        &self,
        request: &Request,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        let (tell, told) = mpsc::channel();
        let on_event = Box::new(move |event| {
            // Whoever asked waits below until it is over.
            let _ = tell.send(event);
        });
        self.submit(request.clone(), cancel.clone(), on_event)?;
        for event in told {
            match event {
                Event::Started { .. } => {}
                Event::Token(token) => on_token(&token),
                Event::Done(result) => return Ok((*result)?),
            }
        }
        Err(ModelError::ShuttingDown.into())
    }
}

/// What points to a model is one.
macro_rules! through {
    ($pointer:ident) => {
        impl<T: VisionModel + ?Sized> VisionModel for $pointer<T> {
            fn card(&self) -> ModelCard {
                (**self).card()
            }

            fn resized_size_within(
                &self,
                width: u32,
                height: u32,
                limits: PixelLimits,
            ) -> Result<(u32, u32), ModelError> {
                (**self).resized_size_within(width, height, limits)
            }

            fn weights_sha256(&self) -> Result<Option<String>, ModelError> {
                (**self).weights_sha256()
            }

            fn has_box_tokens(&self) -> bool {
                (**self).has_box_tokens()
            }

            fn answer(
                &self,
                request: &Request,
                on_token: &mut dyn FnMut(&TokenInfo),
                cancel: &CancelFlag,
            ) -> Result<Completion, AnswerError> {
                (**self).answer(request, on_token, cancel)
            }

            fn check_frame(&self, answer: &Completion) -> Result<(), AnswerError> {
                (**self).check_frame(answer)
            }
        }
    };
}

through!(Box);
through!(Arc);
