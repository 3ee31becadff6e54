//! `eval list`: what annotations can be written in, how models can be asked, and who can judge.

use handsight_agent::BenchmarkPrompt;
use handsight_scenarios::benchmark::Scorer;
use handsight_scenarios::benchmark::import::schema::SCHEMAS;
use handsight_scenarios::benchmark::run::OWN_PROMPT;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::print::Printer;

pub(super) fn run(printer: &Printer) -> Result<Exit, Failure> {
    let own = "as `handsight ground` asks, and where it would click";
    let line = |name: &str, about: &str| format!("  {name:<26}{about}");
    let mut lines = vec!["schemas of annotations, for `eval import --as`".to_owned()];
    lines.extend(SCHEMAS.iter().map(|schema| line(schema.name, schema.about)));
    lines.push("\nprompts, for `eval infer --ask`".to_owned());
    lines.push(line(OWN_PROMPT, own));
    lines.extend(BenchmarkPrompt::all().iter().map(|prompt| {
        line(&prompt.name, &format!("{}; counts {}", prompt.about, prompt.counts.as_str()))
    }));
    lines.push("\nscorers, for `eval score --by`".to_owned());
    lines.extend(Scorer::ALL.iter().map(|scorer| line(scorer.as_str(), scorer.about())));
    let schemas: Vec<_> = SCHEMAS
        .iter()
        .map(|schema| json!({"name": schema.name, "about": schema.about, "items": schema.count}))
        .collect();
    let prompts: Vec<_> = BenchmarkPrompt::all()
        .iter()
        .map(|prompt| {
            json!({
                "name": prompt.name, "about": prompt.about, "counts": prompt.counts,
                "sha256": prompt.sha256,
            })
        })
        .collect();
    let scorers: Vec<_> = Scorer::ALL
        .iter()
        .map(|scorer| json!({"name": scorer, "about": scorer.about(), "steps": scorer.judges_steps()}))
        .collect();
    let value = json!({"schemas": schemas, "prompts": prompts, "scorers": scorers});
    printer.result(&value, &lines.join("\n"))?;
    Ok(Exit::Done)
}
