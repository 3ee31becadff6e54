//! A conversation of several turns about pictures and videos.
//!
//! It only ever grows at its end, so that what a model has read once it does not read again: each
//! turn's prompt begins with all of the last one's. A question that could not be answered leaves it as
//! it was.

use handsight_model::{
    CancelFlag, Completion, GenerateOptions, ImageInput, Message, Part, Request, Role, StopReason,
    TokenInfo, VideoInput,
};

use crate::vision_model::{AnswerError, VisionModel};

/// A piece of what the user says.
#[derive(Clone, Debug)]
pub enum Said {
    /// Words.
    Text(String),
    /// A picture, and what it is called.
    Image(ImageInput, String),
    /// A video, and what it is called.
    Video(VideoInput, String),
}

/// What has been said so far.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
    images: Vec<ImageInput>,
    videos: Vec<VideoInput>,
    image_names: Vec<String>,
    video_names: Vec<String>,
    /// How many messages there were before anybody said anything: the system's.
    opening: usize,
}

impl Conversation {
    /// Begins a conversation, with instructions for all of it if there are any.
    pub fn new(system: Option<&str>) -> Self {
        let messages: Vec<_> =
            system.map(|system| Message::text(Role::System, system)).into_iter().collect();
        Self { opening: messages.len(), messages, ..Self::default() }
    }

    /// Returns what was said, oldest first.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns what a picture or video of a message is called.
    pub fn name_of(&self, part: &Part) -> Option<&str> {
        match part {
            Part::Text { .. } => None,
            Part::Image { image } => self.image_names.get(*image).map(String::as_str),
            Part::Video { video } => self.video_names.get(*video).map(String::as_str),
        }
    }

    /// Returns how many pictures, and how many videos, have been shown.
    pub fn shown(&self) -> (usize, usize) {
        (self.images.len(), self.videos.len())
    }

    /// Whether nobody has said anything yet.
    pub fn is_empty(&self) -> bool {
        self.messages.len() == self.opening
    }

    /// Forgets all that was said; the instructions stay.
    pub fn reset(&mut self) {
        self.back_to(self.opening, 0, 0);
    }

    /// Says something and has the model answer. `on_token` sees every token as it is written.
    ///
    /// What there is of an answer that was stopped on the way stays part of the conversation; if there
    /// is nothing of it, the question goes, too.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if there is no answer; the conversation is as it was before.
    pub fn say(
        &mut self,
        model: &dyn VisionModel,
        said: impl IntoIterator<Item = Said>,
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        let before = (self.messages.len(), self.images.len(), self.videos.len());
        let content = said.into_iter().map(|said| self.part(said)).collect();
        self.messages.push(Message::new(Role::User, content));
        let request = Request {
            messages: self.messages.clone(),
            images: self.images.clone(),
            videos: self.videos.clone(),
            options: options.clone(),
            ..Request::default()
        };
        let answer = model.answer(&request, on_token, cancel);
        match &answer {
            Ok(completion)
                if completion.stop != StopReason::Cancelled || !completion.text.is_empty() =>
            {
                self.messages.push(Message::text(Role::Assistant, &completion.text));
            }
            _ => self.back_to(before.0, before.1, before.2),
        }
        answer
    }

    fn part(&mut self, said: Said) -> Part {
        match said {
            Said::Text(text) => Part::Text { text },
            Said::Image(image, name) => {
                self.images.push(image);
                self.image_names.push(name);
                Part::Image { image: self.images.len() - 1 }
            }
            Said::Video(video, name) => {
                self.videos.push(video);
                self.video_names.push(name);
                Part::Video { video: self.videos.len() - 1 }
            }
        }
    }

    fn back_to(&mut self, messages: usize, images: usize, videos: usize) {
        self.messages.truncate(messages);
        self.images.truncate(images);
        self.image_names.truncate(images);
        self.videos.truncate(videos);
        self.video_names.truncate(videos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision_model::ModelCard;
    use handsight_model::{ModelError, PixelLimits, Stats};
    use image::RgbImage;
    use std::sync::Mutex;

    /// How an answer is to end that ends early.
    enum End {
        Silent(StopReason),
        Failed,
    }

    /// Answers with the number of messages and pictures it was shown, and can be told to fail.
    #[derive(Default)]
    struct Counting {
        next: Mutex<Option<End>>,
    }

    impl VisionModel for Counting {
        fn card(&self) -> ModelCard {
            ModelCard::default()
        }

        fn resized_size_within(
            &self,
            width: u32,
            height: u32,
            _: PixelLimits,
        ) -> Result<(u32, u32), ModelError> {
            Ok((width, height))
        }

        fn answer(
            &self,
            request: &Request,
            _: &mut dyn FnMut(&TokenInfo),
            _: &CancelFlag,
        ) -> Result<Completion, AnswerError> {
            let text = format!("{}+{}", request.messages.len(), request.images.len());
            let (text, stop) = match self.next.lock().unwrap().take() {
                None => (text, StopReason::Stop),
                Some(End::Silent(stop)) => (String::new(), stop),
                Some(End::Failed) => return Err(ModelError::Cancelled.into()),
            };
            Ok(Completion { text, tokens: Vec::new(), stop, stats: Stats::default() })
        }
    }

    fn picture() -> Said {
        Said::Image(RgbImage::new(28, 28).into(), "a.png".to_owned())
    }

    fn say(talk: &mut Conversation, model: &Counting, said: Vec<Said>) -> Option<String> {
        let options = GenerateOptions::default();
        let answer = talk.say(model, said, &options, &mut |_| {}, &CancelFlag::default());
        answer.ok().map(|answer| answer.text)
    }

    #[test]
    fn every_turn_begins_with_all_of_the_last() {
        let (model, mut talk) = (Counting::default(), Conversation::new(Some("Be brief.")));
        assert!(talk.is_empty());
        let hello = || Said::Text("hello".to_owned());
        assert_eq!(say(&mut talk, &model, vec![picture(), hello()]).as_deref(), Some("2+1"));
        let first = talk.messages().to_vec();
        assert_eq!(say(&mut talk, &model, vec![hello(), picture()]).as_deref(), Some("4+2"));
        assert_eq!(talk.messages()[..3], first);
        let second = &talk.messages()[3].content[1];
        assert_eq!((second, talk.name_of(second)), (&Part::Image { image: 1 }, Some("a.png")));
        talk.reset();
        assert!(talk.is_empty() && talk.shown() == (0, 0));
        assert_eq!(talk.messages().len(), 1, "the instructions stay");
    }

    #[test]
    fn a_question_without_an_answer_leaves_no_trace() {
        let (model, mut talk) = (Counting::default(), Conversation::new(None));
        say(&mut talk, &model, vec![Said::Text("one".to_owned())]);
        let before = talk.messages().to_vec();
        for end in [End::Failed, End::Silent(StopReason::Cancelled)] {
            *model.next.lock().unwrap() = Some(end);
            say(&mut talk, &model, vec![picture()]);
            assert_eq!((talk.messages(), talk.shown()), (&before[..], (0, 0)));
        }
        // A model may have nothing to say.
        *model.next.lock().unwrap() = Some(End::Silent(StopReason::Stop));
        say(&mut talk, &model, vec![picture()]);
        assert_eq!((talk.messages().len(), talk.shown()), (4, (1, 0)));
    }
}
