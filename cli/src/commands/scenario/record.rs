//! `scenario record`: writes a scenario from what a person does.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use handsight_actions::secret::Bindings;
use handsight_actions::{Device, DeviceKind, Halt, Key};
use handsight_agent::{CancelFlag, SettleOptions};
use handsight_scenarios::Draft;
use handsight_scenarios::record::{
    Hear, RecordControls, Recording, name_targets, record, write_recording,
};

use super::eyes::{LazyEyes, LazyModel};
use super::written;
use crate::args::{DeviceArg, RecordArgs};
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::{Printer, Style};
use crate::settings::Environment;

pub(super) fn run(
    args: &RecordArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    Draft::check_new(&args.output)?;
    let bindings = open::secrets::vault(&args.secrets, environment)?.bindings();
    let interrupt = Interrupt::listen(printer)?;
    let (recording, kind) = listen(args, &bindings, printer, environment, &interrupt)?;
    if recording.is_empty() {
        return Err(Failure::bad_input("nothing was done, so nothing was written".to_owned())
            .with_hint("use mouse and keyboard while it records, then end it with Ctrl-C"));
    }
    let unwritten = Unwritten::new(recording, args.output.clone(), &interrupt);
    let names = if args.no_model {
        Vec::new()
    } else {
        // The first Ctrl-C ended the recording, not this.
        let model = LazyModel::new(&args.model, printer, environment, &interrupt)
            .with_cancel(CancelFlag::default());
        let mut eyes = LazyEyes::new(&model, kind, SettleOptions::immediate());
        unwritten.named(&mut eyes, printer)
    };
    written(&unwritten.write(&names)?, printer)
}

/// Listens until Ctrl-C or the keys that stop runs.
fn listen(
    args: &RecordArgs,
    bindings: &Bindings,
    printer: &Printer,
    environment: &Environment,
    interrupt: &Interrupt,
) -> Result<(Recording, DeviceKind), Failure> {
    match &args.target.device {
        DeviceArg::Still(_) => Err(Failure::bad_input("nobody acts on a picture".to_owned())
            .with_hint("record on `desktop` or `android`")),
        DeviceArg::Android(_) if args.target.desktop.is_given() => {
            Err(open::not_a_desktop("phone"))
        }
        DeviceArg::Android(serial) => {
            use handsight_actions::{AndroidDevice, AndroidListener};
            // Ctrl-C ends the recording, and must not cut off what is being asked.
            let mut device = open::phone(serial.as_deref(), environment, &Halt::default())?;
            let mut listener = AndroidListener::open(&device)?;
            let mut hear = |device: &mut AndroidDevice, wait| listener.hear(device, wait);
            let kind = device.info().kind;
            Ok((until_stopped(&mut device, &mut hear, bindings, printer, interrupt)?, kind))
        }
        #[cfg(target_os = "linux")]
        DeviceArg::Desktop => {
            use handsight_actions::{DesktopDevice, DesktopListener, DesktopOptions};
            let options = DesktopOptions {
                display: open::display(environment),
                portal: open::portal(environment),
                ..args.target.desktop.options()
            };
            let mut device = DesktopDevice::open(&options)
                .map_err(|error| open::no_desktop(error, environment))?;
            let mut listener = DesktopListener::open(&device)?;
            let mut hear = |device: &mut DesktopDevice, wait| listener.hear(device, wait);
            let kind = device.info().kind;
            Ok((until_stopped(&mut device, &mut hear, bindings, printer, interrupt)?, kind))
        }
        #[cfg(not(target_os = "linux"))]
        DeviceArg::Desktop => {
            let _ = (environment, until_stopped::<handsight_actions::DesktopDevice>);
            Err(Failure::bad_input("this system does not tell what its user does".to_owned())
                .with_hint("record on X11"))
        }
    }
}

fn until_stopped<D: Device>(
    device: &mut D,
    hear: Hear<'_, D>,
    bindings: &Bindings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> Result<Recording, Failure> {
    let name = device.info().name;
    let chord = open::policy::STOP_CHORD;
    printer.note(&format!("recording {name}; Ctrl-C here or {chord} there ends it"));
    let stop = Key::parse_chord(chord).expect("these are keys");
    let mut on_step = |step: &str| {
        if !step.is_empty() {
            printer.note(&format!("  {step}"));
        }
    };
    let controls = RecordControls {
        device,
        hear,
        bindings,
        stop: &stop,
        cancel: &interrupt.cancel,
        on_step: &mut on_step,
    };
    Ok(record(controls)?)
}

/// A recording that is written once: by a second Ctrl-C without names, if one comes before.
struct Unwritten {
    recording: Arc<Mutex<Option<Recording>>>,
    path: PathBuf,
}

impl Unwritten {
    fn new(recording: Recording, path: PathBuf, interrupt: &Interrupt) -> Self {
        let recording = Arc::new(Mutex::new(Some(recording)));
        let (kept, file) = (Arc::clone(&recording), path.clone());
        interrupt.before_exit(move || {
            let recording = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
            // There is nobody left to be told that it cannot be written.
            let _ = recording.map(|recording| write_recording(&recording, &[], &file));
        });
        Self { recording, path }
    }

    /// Has the model name the targets; one that cannot be asked leaves them without names.
    fn named(&self, eyes: &mut LazyEyes<'_>, printer: &Printer) -> Vec<Option<String>> {
        let recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(recording) = recording else { return Vec::new() };
        let spinner = printer.spinner("asking the model what was acted on");
        let named = name_targets(&recording, eyes, |name| {
            spinner.message(format!("found {}", name.unwrap_or("no sure name")));
        });
        drop(spinner);
        named.unwrap_or_else(|error| {
            let problem = printer.paint(Style::Yellow, "without names:");
            printer.note(&format!("{problem} {error}"));
            Vec::new()
        })
    }

    fn write(self, names: &[Option<String>]) -> Result<handsight_scenarios::Scenario, Failure> {
        let recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner).take();
        let recording = recording.ok_or_else(Failure::interrupted)?;
        Ok(write_recording(&recording, names, &self.path)?)
    }
}
