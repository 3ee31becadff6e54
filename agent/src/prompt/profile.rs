//! A family and the kind of screen it is asked about: all that is needed to talk to a checkpoint.

use std::sync::Arc;

use handsight_actions::{Dialect, Frame, ShapeKind, Size};
use handsight_model::PixelLimits;

use super::budget::PixelBudget;
use crate::family::{AgentPrompt, AskPrompt, Family, FamilyError, GroundPrompt, Layout, Surface};

/// How a checkpoint is talked to: its family, and the kind of screen there is.
#[derive(Clone, Debug)]
pub struct PromptProfile {
    family: Arc<Family>,
    surface: Surface,
    /// What a picture may cost.
    budget: PixelBudget,
}

impl PromptProfile {
    /// Makes the profile of a family on such a screen.
    pub fn new(family: Arc<Family>, surface: Surface) -> Self {
        Self { family, surface, budget: PixelBudget::Family }
    }

    /// Returns the profile of the checkpoint inside the binary.
    pub fn embedded() -> Self {
        Self::known("embedded-v1")
    }

    /// Returns that of Qwen2.5-VL and what is like it on a desktop.
    pub fn computer_use() -> Self {
        Self::known("computer-use-v1")
    }

    /// Returns that of Qwen2.5-VL and what is like it on a phone.
    pub fn mobile_use() -> Self {
        Self::known("mobile-use-v1")
    }

    fn known(name: &str) -> Self {
        Self::from_name(name).expect("the families of this crate have it")
    }

    /// Returns the profile of that name, as a checkpoint's configuration writes it; with or without
    /// the version of its texts.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        let is_it = |agent: &AgentPrompt| {
            agent.profile == name
                || agent.profile.rsplit_once("-v").is_some_and(|(bare, _)| bare == name)
        };
        Family::all().iter().find_map(|family| {
            let surface = [Surface::Desktop, Surface::Mobile]
                .into_iter()
                .find(|&surface| family.agent(surface).is_some_and(is_it))?;
            Some(Self::new(Arc::clone(family), surface))
        })
    }

    /// Returns how to talk to a model: as `asked`, the name or file of a family; else as the family
    /// that one of the model's `names` belongs to; else as the checkpoint's configuration says it was
    /// trained; else as to Qwen2.5-VL. Without a `surface` it is that of the configuration, or a
    /// desktop.
    ///
    /// # Errors
    ///
    /// [`FamilyError`] if what is asked for, or what the configuration names, is not known.
    pub fn choose<'n>(
        asked: Option<&str>,
        names: impl IntoIterator<Item = &'n str>,
        configured: Option<&str>,
        surface: Option<Surface>,
    ) -> Result<Self, FamilyError> {
        let family = match asked {
            Some(asked) => Some(Family::open(asked)?),
            None => Family::of_model(names),
        };
        if let Some(family) = family {
            return Ok(Self::new(family, surface.unwrap_or_default()));
        }
        let Some(name) = configured else {
            return Ok(Self::new(Arc::clone(&Family::all()[0]), surface.unwrap_or_default()));
        };
        let profile = Self::from_name(name);
        let profile =
            profile.ok_or_else(|| FamilyError::UnknownProfile { name: name.to_owned() })?;
        let surface = surface.unwrap_or(profile.surface);
        Ok(Self { surface, ..profile })
    }

    /// Returns the same for a phone, if its family was trained on phones.
    #[must_use]
    pub fn on_phone(mut self) -> Self {
        if self.family.agent(Surface::Mobile).is_some() {
            self.surface = Surface::Mobile;
        }
        self
    }

    /// Returns the same, with no picture shown larger than the budget allows.
    #[must_use]
    pub fn with_budget(mut self, budget: PixelBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Returns what a picture may cost.
    pub fn budget(&self) -> PixelBudget {
        self.budget
    }

    /// Returns the family.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// Returns its name, with the version of its texts.
    pub fn as_str(&self) -> &str {
        self.family.agent(self.surface).map_or(&self.family.name, |agent| &agent.profile)
    }

    /// Returns the form of its replies; of a family that only finds things, plain action JSON.
    pub fn dialect(&self) -> Dialect {
        self.family.agent(self.surface).map_or(Dialect::Json, |agent| agent.dialect)
    }

    /// Returns how many earlier screenshots it is best shown.
    pub fn images_in_history(&self) -> usize {
        self.family.agent(self.surface).map_or(0, |agent| agent.images)
    }

    /// Whether it is the checkpoint inside the binary, which has its own ways.
    pub(crate) fn is_embedded(&self) -> bool {
        self.family.ground.as_ref().is_some_and(|ground| ground.layout == Layout::Embedded)
    }

    /// Returns how it is asked for an action.
    ///
    /// # Errors
    ///
    /// [`FamilyError::CannotDo`] if its family only finds things.
    pub(crate) fn agent(&self) -> Result<&AgentPrompt, FamilyError> {
        self.family.agent(self.surface).ok_or_else(|| {
            self.cannot(match self.surface {
                Surface::Desktop => "pursue a goal on a desktop",
                Surface::Mobile => "pursue a goal on a phone",
            })
        })
    }

    /// Says whether it can be asked for actions at all.
    ///
    /// # Errors
    ///
    /// [`FamilyError::CannotDo`] if its family only finds things.
    pub fn check_acts(&self) -> Result<(), FamilyError> {
        self.agent().map(|_| ())
    }

    pub(crate) fn ground(&self) -> Result<&GroundPrompt, FamilyError> {
        self.family
            .grounding(self.surface)
            .ok_or_else(|| self.cannot("find a thing by its description"))
    }

    /// Returns how it is asked for all things of a description.
    ///
    /// # Errors
    ///
    /// [`FamilyError::CannotDo`] if its family was not trained to list them.
    pub(crate) fn places(&self, kind: ShapeKind) -> Result<&AskPrompt, FamilyError> {
        let (ask, task) = match kind {
            ShapeKind::Boxes => (&self.family.boxes, "list things by their boxes"),
            ShapeKind::Points => (&self.family.points, "list things by their points"),
        };
        ask.as_ref().ok_or_else(|| self.cannot(task))
    }

    /// Returns how it is asked to read a document.
    ///
    /// # Errors
    ///
    /// [`FamilyError::CannotDo`] if its family was not trained to write one down.
    pub(crate) fn document(&self) -> Result<&AskPrompt, FamilyError> {
        let document = self.family.document.as_ref();
        document.ok_or_else(|| self.cannot("write documents down with their boxes"))
    }

    /// Says whether it can be asked for lists of things of that kind, or for documents if there is
    /// none.
    ///
    /// # Errors
    ///
    /// [`FamilyError::CannotDo`] if not.
    pub fn check_lists(&self, kind: Option<ShapeKind>) -> Result<(), FamilyError> {
        kind.map_or_else(|| self.document(), |kind| self.places(kind)).map(|_| ())
    }

    fn cannot(&self, task: &'static str) -> FamilyError {
        FamilyError::CannotDo { family: self.family.name.clone(), task }
    }

    /// Returns how large it is shown the screen when it is asked for an action.
    pub fn limits(&self) -> PixelLimits {
        let own = self.family.agent(self.surface).and_then(|agent| agent.pixels);
        self.budget.within(own.unwrap_or(self.family.pixels))
    }

    /// Returns how large it is shown a picture when it is asked where something is.
    pub fn limits_to_ground(&self) -> PixelLimits {
        let own = self.family.grounding(self.surface).and_then(|ground| ground.pixels);
        self.budget.within(own.unwrap_or(self.family.pixels))
    }

    /// Returns how large it is shown a screen at first, which within `limits` is `shown` so large.
    pub fn limits_on(&self, limits: PixelLimits, screen: Size, shown: Size) -> PixelLimits {
        self.budget.on_screen(limits, self.surface, (screen, shown))
    }

    /// Returns the frame of a screenshot that the model is shown `resized`.
    pub fn frame(&self, screenshot: Size, resized: Size) -> Frame {
        self.family.grid.frame(screenshot, resized)
    }
}
