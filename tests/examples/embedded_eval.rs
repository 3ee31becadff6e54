//! Measures the embedded checkpoint on the committed windows and pages: `make eval`.
//!
//! Prints Markdown tables on stdout. `embedded_eval OUT.jsonl` also writes every outcome there, to
//! look at what went wrong; `embedded_eval OUT.jsonl 10` asks only every tenth case, for a quick look,
//! and `embedded_eval OUT.jsonl 1 DIR` another checkpoint of the same kind.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use fs_err as fs;
use handsight_model::{Engine, EngineOptions};
use handsight_tests::embedded_eval::{ask, cases, embedded_policy, policy, tables};

fn main() -> Result<()> {
    let mut details = std::env::args_os().nth(1).map(fs::File::create).transpose()?;
    let mut policy = match std::env::args_os().nth(3) {
        Some(dir) => policy(Engine::load(Path::new(&dir), &EngineOptions::default())?),
        None => embedded_policy()?,
    };
    let every = std::env::args().nth(2).map_or(Ok(1), |every| every.parse())?;
    let cases: Vec<_> = cases()?.into_iter().step_by(every).collect();
    let start = Instant::now();
    let mut outcomes = Vec::with_capacity(cases.len());
    for (done, case) in cases.iter().enumerate() {
        let outcome = ask(&mut policy, case)?;
        if let Some(file) = &mut details {
            let line = serde_json::json!({
                "id": case.id, "goal": case.goal, "kind": case.kind, "box": case.r#box,
                "image": case.image, "hit": outcome.hit, "reply": outcome.reply,
            });
            writeln!(file, "{line}")?;
        }
        outcomes.push(outcome);
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            write!(stderr, "\r{}/{}", done + 1, cases.len())?;
        }
    }
    let took = start.elapsed();
    let each = took / u32::try_from(outcomes.len())?.max(1);
    let mut stdout = std::io::stdout();
    write!(stdout, "{}", tables(&outcomes))?;
    writeln!(stdout, "{} decisions in {took:.1?}, {each:.2?} each", outcomes.len())?;
    Ok(())
}
