//! Description → all such things on a picture, each with its box or its point.

use handsight_actions::{
    Frame, NamedPlace, ParseError, PixelPoint, PlaceList, Rect, Shape, ShapeKind, Size, read_places,
};
use handsight_model::{
    CancelFlag, Completion, Constraint, GenerateOptions, Request, StopReason, TokenInfo,
};
use image::RgbImage;
use serde_json::{Map, Value};

use super::{GroundingError, check_description, invalid};
use crate::policy::PolicyError;
use crate::policy::grammar;
use crate::policy::model::{frame_of, probability_between};
use crate::prompt::{PromptProfile, build_ask};
use crate::trace::event::Usage;
use crate::vision_model::VisionModel;

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ListOptions<'a> {
    /// What things.
    pub description: &'a str,
    /// Boxes or points.
    pub kind: ShapeKind,
    /// The most tokens of the reply; some 30 are written for each thing.
    pub max_new_tokens: usize,
}

/// The things of a description, as far as the model can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Things {
    /// The things, in the model's order; none if it sees none.
    pub things: Vec<Thing>,
    /// What had to be mended in the reply, for people.
    pub repairs: Vec<String>,
    /// Why other entries of the reply cannot be used.
    pub refused: Vec<String>,
    /// Whether the reply breaks off before its end, so that there may be more.
    pub is_cut_off: bool,
    /// The sizes the places were mapped between.
    pub frame: Frame,
    /// The reply as it was written.
    pub reply: String,
    /// What it cost.
    pub usage: Usage,
}

/// One of the things.
#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    /// What the model calls it; may be empty.
    pub label: String,
    /// Where it is, in pixels of the picture; of a box, its middle.
    pub point: PixelPoint,
    /// The pixels of the picture it covers, if a box was asked for.
    pub area: Option<Rect>,
    /// The place in the space the model spoke in.
    pub shape: Shape,
    /// What else the model says of it.
    pub fields: Map<String, Value>,
    /// The probability the model gave to exactly these numbers; `None` from a server that does not
    /// tell.
    pub probability: Option<f64>,
}

/// Returns all things of this description on `image`. `on_token` sees the reply as it is written.
///
/// # Errors
///
/// [`GroundingError`] if the description cannot be used, the family was not trained for it, the model
/// fails, its reply names no place that can be used, or `cancel` is set.
pub fn ground_all(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    options: ListOptions<'_>,
    on_token: &mut dyn FnMut(&TokenInfo),
    cancel: &CancelFlag,
) -> Result<Things, GroundingError> {
    let ListOptions { description, kind, max_new_tokens } = options;
    let description = check_description(description)?;
    let ask = profile.places(kind)?;
    let (width, height) = image.dimensions();
    let limits = profile.limits_to_ground();
    let frame =
        frame_of(model, profile, limits, Size { width, height }).map_err(PolicyError::from)?;
    let prompt = build_ask(ask, Some(&description), image.clone(), limits);
    // Servers with other grammars than ours are left free: asked for JSON alone, Qwen2.5-VL has been
    // seen to write lists without numbers, and whatever form it chooses is read.
    let is_ours = model.card().takes_grammars;
    let constraint = is_ours.then(|| Constraint::Lark(grammar::places(kind, frame.model)));
    let request = Request {
        constraint,
        options: GenerateOptions { max_new_tokens, ..GenerateOptions::default() },
        ..prompt.into_request()
    };
    let completion = model.answer(&request, on_token, cancel).map_err(PolicyError::from)?;
    model.check_frame(&completion).map_err(PolicyError::from)?;
    if completion.stop == StopReason::Cancelled {
        return Err(PolicyError::Cancelled.into());
    }
    Ok(read(completion, kind, frame)?)
}

/// Reads the things in a completion.
fn read(completion: Completion, kind: ShapeKind, frame: Frame) -> Result<Things, PolicyError> {
    let reply = &completion.text;
    let is_cut_off = completion.stop == StopReason::Length;
    let cut_off = || {
        let tokens = completion.stats.completion_tokens;
        let problem =
            format!("the reply was cut off after {tokens} tokens, before its first place");
        PolicyError::InvalidReply { reply: reply.clone(), problem }
    };
    let list = match read_places(reply, kind, frame.model) {
        Ok(list) => list,
        Err(ParseError::NoPlace { .. }) if is_cut_off => return Err(cut_off()),
        Err(error) => return Err(invalid(reply, &error)),
    };
    let PlaceList { places, repairs, refused, is_cut_off: breaks_off } = list;
    if places.is_empty() {
        if let Some(first) = refused.first() {
            return Err(invalid(reply, first));
        }
        if breaks_off || is_cut_off {
            return Err(cut_off());
        }
    }
    let is_told = !completion.tokens.is_empty();
    let thing = |place: NamedPlace| {
        let (point, area) = match place.shape {
            Shape::Point(point) => (frame.to_pixels(point), None),
            Shape::Box(area) => {
                let area = frame.box_to_pixels(area);
                (area.center(), Some(area))
            }
        };
        let span = place.span;
        let probability =
            is_told.then(|| probability_between(&completion.tokens, span.start, span.end));
        let (label, shape, fields) = (place.label, place.shape, place.fields);
        Thing { label, point, area, shape, fields, probability }
    };
    Ok(Things {
        things: places.into_iter().map(thing).collect(),
        repairs,
        refused: refused.iter().map(ToString::to_string).collect(),
        is_cut_off: breaks_off || is_cut_off,
        frame,
        usage: Usage::from(&completion.stats),
        reply: completion.text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use handsight_actions::ModelBox;
    use handsight_model::Stats;

    const FRAME: Frame = Frame {
        screenshot: Size { width: 1000, height: 500 },
        model: Size { width: 504, height: 252 },
    };

    fn completion(text: &str, stop: StopReason) -> Completion {
        let (text, tokens, stats) = (text.to_owned(), Vec::new(), Stats::default());
        Completion { text, tokens, stop, stats }
    }

    fn problem(text: &str, stop: StopReason) -> String {
        match read(completion(text, stop), ShapeKind::Boxes, FRAME) {
            Err(PolicyError::InvalidReply { reply, problem }) if reply == text => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places_come_back_in_pixels_of_the_picture() {
        let reply =
            r#"[{"bbox_2d": [252, 126, 504, 252], "label": "Save", "n": 1}, {"bbox_2d": 7}]"#;
        let things = read(completion(reply, StopReason::Stop), ShapeKind::Boxes, FRAME).unwrap();
        let [thing] = &things.things[..] else { panic!("{things:?}") };
        assert_eq!(thing.area, Some(Rect { x: 500, y: 250, width: 500, height: 250 }));
        assert_eq!(thing.point, PixelPoint { x: 750, y: 375 });
        assert_eq!(thing.shape, Shape::Box(ModelBox::from([252, 126, 504, 252])));
        assert_eq!((thing.label.as_str(), thing.probability), ("Save", None));
        assert_eq!(thing.fields["n"], 1);
        assert_eq!(things.refused.len(), 1);
        let reply = r#"{"point_2d": [503, 0], "label": "x"}"#;
        let things = read(completion(reply, StopReason::Length), ShapeKind::Points, FRAME).unwrap();
        assert_eq!(things.things[0].point, PixelPoint { x: 999, y: 0 });
        assert!(things.is_cut_off && things.things[0].area.is_none());
    }

    #[test]
    fn the_probability_is_that_of_the_numbers() {
        let half = 0.5f32.ln();
        let token =
            |text: &str| TokenInfo { text: text.to_owned(), logprob: half, ..TokenInfo::default() };
        let texts =
            ["[{\"bbox_2d\": [", "1", ", ", "2", ", 3", ", 4", "], \"label\": \"", "99", "\"}]"];
        let text = texts.concat();
        let tokens = texts.map(token).to_vec();
        let answer = Completion { tokens, ..completion(&text, StopReason::Stop) };
        let things = read(answer, ShapeKind::Boxes, FRAME).unwrap();
        let probability = things.things[0].probability.unwrap();
        assert!((probability - 0.0625).abs() < 1e-6, "{probability}");
    }

    #[test]
    fn a_reply_without_a_place_that_can_be_used_is_refused() {
        let none = read(completion("[]", StopReason::Stop), ShapeKind::Boxes, FRAME).unwrap();
        assert!(none.things.is_empty() && !none.is_cut_off);
        assert_eq!(problem("", StopReason::Stop), "the reply is empty");
        assert!(problem("I see none.", StopReason::Stop).starts_with("the reply names no place"));
        let outside = r#"[{"bbox_2d": [600, 1, 700, 2], "label": "a"}]"#;
        assert_eq!(
            problem(outside, StopReason::Stop),
            "`bbox_2d` at byte 13: [600, 1, 700, 2] lies outside the 504×252 image"
        );
        let cut = "the reply was cut off after 0 tokens, before its first place";
        for text in ["```json\n[", "Let me see", "[{\"bbox_2d\": [1, 2"] {
            assert_eq!(problem(text, StopReason::Length), cut);
        }
    }
}
