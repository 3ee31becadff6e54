//! Puts a call of the guard before every instruction of a template that copies, compares or keeps
//! values.
//!
//! The operands, the last `n` values on the stack, are packed into a list, handed to the guard with
//! a word for the operation, and unpacked again. Jumps move along.

use std::borrow::Cow;

use minijinja::machinery::{Instruction, Instructions};
use minijinja::{Error, ErrorKind, Value};

/// The guard's name among the variables; no template can spell it.
pub(super) const GUARD: &str = " guard";

/// Filters and methods that look at no more than the outside of what they are given: the characters
/// of a text, the items of a list, and not what is in those.
const SHALLOW_FILTERS: [&str; 6] = ["length", "count", "default", "d", "first", "last"];
const SHALLOW_METHODS: [&str; 4] = ["get", "items", "keys", "values"];

/// Returns the instructions with calls of the guard among them.
///
/// # Errors
///
/// If a call unpacks a list into its arguments: how many there are is not known before.
pub(super) fn rewrite<'a>(code: &Instructions<'a>) -> Result<Instructions<'a>, Error> {
    let mut result = Instructions::new(code.name(), code.source());
    let mut starts = Vec::with_capacity(code.len() + 1);
    let mut moved = Vec::new();
    for at in 0..code.len() as u32 {
        let Some(instruction) = code.get(at) else { break };
        let line = code.get_line(at).map_or(0, |line| line.min(usize::from(u16::MAX)) as u16);
        starts.push(result.len() as u32);
        let mut add = |instruction| result.add_with_line(instruction, line);
        // A raw piece is a value that is printed.
        let instruction = if let Instruction::EmitRaw(text) = instruction {
            add(Instruction::LoadConst(Value::from(*text)));
            &Instruction::Emit
        } else {
            instruction
        };
        if let Some((operation, n)) = operation(instruction)? {
            add(Instruction::BuildList(Some(n)));
            add(Instruction::LoadConst(Value::from(operation.as_ref())));
            add(Instruction::Swap);
            add(Instruction::CallFunction(GUARD, Some(2)));
            add(Instruction::UnpackList(n));
        }
        moved.push(add(instruction.clone()));
    }
    starts.push(result.len() as u32);
    for at in moved {
        if let Some(
            Instruction::Iterate(target)
            | Instruction::Jump(target)
            | Instruction::JumpIfFalse(target)
            | Instruction::JumpIfFalseOrPop(target)
            | Instruction::JumpIfTrueOrPop(target)
            | Instruction::BuildMacro(_, target, _),
        ) = result.get_mut(at)
        {
            *target = starts.get(*target as usize).copied().unwrap_or(u32::MAX);
        }
    }
    Ok(result)
}

/// Returns what the guard is told of an instruction, and how many operands it has; nothing for
/// those that only move values about.
fn operation(instruction: &Instruction<'_>) -> Result<Option<(Cow<'static, str>, usize)>, Error> {
    let known = |operation: &'static str, n| Ok(Some((Cow::Borrowed(operation), n)));
    let named = |kind: &str, name: &str, n| Ok(Some((Cow::Owned(format!("{kind}:{name}")), n)));
    let count = |n: &Option<u16>| {
        n.map(usize::from).ok_or_else(|| {
            let problem = "unpacking arguments with `*` or `**` is not supported";
            Error::new(ErrorKind::InvalidOperation, problem)
        })
    };
    match instruction {
        Instruction::Add | Instruction::StringConcat => known("copy", 2),
        Instruction::Mul => known("multiply", 2),
        Instruction::Emit => known("copy", 1),
        Instruction::SetAttr(_) => known("keep", 2),
        Instruction::Eq
        | Instruction::Ne
        | Instruction::Lt
        | Instruction::Lte
        | Instruction::Gt
        | Instruction::Gte
        | Instruction::In
        | Instruction::CompareAndPreserve(_) => known("look", 2),
        // Of what an item is taken from only the key on top is looked at.
        Instruction::StoreLocal(_) | Instruction::GetItem => known("look", 1),
        Instruction::Slice => known("look", 4),
        // The letters of a text are counted before the first of them.
        Instruction::PushLoop(_) | Instruction::FastRecurse => known("outside", 1),
        Instruction::BuildMap(n) | Instruction::BuildKwargs(n) if *n > 0 => known("look", 2 * n),
        Instruction::ApplyFilter(name, n, _) => match count(n)? {
            n if SHALLOW_FILTERS.contains(name) => known("outside", n),
            n => named("filter", name, n),
        },
        Instruction::PerformTest(_, n, _) => match count(n)? {
            // Of its only operand a test looks at the kind, or at every letter of a text.
            1 => known("outside", 1),
            n => known("look", n),
        },
        Instruction::CallMethod(name, n) => match count(n)? {
            n if SHALLOW_METHODS.contains(name) => known("outside", n),
            n => named("method", name, n),
        },
        Instruction::CallFunction(_, n) | Instruction::CallObject(n) => match count(n)? {
            0 => Ok(None),
            n => known("look", n),
        },
        _ => Ok(None),
    }
}
