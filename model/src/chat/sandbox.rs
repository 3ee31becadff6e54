//! Renders a template that nobody vouches for: it ends, and it stays small.
//!
//! A checkpoint comes from anywhere, and its chat template is a program. minijinja gives it no files
//! and no network, counts its instructions and limits its recursion; what it leaves open is memory
//! (twenty times `s = s ~ s` is a megabyte, forty times a terabyte), the time of one instruction on
//! values that share parts of themselves, and values that contain themselves. So every instruction
//! that copies, compares or keeps values is preceded by a call that weighs them, see
//! [`rewrite`], and a template pays for what it does from one budget.

mod rewrite;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::machinery::{
    CompiledTemplate, TemplateConfig, Vm, WhitespaceConfig, make_string_output,
};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind, merge_maps};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};

use rewrite::{GUARD, rewrite};

/// The longest template, in bytes; those of the released checkpoints have a few thousand.
const MAX_SOURCE: usize = 1 << 20;

/// The most instructions of one rendering, guards included.
const MAX_INSTRUCTIONS: u64 = 4_000_000;

/// The most bytes that the values made by one rendering may take. What it looks at counts an eighth.
const BUDGET: u64 = 1 << 26;

/// The deepest nesting of a value: printing, comparing and dropping one recurse.
const MAX_DEPTH: usize = 96;

/// What a value takes beside its text, in bytes.
const NODE: u64 = 32;

/// Filters that multiply what they are given, or print with any width; no chat template needs them.
const REMOVED_FILTERS: [&str; 8] =
    ["batch", "slice", "groupby", "chain", "zip", "pprint", "format", "escape"];

/// The widest indentation, and the most digits after a point.
const MAX_WIDTH: i64 = 64;

/// Prepares an environment for templates that nobody vouches for.
pub(super) fn restrict(environment: &mut Environment<'static>) {
    environment.set_fuel(Some(MAX_INSTRUCTIONS));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    for name in REMOVED_FILTERS {
        environment.remove_filter(name);
    }
    environment.remove_global("debug");
}

/// Returns whether a template can be compiled.
///
/// # Errors
///
/// The place of a syntax error, or what is not supported.
pub(super) fn check(name: &str, source: &str) -> Result<(), Error> {
    compile(name, source).map(|_| ())
}

/// Renders a template with the variables of `context`.
///
/// # Errors
///
/// If it fails, or does more than a chat template has reason to.
pub(super) fn render(
    environment: &Environment<'static>,
    name: &str,
    source: &str,
    context: Value,
) -> Result<String, Error> {
    let template = compile(name, source)?;
    let budget = Arc::new(Budget(AtomicU64::new(BUDGET)));
    let guard =
        Value::from_function(move |operation: &str, values: Vec<Value>| -> Result<Value, Error> {
            budget.charge(operation, &values)?;
            // They are unpacked from the last to the first.
            Ok(values.into_iter().rev().collect())
        });
    let root = merge_maps([context, Value::from_iter([(GUARD, guard)])]);
    let mut text = String::new();
    Vm::new(environment).eval(
        &template.instructions,
        root,
        &template.blocks,
        &mut make_string_output(&mut text),
        AutoEscape::None,
    )?;
    Ok(text)
}

fn compile<'a>(name: &'a str, source: &'a str) -> Result<CompiledTemplate<'a>, Error> {
    if source.len() > MAX_SOURCE {
        return Err(refuse(format!("it has {} bytes; {MAX_SOURCE} are the most", source.len())));
    }
    // As in `render_jinja_template` of transformers.
    let mut config = TemplateConfig {
        syntax_config: SyntaxConfig,
        ws_config: WhitespaceConfig::default(),
        default_auto_escape: Arc::new(|_| AutoEscape::None),
    };
    config.ws_config.trim_blocks = true;
    config.ws_config.lstrip_blocks = true;
    let mut template = CompiledTemplate::new(name, source, &config)?;
    template.instructions = rewrite(&template.instructions)?;
    for block in template.blocks.values_mut() {
        *block = rewrite(block)?;
    }
    Ok(template)
}

fn refuse(problem: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}

/// What is left for a rendering to make, in bytes.
struct Budget(AtomicU64);

impl Budget {
    /// Pays for an operation on values before it is done.
    fn charge(&self, operation: &str, values: &[Value]) -> Result<(), Error> {
        let left = self.0.load(Ordering::Relaxed);
        let cost = cost(operation, values, left)?;
        let Some(left) = left.checked_sub(cost) else { return Err(too_large()) };
        self.0.store(left, Ordering::Relaxed);
        Ok(())
    }
}

fn too_large() -> Error {
    refuse(format!("it makes values of more than {} MiB", BUDGET >> 20))
}

/// What an operation makes at most, in bytes, or an eighth of what it looks at. `limit` is where
/// weighing may stop.
fn cost(operation: &str, values: &[Value], limit: u64) -> Result<u64, Error> {
    let mut scale = Scale { limit, only_data: operation == "keep" };
    if operation == "outside" {
        let sum = values.iter().try_fold(NODE, |sum, value| Ok(sum + scale.outside(value)?));
        return sum.map(|sum: u64| sum / 8);
    }
    // Below the value to keep lies the namespace to keep it in.
    let values = if operation == "keep" { &values[..1] } else { values };
    let mut sum = NODE;
    for value in values {
        sum += scale.weigh(value, 0)?;
    }
    let first = values.first().map_or(Ok(0), |value| scale.weigh(value, 0))?;
    let text = |index: usize| values.get(index).and_then(Value::as_str).unwrap_or_default();
    let cost = match operation {
        "look" => sum / 8,
        "copy" | "keep" => sum,
        "multiply" => {
            let times = values.iter().filter_map(Value::as_usize).max().unwrap_or(1);
            sum.saturating_mul(times as u64)
        }
        "filter:replace" | "method:replace" => {
            let found = text(0).matches(text(1)).count() as u64;
            sum.saturating_add(found.saturating_mul(text(2).len() as u64))
        }
        "filter:join" => sum.saturating_add(joins(first, text(1))),
        "method:join" => sum.saturating_add(joins(sum, text(0))),
        "filter:split" | "method:split" | "filter:lines" | "method:splitlines" | "filter:list"
        | "filter:reverse" | "filter:sort" | "filter:unique" => sum.saturating_mul(NODE),
        "filter:tojson" | "filter:indent" => {
            let indent = width(values)?;
            sum.saturating_mul(8 + indent)
        }
        "filter:round" => {
            width(values)?;
            sum
        }
        "filter:map" => {
            let by_name = text(1);
            if !by_name.is_empty() && !MAPPED.contains(&by_name) {
                return Err(refuse(format!("`map(\"{by_name}\")` is not supported")));
            }
            sum.saturating_mul(8)
        }
        "method:format" => return Err(refuse("`format` is not supported".to_owned())),
        _ => sum.saturating_mul(4),
    };
    Ok(cost)
}

/// Filters that `map` may apply by name; none makes much more than it is given.
const MAPPED: [&str; 15] = [
    "trim",
    "upper",
    "lower",
    "title",
    "capitalize",
    "string",
    "int",
    "float",
    "length",
    "count",
    "first",
    "last",
    "abs",
    "bool",
    "tojson",
];

/// The most that joining values of this weight adds.
fn joins(weight: u64, separator: &str) -> u64 {
    (weight / NODE).saturating_mul(separator.len() as u64)
}

/// The number among a filter's arguments, which must not be large.
fn width(values: &[Value]) -> Result<u64, Error> {
    let named = values.last().and_then(|last| Kwargs::try_from(last.clone()).ok());
    let named = named.iter().flat_map(|kwargs| {
        kwargs.args().filter_map(|name| kwargs.peek::<Value>(name).ok()).collect::<Vec<_>>()
    });
    let mut widest = 0;
    for number in values.iter().skip(1).cloned().chain(named).filter_map(|value| value.as_i64()) {
        if !(-MAX_WIDTH..=MAX_WIDTH).contains(&number) {
            return Err(refuse(format!("a width of {number} is not supported")));
        }
        widest = widest.max(number.unsigned_abs());
    }
    Ok(widest)
}

/// Weighs values, and stops where it gets too much.
struct Scale {
    limit: u64,
    /// Whether namespaces and macros are refused: what is kept in a namespace must not lead back.
    only_data: bool,
}

impl Scale {
    /// Returns the size of a value written out, every shared part as often as it appears.
    fn weigh(&mut self, value: &Value, depth: usize) -> Result<u64, Error> {
        if depth > MAX_DEPTH {
            return Err(refuse(format!("it nests values more than {MAX_DEPTH} deep")));
        }
        let mut weight = NODE;
        match value.kind() {
            ValueKind::String | ValueKind::Bytes => weight += value.len().unwrap_or(0) as u64,
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
                let is_map = value.kind() == ValueKind::Map;
                if self.only_data {
                    Self::refuse_reference(value)?;
                }
                for item in value.try_iter()? {
                    weight += self.weigh(&item, depth + 1)?;
                    if is_map {
                        weight += self.weigh(&value.get_item(&item)?, depth + 1)?;
                    }
                    if weight > self.limit {
                        return Err(too_large());
                    }
                }
            }
            _ => {}
        }
        Ok(weight)
    }

    /// Returns how much there is of a value without looking into its items.
    fn outside(&mut self, value: &Value) -> Result<u64, Error> {
        match value.kind() {
            ValueKind::String | ValueKind::Bytes => Ok(NODE + value.len().unwrap_or(0) as u64),
            ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => match value.len() {
                Some(len) => Ok(NODE * (1 + len as u64)),
                // What does not tell how many items it has is counted.
                None => self.weigh(value, 0),
            },
            _ => Ok(NODE),
        }
    }

    fn refuse_reference(value: &Value) -> Result<(), Error> {
        let type_name = value.as_object().map_or("", |object| object.type_name());
        if ["Namespace", "Macro"].iter().any(|name| type_name.ends_with(name)) {
            return Err(refuse("only data can be kept in a namespace".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use minijinja::context;

    fn environment() -> Environment<'static> {
        let mut environment = Environment::new();
        restrict(&mut environment);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment
    }

    fn messages() -> Value {
        context! { messages => vec![
            context! { role => "system", content => "Be brief." },
            context! { role => "user", content => vec![
                context! { type => "image" }, context! { type => "text", text => "Hi <there>" },
            ] },
            context! { role => "assistant", content => " done\n" },
        ], tools => vec![context! { name => "click", parameters => context! { x => 1.5 } }] }
    }

    /// Everything chat templates are made of means what it means without the guards.
    #[test]
    fn guards_change_nothing() {
        for template in [
            "",
            "raw",
            "{% for m in messages %}{{ m.role }}: {{ m['content'] }};\n{% else %}none{% endfor %}",
            "{%- for m in messages if m.role != 'system' -%}\n{{ loop.index0 }}{% if loop.last %}!{% \
             elif loop.first %}?{% endif %}{% if m.role == 'user' %}{% continue %}{% endif %}x{% \
             endfor %}",
            "{% set ns = namespace(n=0, s='') %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% \
             set ns.s = ns.s ~ m.role + '|' %}{% endfor %}{{ ns.n }}{{ ns.s }}",
            "{% macro f(a, b='x') %}[{{ a ~ b }}{% if a %}{{ f(a[1:]) }}{% endif %}]{% endmacro %}{{ \
             f('abc') }}{{ f(b=2, a='') }}",
            "{% set x %}{% for i in range(3) %}a{{ i }}{% endfor %}{% endset %}{{ x * 2 }}{{ x|length \
             }}",
            "{{ tools|tojson }} {{ tools|tojson(indent=2) }} {{ messages[::-1]|map(attribute='role')|\
             join(', ') }} {{ messages|selectattr('role', 'equalto', 'user')|list|length }}",
            "{{ messages[-1].content.strip() }}{{ 'a-b'.split('-')[1] }}{{ 'aXb'.replace('X', '--') \
             }}{{ ' '.join(['p', 'q']) }}{{ 'Abc'.startswith('A') }}{{ {'k': 7}.get('k', 1) }}",
            "{% for k, v in {'a': 1, 'b': [2, 3]}.items() %}{{ k }}={{ v }};{% endfor %}{{ none or 5 \
             }}{{ nothing is defined }}{{ nothing }}{{ 1 < 2 <= 2 and not (3 in [1, 2]) }}",
            "{% if messages[1].content is string %}s{% elif messages[1].content is iterable %}i{% \
             endif %}{{ 7 // 2 + 2 ** 3 - 7 % 4 }}{{ 'a' if false else 'b' }}{{ 1.5|round|int }}",
            "{% for a in [[1, [2]], [3]] recursive %}{{ a if a is number else '(' ~ loop(a) ~ ')' }}{% \
             endfor %}{% break_free %}",
            "{% call(x) g() %}<{{ x }}>{% endcall %}",
            "{% macro g() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}{% call(x) g() %}<{{ x }}>{% \
             endcall %}{% filter upper %}a{{ 'b' }}{% endfilter %}{% with z = 3 %}{{ z }}{% endwith %}",
            "{{ messages }}{{ [1, 'a', none, true, {'x': [()]}] }}{{ (1, 2) + (3,) }}",
            "{{ undefined_function() }}",
            "{{ 1 + 'a' }}",
            "{{ messages.x.y }}",
        ] {
            let environment = environment();
            let mut plain = environment.clone();
            plain.set_trim_blocks(true);
            plain.set_lstrip_blocks(true);
            let guarded = render(&environment, "t", template, messages());
            let expected = plain.render_str(template, messages());
            match (guarded, expected) {
                (Ok(guarded), Ok(expected)) => assert_eq!(guarded, expected, "{template}"),
                (Err(guarded), Err(expected)) => {
                    assert_eq!(guarded.kind(), expected.kind(), "{template}");
                    assert_eq!(guarded.line(), expected.line(), "{template}");
                }
                (guarded, expected) => panic!("{template}: {guarded:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_template_that_does_not_end_is_stopped() {
        let nested = "{% for i in range(99999) %}".repeat(4) + &"{% endfor %}".repeat(4);
        check(&nested, "ran out of fuel");
        check("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion limit exceeded");
        check(
            "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
            "recursion limit exceeded",
        );
        check(
            "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
            "recursion limit exceeded",
        );
        // Four levels of two hundred: not deep, but long.
        let wide = "{% macro f(n) %}{% if n %}{% for i in range(200) %}{{ f(n - 1) }}{% endfor %}\
                    {% endif %}{% endmacro %}{{ f(4) }}";
        check(wide, "ran out of fuel");
    }

    /// An instruction that counts a long text takes as long as a thousand others.
    #[test]
    fn a_template_that_looks_at_long_values_again_and_again_is_stopped() {
        for look in [
            "s|length",
            "s|first",
            "s is lower",
            "s is upper",
            "s is string",
            "s.isdigit()",
            "m.get(s)",
            "m[s]",
            "l|last",
            "l.items()|last",
            "range(99999)|last",
            "s in m",
        ] {
            let template = format!(
                "{{% set s = 'ab' * 4000000 %}}{{% set m = {{'a': 1}} %}}{{% set l = {{}} %}}{{% for i \
                 in range(9999) %}}{{% for j in range(40) %}}{{% set x = {look} %}}{{% endfor %}}{{% \
                 endfor %}}"
            );
            let start = std::time::Instant::now();
            let _ = render(&environment(), "t", &template, messages());
            assert!(start.elapsed().as_secs() < 20, "{look} took {:?}", start.elapsed());
        }
        let letters = "{% set s = 'ab' * 9999999 %}{% for i in range(99999) %}{% for c in s %}{% break \
                       %}{% endfor %}{% endfor %}";
        check(letters, "it makes values of more than 64 MiB");
        check(
            "{% set s = 'ab' * 9999999 %}{% for i in range(99999) %}{{ s|length }}{% endfor %}",
            "it makes values of more than 64 MiB",
        );
    }

    #[test]
    fn a_template_that_grows_is_stopped() {
        let too_large = "it makes values of more than 64 MiB";
        for body in [
            "{% set n.s = n.s ~ n.s %}",
            "{% set n.s = n.s + n.s %}",
            "{% set n.s = n.s * 1000 %}",
            "{% set n.s = n.s.replace('a', 'aaaaaaaaaaaaaaaa') %}",
            "{% set n.s = n.s|replace('a', 'aaaaaaaaaaaaaaaa') %}",
            "{% set n.s = n.s.join([n.s, n.s, n.s]) %}",
            "{% set n.s = [n.s, n.s]|join(n.s) %}",
            "{% set n.s %}{{ n.s }}{{ n.s }}{% endset %}",
            "{% set n.s = [n.s, n.s]|tojson %}",
            "{% set n.s = (n.s|list + n.s|list)|string %}",
            "{% set n.s = n.s ~ [n.s, n.s] %}",
            "{{ n.s }}{% set n.s = n.s ~ n.s %}",
            "{% set n.l = n.l + n.l %}",
            "{% set n.l = n.l * 100 %}",
            "{% set n.l = [n.l, n.l] %}{{ n.l == n.l }}",
            "{% set n.l = {'a': n.l, 'b': n.l} %}{{ n.l in n.l }}",
        ] {
            let template = format!(
                "{{% set n = namespace(s='aaaaaaaaaa', l=[1]) %}}{{% for i in range(90) %}}{body}{{% \
                 endfor %}}"
            );
            check(&template, too_large);
        }
        let mut chain = "{% set a0 = 'abc' %}".to_owned();
        for i in 0..60 {
            write!(chain, "{{% set a{} = a{i} ~ a{i} %}}", i + 1).unwrap();
        }
        check(&chain, too_large);
        check("{% macro f(s) %}{{ f(s ~ s) }}{% endmacro %}{{ f('aaaaaaaaaaaaaaaa') }}", too_large);
        let raw = "x".repeat(100_000);
        check(
            &format!("{{% set s %}}{{% for i in range(99999) %}}{raw}{{% endfor %}}{{% endset %}}"),
            too_large,
        );
        check(&"x".repeat(MAX_SOURCE + 1), "it has 1048577 bytes; 1048576 are the most");
    }

    #[test]
    fn values_that_hold_themselves_or_nest_without_end_are_refused() {
        for value in ["n", "[n]", "{'a': (n,)}", "f", "[f]"] {
            let template = format!(
                "{{% set n = namespace() %}}{{% macro f() %}}{{{{ n }}}}{{% endmacro %}}{{% set n.x \
                 = {value} %}}{{{{ n }}}}"
            );
            check(&template, "in a namespace");
        }
        check(
            "{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = [n.l] %}{% endfor %}",
            "it nests values more than 96 deep",
        );
        let nested = format!("{{{{ {}1{} }}}}", "[".repeat(400), "]".repeat(400));
        check(&nested, "");
    }

    #[test]
    fn a_template_reads_no_files_and_no_other_template() {
        for template in [
            "{% include '/etc/passwd' %}",
            "{% include 't' %}",
            "{% extends 't' %}",
            "{% import 't' as x %}",
            "{% from '../secret' import x %}",
        ] {
            check(template, "template not found");
        }
        for template in [
            "{{ open('/etc/passwd').read() }}",
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ cycler.__init__.__globals__.os.environ }}",
            "{{ debug() }}",
            "{{ load('x') }}",
        ] {
            check(template, "");
        }
    }

    #[test]
    fn widths_and_formats_are_refused() {
        for template in [
            "{{ 'a'|indent(1000000000) }}",
            "{{ 'a\nb'|indent(width=1000000000) }}",
            "{{ [1]|tojson(indent=1000000000) }}",
            "{{ [1]|tojson(1000000000) }}",
            "{{ 1.5|round(1000000000) }}",
        ] {
            check(template, "a width of 1000000000 is not supported");
        }
        check("{{ '%1000000000d'|format(1) }}", "filter format is unknown");
        check("{{ '{:1000000000}'.format(1) }}", "`format` is not supported");
        check("{{ [1]|slice(1000000000000) }}", "filter slice is unknown");
        check("{{ [1]|batch(1000000000000) }}", "filter batch is unknown");
        check("{{ ['aa']|map('replace', 'a', 'b') }}", "`map(\"replace\")` is not supported");
        check("{{ range(1000000000000) }}", "range has too many elements");
        check("{{ f(*[1]) }}", "is not supported");
    }

    /// An empty expectation is for errors of minijinja's own, whatever they say.
    #[track_caller]
    fn check(template: &str, expected: &str) {
        match render(&environment(), "t", template, messages()) {
            Err(err) => assert!(format!("{err:#}").contains(expected), "{template:.200}: {err:#}"),
            Ok(text) => panic!("{template:.200} gave {} bytes", text.len()),
        }
    }
}
