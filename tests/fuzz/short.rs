//! Runs one fuzz target over its corpus and over mutations of it, under limits: a short run on
//! stable, without guidance, for `make test`.
//!
//! A process of its own, because what is looked for ends processes: `short TARGET FILE` keeps the
//! input it is busy with in FILE, so that whoever started it can tell which one it was. What the
//! target takes of memory is counted by the allocator, its time by what the process took of a
//! processor, and its stack is that of a thread of the server.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a test to read")]

use std::alloc::System;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cap::Cap;
use fs_err as fs;
use handsight_agent::settle::pause;
use handsight_model::CancelFlag;
use handsight_tests::fuzz::mutate::{Draw, mutated};
use handsight_tests::fuzz::{TARGETS, Target, corpus};

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The most time one input may take of a processor, in seconds. The slowest takes half a second.
static MAX_SECONDS: AtomicU64 = AtomicU64::new(10);

/// The most time that may pass without anything being done, on a machine that is busy with others.
const STUCK: Duration = Duration::from_secs(120);

/// The stack of the threads that requests are read on.
const STACK: usize = 2 << 20;

/// When the input that is being read was begun, in milliseconds of processor time.
static BEGUN: AtomicU64 = AtomicU64::new(u64::MAX);

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(current)) = (args.next(), args.next()) else {
        bail!("usage: short TARGET FILE");
    };
    let target = TARGETS.iter().chain(FAULTS).find(|target| target.name == name);
    let target = target.with_context(|| format!("there is no target `{name}`"))?;
    std::thread::spawn(watch);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // To tell where it was takes more memory than the target may.
        let _ = MEMORY.set_limit(usize::MAX);
        report(panic);
    }));
    let run = move || {
        let current = Path::new(&current);
        if !name.starts_with("test-") {
            return run(target, current);
        }
        MAX_SECONDS.store(1, Ordering::Relaxed);
        try_input(target, b"input", current)
    };
    let runner = std::thread::Builder::new().stack_size(STACK).spawn(run)?;
    // What it panicked with is on stderr.
    runner.join().unwrap_or_else(|_| bail!("it panicked"))
}

fn run(target: &Target, current: &Path) -> Result<()> {
    let inputs = inputs(target)?;
    for (_, input) in &inputs {
        try_input(target, input, current)?;
    }
    let seed = target.name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte));
    let mut draw = Draw::new(seed);
    for _ in 0..target.mutations {
        let (_, input) = &inputs[draw.below(inputs.len())];
        let (_, other) = &inputs[draw.below(inputs.len())];
        try_input(target, &mutated(input, other, &mut draw), current)?;
    }
    println!("{} inputs and {} mutations", inputs.len(), target.mutations);
    Ok(())
}

/// Returns the corpus of a target, in order of name.
fn inputs(target: &Target) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(corpus().join(target.name))? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        inputs.push((path, bytes));
    }
    inputs.sort();
    Ok(inputs)
}

/// Runs the target on one input, under limits.
fn try_input(target: &Target, input: &[u8], current: &Path) -> Result<()> {
    fs::write(current, input)?;
    let limit = MEMORY.allocated() + (target.memory_mib << 20);
    let set = |limit| MEMORY.set_limit(limit).map_err(|()| anyhow::anyhow!("no memory to count"));
    BEGUN.store(processor_time(), Ordering::Relaxed);
    set(limit)?;
    (target.run)(input);
    set(usize::MAX)?;
    BEGUN.store(u64::MAX, Ordering::Relaxed);
    Ok(())
}

/// Ends the process when an input takes too long, or waits for what does not come.
fn watch() {
    let (mut begun, mut since) = (u64::MAX, Instant::now());
    loop {
        pause(Duration::from_millis(100), &CancelFlag::default());
        let now = BEGUN.load(Ordering::Relaxed);
        if now != begun {
            (begun, since) = (now, Instant::now());
        }
        if since.elapsed() > STUCK {
            eprintln!("an input does not end");
            std::process::abort();
        }
        let taken = processor_time().saturating_sub(now);
        let most = MAX_SECONDS.load(Ordering::Relaxed);
        if taken > 1000 * most {
            eprintln!("an input takes more than {most} s");
            std::process::abort();
        }
    }
}

/// Returns what the process took of a processor, in milliseconds; where that cannot be told, what
/// has passed.
fn processor_time() -> u64 {
    thread_local! {
        static START: Instant = Instant::now();
    }
    // The fourteenth and fifteenth field, counted from behind the name, in hundredths.
    let ticks = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| {
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
        let mut next = || fields.next()?.parse::<u64>().ok();
        Some(next()? + next()?)
    });
    ticks.map_or_else(
        || START.with(|start| start.elapsed().as_millis().try_into().unwrap_or(u64::MAX)),
        |ticks| 10 * ticks,
    )
}

/// What must be noticed: a test makes sure that it is.
const FAULTS: &[Target] = &[
    Target {
        name: "test-panic",
        run: |_| panic!("a panic on purpose"),
        mutations: 0,
        memory_mib: 1,
    },
    Target { name: "test-memory", run: take_memory, mutations: 0, memory_mib: 8 },
    Target { name: "test-time", run: take_time, mutations: 0, memory_mib: 1 },
    Target { name: "test-stack", run: take_stack, mutations: 0, memory_mib: 1 },
];

fn take_memory(input: &[u8]) {
    assert!(input.repeat(2 << 20).len() > input.len());
}

fn take_time(_: &[u8]) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        std::hint::spin_loop();
    }
}

fn take_stack(input: &[u8]) {
    let page = [0_u8; 4096];
    if std::hint::black_box(&page).len() + input.len() > 0 {
        take_stack(input);
    }
    std::hint::black_box(&page);
}
