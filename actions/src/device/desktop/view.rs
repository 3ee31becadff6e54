//! What a device observes: chosen once, then followed wherever it goes.
//!
//! Monitors are followed by their name, because their numbers change when another one is plugged
//! in; windows by the number the system gave them, because their titles change all the time.

use super::backend::Screen;
use super::choice::{MonitorChoice, Scope};
use super::{DesktopOptions, Failure, Monitor};
use crate::device::AreaFault;
use crate::geometry::{Area, Rect};

/// A window as the system knows it, its area in units of the desktop.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: u32,
    pub(super) app: String,
    pub(super) title: String,
    pub(super) area: Rect,
}

#[cfg(target_os = "linux")]
impl Found {
    /// Returns what a person calls it: its title, or its application where it has none.
    pub(super) fn name(self) -> String {
        if self.title.is_empty() { self.app } else { self.title }
    }
}

/// How often a window is looked at again that moved while it was captured.
const LOOKS: usize = 4;

/// What is observed, and where it was when it was last looked for.
pub(super) struct View {
    /// The window, unless it is a whole monitor.
    window: Option<Found>,
    region: Option<Rect>,
    index: usize,
    monitor: Monitor,
    area: Area,
}

impl View {
    /// Finds what was chosen.
    pub(super) fn choose(screen: &dyn Screen, options: &DesktopOptions) -> Result<Self, Failure> {
        let monitors = screen.monitors()?;
        let find = |choice: &super::WindowChoice| {
            let windows = screen.windows()?;
            Ok::<_, Failure>(choice.pick(windows, |found| (found.id.into(), &found.title))?)
        };
        let (window, index) = match &options.scope {
            Scope::Window(choice) => (Some(find(choice)?), 0),
            Scope::Monitor(MonitorChoice::With(choice)) => {
                (None, monitor_under(find(choice)?.area, &monitors).unwrap_or(0))
            }
            Scope::Monitor(choice) => (None, choice.pick(&monitors)?),
        };
        let monitor = at(&monitors, index)?;
        let area = Area::whole(monitor.layout);
        let mut view = Self { window, region: options.region, index, monitor, area };
        view.locate(&monitors)?;
        Ok(view)
    }

    /// Returns its name, for people.
    pub(super) fn name(&self) -> String {
        let whole = match &self.window {
            Some(window) => format!("window \"{}\"", window.title),
            None => format!("monitor {}", self.index),
        };
        self.region.map_or(whole.clone(), |region| {
            let Rect { x, y, width, height } = region;
            format!("{whole} region {x},{y},{width},{height}")
        })
    }

    /// Returns the monitor it is on, and that one's number.
    pub(super) fn monitor(&self) -> (&Monitor, usize) {
        (&self.monitor, self.index)
    }

    /// Returns where it is.
    pub(super) fn area(&self) -> Area {
        self.area
    }

    /// Looks where it is now: monitors and windows are moved, resized and taken away at any time.
    pub(super) fn follow(&mut self, screen: &dyn Screen) -> Result<(), Failure> {
        if let Some(window) = &self.window {
            let gone = || AreaFault::Gone { window: window.title.clone() };
            let now = screen.find_window(window.id)?.ok_or_else(gone)?;
            // The number may be another program's by now.
            if now.app != window.app {
                return Err(gone().into());
            }
            self.window = Some(now);
        }
        self.locate(&screen.monitors()?)
    }

    /// Brings the window up, if it is one, and looks where it is then; says whether that changed
    /// anything on the screen.
    pub(super) fn bring_up(&mut self, screen: &dyn Screen) -> Result<bool, Failure> {
        self.follow(screen)?;
        let Some(window) = &self.window else { return Ok(false) };
        let changed = screen.raise(window)?;
        if changed {
            self.follow(screen)?;
        }
        let Some(window) = &self.window else { return Ok(changed) };
        let monitors: Vec<Rect> = screen
            .monitors()?
            .iter()
            .map(|monitor| Area::whole(monitor.layout).on_desktop())
            .collect();
        if window.area.is_covered_by(&monitors) {
            Ok(changed)
        } else {
            let (window, area) = (window.title.clone(), window.area);
            Err(AreaFault::OffScreen { window, area }.into())
        }
    }

    /// Has keys reach the window, if it is one.
    pub(super) fn take_keys(&self, screen: &dyn Screen) -> Result<(), Failure> {
        self.window.as_ref().map_or(Ok(()), |window| screen.focus(window))
    }

    /// Does something that takes a while with the area, again if it moved meanwhile.
    pub(super) fn while_still<T>(
        &mut self,
        screen: &mut dyn Screen,
        mut look: impl FnMut(&mut dyn Screen, &Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        for _ in 1..LOOKS {
            let before = self.area;
            let seen = look(screen, self);
            if self.window.is_none() {
                return seen;
            }
            self.follow(screen)?;
            if self.area == before {
                return seen;
            }
        }
        look(screen, self)
    }

    fn locate(&mut self, monitors: &[Monitor]) -> Result<(), Failure> {
        let area = if let Some(window) = &self.window {
            self.index = monitor_under(window.area, monitors).unwrap_or(0);
            self.monitor = at(monitors, self.index)?;
            Area::on(self.monitor.layout, window.area)
        } else {
            let mut named =
                (0..monitors.len()).filter(|&index| monitors[index].name == self.monitor.name);
            let gone = || no_monitor(self.monitor.name.clone(), monitors);
            let first = named.next().ok_or_else(gone)?;
            // Where several have one name the number decides.
            let is_unique = named.next().is_none();
            if is_unique {
                self.index = first;
            }
            self.monitor = at(monitors, self.index)?;
            Area::whole(self.monitor.layout)
        };
        self.area = match self.region {
            None => area,
            Some(region) => {
                area.region(region).ok_or(AreaFault::NoRegion { region, size: area.size() })?
            }
        };
        Ok(())
    }
}

fn at(monitors: &[Monitor], index: usize) -> Result<Monitor, AreaFault> {
    monitors.get(index).cloned().ok_or_else(|| no_monitor(index.to_string(), monitors))
}

/// Says which monitors there are instead of this one.
pub(super) fn no_monitor(monitor: String, monitors: &[Monitor]) -> AreaFault {
    let available = monitors.iter().map(|monitor| monitor.name.clone()).collect();
    AreaFault::NoMonitor { monitor, available }
}

/// Returns the number of the monitor that shows most of a rectangle, if one shows any of it.
pub(super) fn monitor_under(rect: Rect, monitors: &[Monitor]) -> Option<usize> {
    let shown = |monitor: &Monitor| {
        let monitor = Area::whole(monitor.layout).on_desktop();
        let shown = monitor.intersection(rect)?;
        Some(u64::from(shown.width) * u64::from(shown.height))
    };
    let candidates = monitors.iter().enumerate().filter_map(|(index, m)| Some((shown(m)?, index)));
    // Of two that show as much the first.
    candidates.max_by_key(|&(pixels, index)| (pixels, usize::MAX - index)).map(|(_, index)| index)
}
