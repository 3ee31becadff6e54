//! One file: fetched from where an earlier attempt stopped, checked, and only then shown.
//!
//! The bytes arrive in `ETAG.incomplete`, which the Python client would go on with as well. Its
//! checksum covers what was there before, so a damaged beginning is found out.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use fs_err as fs;
use ureq::Body;
use ureq::http::{HeaderMap, Response, StatusCode};

use super::HubError;
use super::cache::Place;
use super::checksum::Hasher;
use super::http::{Client, Subject, text_of};
use super::listing::KnownFile;
use super::lock::Lock;
use super::pull::PullEvent;
use super::wait::Stop;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Pieces that may wait to be written.
const PIECES: usize = 8;

/// So many bytes make up for earlier failures.
const PROGRESS: u64 = 1 << 20;

/// The first wait before a new attempt; each following one is twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(16);

/// The longest wait a server can ask for.
const LONGEST_ASKED: u64 = 120;

/// How long to wait before the next attempt.
pub(super) fn back_off(failures: u32, error: &HubError) -> Duration {
    match error {
        HubError::Status { retry_after: Some(seconds), .. } => {
            Duration::from_secs((*seconds).min(LONGEST_ASKED))
        }
        _ => (FIRST_WAIT * 2u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_WAIT),
    }
}

/// A file to fetch, and all that is needed for it.
pub(super) struct Transfer<'a> {
    pub(super) client: &'a Client,
    pub(super) repo: &'a str,
    pub(super) commit: &'a str,
    pub(super) file: &'a KnownFile,
    pub(super) place: &'a Place,
    pub(super) retries: u32,
    pub(super) stop: Stop<'a>,
    pub(super) on_event: &'a (dyn Fn(PullEvent<'_>) + Sync),
}

/// The file under way, with the checksum of what is in it.
struct Partial {
    file: fs::File,
    hasher: Hasher,
    length: u64,
}

impl Transfer<'_> {
    /// Fetches the file unless it is there, and returns how many bytes came over the network.
    pub(super) fn run(&self) -> Result<u64, HubError> {
        let name = &self.file.name;
        let lock = self.place.lock(&self.file.checksum);
        let waiting = || (self.on_event)(PullEvent::Waiting { file: name });
        let _lock = Lock::take(&lock, self.stop, waiting)?;
        let blob = self.place.blob(&self.file.checksum);
        let is_there = fs::metadata(&blob).is_ok_and(|found| found.len() == self.file.size);
        let received = if is_there { 0 } else { self.fetch()? };
        self.place.link(self.commit, name, &self.file.checksum)?;
        (self.on_event)(PullEvent::Done { file: name, size: self.file.size, received });
        Ok(received)
    }

    fn fetch(&self) -> Result<u64, HubError> {
        let mut partial = self.open()?;
        let was_there = partial.length;
        let (name, size) = (&self.file.name, self.file.size);
        (self.on_event)(PullEvent::Started { file: name, size, have: was_there });
        let mut received = self.complete(&mut partial)?;
        let mut found = partial.hasher.finish();
        if found != self.file.checksum.digits() && was_there > 0 {
            // What an earlier attempt left may be the damaged part.
            partial = self.emptied(partial.file)?;
            received += self.complete(&mut partial)?;
            found = partial.hasher.finish();
        }
        let path = self.place.partial(&self.file.checksum);
        if found != self.file.checksum.digits() {
            drop(partial.file);
            fs::remove_file(path)?;
            let (file, expected) = (name.clone(), self.file.checksum.to_string());
            return Err(HubError::Checksum { file, expected, found });
        }
        partial.file.sync_all()?;
        fs::rename(path, self.place.blob(&self.file.checksum))?;
        Ok(received)
    }

    /// Opens what an earlier attempt left, and computes its checksum.
    fn open(&self) -> Result<Partial, HubError> {
        let path = self.place.partial(&self.file.checksum);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let options =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = options?;
        if file.metadata()?.len() > self.file.size {
            return self.emptied(file);
        }
        let mut hasher = self.file.checksum.hasher(self.file.size);
        let length = hasher.read(&file, &mut |_| self.stop.check())?;
        Ok(Partial { file, hasher, length })
    }

    /// Starts from nothing.
    fn emptied(&self, mut file: fs::File) -> Result<Partial, HubError> {
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        (self.on_event)(PullEvent::Restarted { file: &self.file.name });
        Ok(Partial { file, hasher: self.file.checksum.hasher(self.file.size), length: 0 })
    }

    /// Fetches what is missing, in as many attempts as are allowed; returns the bytes received.
    fn complete(&self, partial: &mut Partial) -> Result<u64, HubError> {
        let (mut received, mut failures) = (0, 0);
        while partial.length < self.file.size {
            let mut count = 0;
            let outcome = self.attempt(partial, &mut count);
            received += count;
            let Err(error) = outcome else { continue };
            failures = if count >= PROGRESS { 1 } else { failures + 1 };
            let is_beyond = matches!(error, HubError::Status { status: 416, .. });
            if failures > self.retries || !(error.is_transient() || is_beyond) {
                return Err(error);
            }
            if is_beyond {
                let file = partial.file.try_clone()?;
                *partial = self.emptied(file)?;
            }
            let wait = back_off(failures, &error);
            (self.on_event)(PullEvent::Retrying { file: &self.file.name, error: &error, wait });
            self.stop.pause(wait)?;
        }
        Ok(received)
    }

    /// Fetches what is missing in one request; `count` becomes the bytes received.
    fn attempt(&self, partial: &mut Partial, count: &mut u64) -> Result<(), HubError> {
        self.stop.check()?;
        let receiver = self.stream(partial.length);
        while let Some(piece) = self.stop.receive(&receiver)? {
            match piece? {
                Piece::Start(start) if start == partial.length => {}
                // The server sends the whole file, whatever it was asked for.
                Piece::Start(_) => {
                    let file = partial.file.try_clone()?;
                    *partial = self.emptied(file)?;
                }
                Piece::Bytes(bytes) => {
                    self.write(partial, &bytes)?;
                    *count += bytes.len() as u64;
                    (self.on_event)(PullEvent::Received {
                        file: &self.file.name,
                        bytes: bytes.len() as u64,
                    });
                }
            }
        }
        if partial.length < self.file.size {
            return Err(HubError::Cut {
                host: self.client.host(),
                file: self.file.name.clone(),
                received: partial.length,
                expected: self.file.size,
            });
        }
        Ok(())
    }

    fn write(&self, partial: &mut Partial, bytes: &[u8]) -> Result<(), HubError> {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        partial.file.write_all(bytes).map_err(|source| match source.kind() {
            StorageFull | QuotaExceeded => HubError::Space {
                dir: self.place.dir().to_owned(),
                needed: self.file.size - partial.length,
                available: fs4::available_space(self.place.dir()).unwrap_or(0),
            },
            _ => HubError::Cache { source },
        })?;
        partial.hasher.update(bytes);
        partial.length += bytes.len() as u64;
        Ok(())
    }

    /// Asks for the bytes from `start` on, on a thread of its own: reading and writing overlap, and
    /// an interrupt need not wait for the network.
    fn stream(&self, start: u64) -> Receiver<Result<Piece, HubError>> {
        let (sender, receiver) = mpsc::sync_channel(PIECES);
        let reader = Reader {
            client: self.client.clone(),
            repo: self.repo.to_owned(),
            commit: self.commit.to_owned(),
            file: self.file.clone(),
        };
        std::thread::spawn(move || {
            if let Err(error) = reader.run(start, &sender) {
                // Nobody waits any more if this fails.
                let _ = sender.send(Err(error));
            }
        });
        receiver
    }
}

/// What arrives of a file.
enum Piece {
    /// The bytes that follow begin here.
    Start(u64),
    Bytes(Vec<u8>),
}

/// The side of a transfer that waits for the network.
struct Reader {
    client: Client,
    repo: String,
    commit: String,
    file: KnownFile,
}

impl Reader {
    fn run(
        &self,
        start: u64,
        sender: &SyncSender<Result<Piece, HubError>>,
    ) -> Result<(), HubError> {
        let (name, size) = (&self.file.name, self.file.size);
        let url = self.client.file_address(&self.repo, &self.commit, name);
        let subject = Subject { repo: &self.repo, revision: &self.commit, file: Some(name) };
        let (response, head) = self.client.bytes(&url, subject, start)?;
        let changed = head.commit.is_some_and(|commit| commit != self.commit)
            || head.size_of_link.is_some_and(|found| found != size)
            || head.checksum_of_link.is_some_and(|found| found != self.file.checksum);
        if changed {
            return Err(self.unusable("is not the file that was listed"));
        }
        let start = self.first_byte(&response, start)?;
        if sender.send(Ok(Piece::Start(start))).is_err() {
            return Ok(());
        }
        let mut left = size - start;
        // Never more than is missing, whatever the server sends.
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader().take(left);
        while left > 0 {
            let mut bytes = vec![0; PIECE];
            let (count, failure) = fill(&mut body, &mut bytes);
            bytes.truncate(count);
            left -= count as u64;
            let is_end = count == 0;
            if !is_end && sender.send(Ok(Piece::Bytes(bytes))).is_err() {
                return Ok(());
            }
            if let Some(source) = failure {
                return Err(self.interrupted(size - left, source));
            }
            if is_end {
                break;
            }
        }
        Ok(())
    }

    /// The position of the first byte of an answer.
    fn first_byte(&self, response: &Response<Body>, asked: u64) -> Result<u64, HubError> {
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(0);
        }
        let is_right = |range: ContentRange| {
            range.start == asked && range.total.is_none_or(|total| total == self.file.size)
        };
        match ContentRange::of(response.headers()).filter(|&range| is_right(range)) {
            Some(range) => Ok(range.start),
            None => Err(self.unusable("comes with another part than was asked for")),
        }
    }

    fn unusable(&self, problem: &str) -> HubError {
        self.client.unusable(&self.repo, format!("`{}` {problem}", self.file.name))
    }

    /// The error of a body that ended in the middle.
    fn interrupted(&self, received: u64, source: std::io::Error) -> HubError {
        use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
        let host = self.client.host();
        match source.kind() {
            UnexpectedEof | ConnectionReset | ConnectionAborted => {
                let (file, expected) = (self.file.name.clone(), self.file.size);
                HubError::Cut { host, file, received, expected }
            }
            _ => HubError::Unreachable { host, source: source.into() },
        }
    }
}

/// Reads until the buffer is full, nothing follows or an error ends it; returns the bytes read.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> (usize, Option<std::io::Error>) {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}

/// `Content-Range: bytes START-END/TOTAL`.
#[derive(Clone, Copy)]
struct ContentRange {
    start: u64,
    total: Option<u64>,
}

impl ContentRange {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = text_of(headers, "content-range")?.strip_prefix("bytes ")?;
        let (range, total) = text.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        Some(Self { start: start.parse().ok()?, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let error = HubError::Cancelled;
        let waits: Vec<_> = (1..=8).map(|n| back_off(n, &error).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 16000, 16000]);
        assert_eq!(back_off(u32::MAX, &error), LONGEST_WAIT);
        let busy = HubError::Status {
            host: String::new(),
            status: 429,
            what: String::new(),
            message: String::new(),
            retry_after: Some(u64::MAX),
        };
        assert_eq!(back_off(1, &busy), Duration::from_secs(LONGEST_ASKED));
    }

    #[test]
    fn ranges_are_read() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-range", text.parse().unwrap());
            ContentRange::of(&headers).map(|range| (range.start, range.total))
        };
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for bad in ["bytes */10", "5-9/10", "bytes 5/10", "bytes -1-2/3", "bytes 1-2/x"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
