//! One connection to the fake phone: the handshake, and the messages of its streams.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::auth::{self, Challenge};
use super::device::{Phone, Shared, locked};
use super::stream::{Stream, StreamState};
use super::{FakeDoor, service};
use crate::device::android::adb::wire::{
    AUTH_PUBLIC_KEY, AUTH_SIGNATURE, AUTH_TOKEN, Command, MAX_FIRST_PAYLOAD, MAX_PAYLOAD, Message,
    VERSION, text_of,
};

/// How many streams a connection may have at once.
const MOST_STREAMS: usize = 64;
/// How often a client may try a key.
const MOST_TRIES: u32 = 20;

/// A connection, as all its threads see it.
pub(super) struct Connection {
    out: Mutex<TcpStream>,
    streams: Mutex<HashMap<u32, Arc<StreamState>>>,
    /// The longest payload the peer takes.
    max_payload: AtomicU32,
    next: AtomicU32,
}

impl Connection {
    pub(super) fn send(&self, message: &Message) -> io::Result<()> {
        message.write_to(&mut *locked(&self.out))
    }

    pub(super) fn max_payload(&self) -> usize {
        self.max_payload.load(Ordering::SeqCst) as usize
    }

    pub(super) fn shut_down(&self) {
        let _ = locked(&self.out).shutdown(Shutdown::Both);
    }

    /// Forgets a stream; returns whether the peer still knew it.
    pub(super) fn forget_stream(&self, ours: u32) -> bool {
        locked(&self.streams).remove(&ours).is_some()
    }

    fn close_all(&self) {
        for (_, state) in locked(&self.streams).drain() {
            state.close();
        }
    }
}

/// Serves a connection on threads of its own.
pub(super) fn accept(shared: &Arc<Shared>, stream: TcpStream) {
    let Some(id) = shared.admit(&stream) else { return };
    let serving = Arc::clone(shared);
    let thread = thread::Builder::new().name("fake-android-client".to_owned());
    let spawned = thread.spawn(move || {
        // A client that goes away, or that speaks something else, is no fault of the phone.
        let _ = serve(&serving, stream);
        serving.forget(id);
    });
    if spawned.is_err() {
        shared.forget(id);
    }
}

fn serve(shared: &Arc<Shared>, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut incoming = io::BufReader::new(stream.try_clone()?);
    let connection = Arc::new(Connection {
        out: Mutex::new(stream),
        streams: Mutex::default(),
        max_payload: AtomicU32::new(MAX_PAYLOAD),
        next: AtomicU32::new(1),
    });
    let mut session = Session { shared, connection: &connection, state: State::New };
    let result = loop {
        match Message::read_from(&mut incoming, MAX_FIRST_PAYLOAD) {
            Ok(message) => match session.handle(&message) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            },
            Err(error) => break Err(error),
        }
    };
    connection.close_all();
    connection.shut_down();
    result
}

/// How far a client has come.
enum State {
    New,
    /// It was asked to sign something.
    Challenged(Challenge, u32),
    In,
}

struct Session<'a> {
    shared: &'a Arc<Shared>,
    connection: &'a Arc<Connection>,
    state: State,
}

impl Session<'_> {
    /// Handles a message; returns whether the connection goes on.
    fn handle(&mut self, message: &Message) -> io::Result<bool> {
        match (&self.state, message.command) {
            (_, Command::Connect) => self.connect(message),
            (State::Challenged(..), Command::Auth) => self.auth(message),
            // TLS was offered by nobody, or cannot be spoken: the end of the conversation.
            (_, Command::StartTls) => Ok(false),
            (State::In, command) => self.stream(command, message),
            // Whoever has not been let in is not heard.
            _ => Ok(true),
        }
    }

    fn connect(&mut self, message: &Message) -> io::Result<bool> {
        self.connection.close_all();
        let max = message.arg1.clamp(1, MAX_PAYLOAD);
        self.connection.max_payload.store(max, Ordering::SeqCst);
        match self.shared.options.door {
            FakeDoor::Open => self.welcome(),
            FakeDoor::Accepts | FakeDoor::Unauthorized => self.challenge(0),
            FakeDoor::Offline => Ok(true),
            FakeDoor::Tls => {
                self.connection.send(&Message::new(Command::StartTls, 0x0100_0000, 0, []))?;
                Ok(true)
            }
        }
    }

    fn challenge(&mut self, tries: u32) -> io::Result<bool> {
        if tries >= MOST_TRIES {
            return Ok(false);
        }
        let challenge = Challenge::new();
        let message = Message::new(Command::Auth, AUTH_TOKEN, 0, challenge.token());
        self.connection.send(&message)?;
        self.state = State::Challenged(challenge, tries + 1);
        Ok(true)
    }

    fn auth(&mut self, message: &Message) -> io::Result<bool> {
        let State::Challenged(challenge, tries) = &self.state else { return Ok(true) };
        let tries = *tries;
        match message.arg0 {
            AUTH_SIGNATURE => {
                let known = locked(&self.shared.keys);
                let signed = known.iter().any(|key| challenge.is_signed(key, &message.data));
                drop(known);
                if signed { self.welcome() } else { self.challenge(tries) }
            }
            AUTH_PUBLIC_KEY if self.shared.options.door == FakeDoor::Accepts => {
                let Some(key) = auth::Key::read(&text_of(&message.data)) else { return Ok(false) };
                locked(&self.shared.keys).push(key);
                self.welcome()
            }
            // The dialog is on the phone's screen, and nobody looks.
            _ => Ok(true),
        }
    }

    /// Lets a client in and says what the phone is.
    fn welcome(&mut self) -> io::Result<bool> {
        self.state = State::In;
        let options = &self.shared.options;
        let features = if options.has_shell_v2() { "shell_v2,cmd" } else { "cmd" };
        let model = options.model.replace([' ', ';', ','], "_");
        let banner = format!(
            "device::ro.product.name=fake_phone;ro.product.model={model};ro.product.device=fake;\
             features={features}"
        );
        let banner = banner.into_bytes();
        self.connection.send(&Message::new(Command::Connect, VERSION, MAX_PAYLOAD, banner))?;
        Ok(true)
    }

    fn stream(&mut self, command: Command, message: &Message) -> io::Result<bool> {
        let (theirs, ours) = (message.arg0, message.arg1);
        if command == Command::Open {
            self.open(theirs, &text_of(&message.data))?;
            return Ok(true);
        }
        let state = locked(&self.connection.streams).get(&ours).cloned();
        let Some(state) = state else {
            // What comes late for a stream that is over is closed once more, but a close is not.
            if command == Command::Write {
                self.connection.send(&Message::new(Command::Close, 0, theirs, []))?;
            }
            return Ok(true);
        };
        match command {
            Command::Okay => state.taken(),
            Command::Write => match state.receive(&message.data) {
                Ok(true) => {
                    self.connection.send(&Message::new(Command::Okay, ours, theirs, []))?;
                }
                Ok(false) => {}
                Err(()) => return Ok(false),
            },
            Command::Close => {
                self.connection.forget_stream(ours);
                state.close();
            }
            _ => {}
        }
        Ok(true)
    }

    fn open(&self, theirs: u32, name: &str) -> io::Result<()> {
        let mut streams = locked(&self.connection.streams);
        let Some(service) = service::find(name).filter(|_| streams.len() < MOST_STREAMS) else {
            drop(streams);
            return self.connection.send(&Message::new(Command::Close, 0, theirs, []));
        };
        let ours = self.connection.next.fetch_add(1, Ordering::SeqCst);
        let state = Arc::new(StreamState::default());
        streams.insert(ours, Arc::clone(&state));
        drop(streams);
        self.connection.send(&Message::new(Command::Okay, ours, theirs, []))?;
        let phone = Phone::new(Arc::clone(self.shared), Arc::clone(&state));
        let stream = Stream::new(Arc::clone(self.connection), state, ours, theirs);
        let thread = thread::Builder::new().name("fake-android-service".to_owned());
        thread.spawn(move || {
            // A client that hangs up in the middle is no fault of the phone.
            let _ = service.run(&phone, stream);
        })?;
        Ok(())
    }
}
