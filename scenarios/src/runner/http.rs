//! Requests that check what a server says.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::check::{Verdict, quoted};
use super::{Run, StepError};
use crate::scenario::condition::HttpCheck;

/// The most of an answer that is read, in bytes.
const MAX_ANSWER: u64 = 4 << 20;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many times a server may send one elsewhere.
const MAX_REDIRECTS: u32 = 5;

impl Run<'_, '_> {
    /// Asks a server and compares what it says.
    pub(super) fn http(&mut self, check: &HttpCheck) -> Result<Verdict, StepError> {
        let url = self.render(&check.url)?;
        let time = PATIENCE.min(self.deadline.saturating_duration_since(Instant::now()));
        let (status, text) = match self.answer(check, &url, time)? {
            Ok(answer) => answer,
            // A server that is not up yet may come.
            Err(problem) => return Ok(Verdict::Found(problem)),
        };
        let expected = check.status.unwrap_or(200);
        if status != expected {
            return Ok(Verdict::Found(format!(
                "the status is {status}, and it said {}",
                quoted(&text)
            )));
        }
        if let Some(body) = &check.text
            && !self.matches(body, &text)?
        {
            return Ok(Verdict::Found(format!("it said {}", quoted(&text))));
        }
        if check.json.is_empty() {
            return Ok(Verdict::Holds);
        }
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return Ok(Verdict::Found(format!("it said no JSON but {}", quoted(&text))));
        };
        for (pointer, expected) in &check.json {
            let expected = crate::scenario::template::fill(expected, &self.variables)?;
            let found = value.pointer(pointer);
            if found != Some(&expected) {
                let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
                return Ok(Verdict::Found(format!("at `{pointer}` is {}", quoted(&found))));
            }
        }
        Ok(Verdict::Holds)
    }

    /// Sends the request; the inner error is what went wrong on the way.
    fn answer(
        &self,
        check: &HttpCheck,
        url: &str,
        time: Duration,
    ) -> Result<Result<(u16, String), String>, StepError> {
        let mut request = ureq::http::Request::builder().method(check.method.as_str()).uri(url);
        for (name, value) in &check.headers {
            request = request.header(name, self.render(value)?);
        }
        let unfit = |error| StepError::failed(format!("`{url}` cannot be asked: {error}"));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(time))
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .build()
            .into();
        let asked = match &check.body {
            Some(body) => agent.run(request.body(self.render(body)?).map_err(unfit)?),
            None => agent.run(request.body(()).map_err(unfit)?),
        };
        let asked = asked.and_then(|mut response| {
            let status = response.status().as_u16();
            let text = response
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER)
                .lossy_utf8(true)
                .read_to_string()?;
            Ok((status, text))
        });
        Ok(asked.map_err(|error| error.to_string()))
    }
}
