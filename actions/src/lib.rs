//! What can be done to a screen, and the devices that do it.
//!
//! A [`Device`] is one screen: [`Device::observe`] returns what it shows and [`Device::perform`]
//! does one [`Action`] to it. Every device checks an action against its own screen before anything
//! moves, so an action that names a point off the screen, a key that does not exist or an empty
//! text is an error and never a stray click.
//!
//! ```
//! use handsight_actions::{Action, Device, FakeDevice, FakeScreen, PixelPoint, Rect, Size};
//!
//! let login = FakeScreen::new("login")
//!     .field("User", Rect { x: 20, y: 20, width: 160, height: 24 })
//!     .button("OK", Rect { x: 20, y: 60, width: 60, height: 24 }, Some("welcome"));
//! let mut device = FakeDevice::new(Size { width: 320, height: 200 }, vec![login, FakeScreen::new("welcome")]);
//!
//! device.perform(&Action::LeftClick { coordinate: PixelPoint { x: 30, y: 30 } })?;
//! device.perform(&Action::Type { text: "José".to_owned() })?;
//! assert_eq!(device.text("User"), Some("José"));
//! device.perform(&Action::LeftClick { coordinate: PixelPoint { x: 40, y: 70 } })?;
//! assert_eq!(device.screen(), "welcome");
//!
//! let off_screen = Action::LeftClick { coordinate: PixelPoint { x: 320, y: 0 } };
//! assert!(device.perform(&off_screen).is_err());
//! # Ok::<(), handsight_actions::DeviceError>(())
//! ```
//!
//! The text a model writes becomes an action in [`parse`], the actions a model may write become a
//! JSON Schema in [`schema`], and points change from one space to another only in [`geometry`].

pub mod action;
pub mod clipboard;
pub mod device;
pub mod fact;
pub mod geometry;
pub mod guard;
pub mod halt;
pub mod heard;
pub mod json_action;
pub mod key;
pub mod observation;
pub mod parse;
pub mod schema;
pub mod screenshot;
pub mod secret;
#[cfg(feature = "android")]
#[doc(hidden)]
pub mod untrusted;
pub mod yaml;

pub use action::{Action, ActionSpace, Direction, InvalidAction, Status, SystemButton, Verb};
#[cfg(feature = "android")]
pub use device::android::{
    AdbAddress, AdbError, AndroidDevice, AndroidError, AndroidFault, AndroidListener,
    AndroidOptions, AndroidPhone, BadAdbAddress, FakeAndroid, FakeAndroidOptions, FakeDoor,
    FakeLock, FakePixels, Namespace, PhoneDetails, UiNode, UiTree, Wireless, android_phones,
    wireless,
};
#[cfg(all(feature = "wayland", target_os = "linux"))]
pub use device::desktop::DesktopCover;
#[cfg(any(feature = "desktop", all(feature = "x11", target_os = "linux")))]
pub use device::desktop::{
    DesktopDevice, DesktopOptions, DesktopWindow, Monitor, MonitorChoice, PortalOptions, Scope,
    WatchOptions, WindowChoice, is_wayland, monitors, session_display, windows,
};
#[cfg(all(feature = "x11", target_os = "linux"))]
pub use device::desktop::{DesktopListener, Rescue, keep_clipboard};
pub use device::fake::{FakeDevice, FakeFault, FakeScreen};
pub use device::relay::{RelayDevice, RelayOptions, Seen};
pub use device::still::StillDevice;
pub use device::{
    AreaFault, Device, DeviceError, DeviceInfo, DeviceKind, MissingProtocol, PortalFault,
};
pub use fact::{Fact, FactSaid, ViewSaid};
pub use geometry::{
    Area, DesktopPoint, Frame, Grid, ModelBox, ModelPoint, MonitorLayout, MonitorPoint, PixelPoint,
    Point, Rect, Size,
};
pub use guard::{
    Approval, Guard, Question, Refusal, SafetyPolicy, SafetyPolicyError, policy_schema,
};
pub use halt::{Halt, HaltCause, HaltState, Reaction};
pub use json_action::{JsonAction, JsonActionError, JsonActionType};
pub use key::{Key, UnknownKey};
pub use observation::{Observation, Place, Window, WindowAt};
pub use parse::{
    Answer, AnswerForm, AnswerPiece, CallForm, Coordinate, Dialect, Fault, Mend, NamedPlace,
    ParseError, ParsedReply, PlaceList, Shape, ShapeKind, Told, call_forms, parse_action,
    parse_action_with_pointer, print_action, python_json, read_box, read_places, told,
};
pub use schema::{action_schema, public_schema, tool_schema, tool_signature, verb_schema};
pub use screenshot::Screenshot;
pub use secret::{SecretHand, SecretName, SecretRefusal, Secrets};
