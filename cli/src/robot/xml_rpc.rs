//! XML-RPC as far as Robot Framework speaks it: calls are read strictly and within bounds, and answers
//! written.
//!
//! # Source
//!
//! The XML-RPC specification and Robot Framework's remote library interface: what XML cannot hold is
//! `base64`, nothing is an empty text, and `nil` and `i8` are understood.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value, json};

/// How deep values may lie within each other.
const MAX_DEPTH: usize = 32;

/// The most elements and texts of a call.
const MAX_NODES: u32 = 100_000;

/// A call of a method.
#[derive(Debug, PartialEq)]
pub(super) struct MethodCall {
    pub(super) name: String,
    pub(super) params: Vec<Value>,
}

/// Reads a call.
///
/// # Errors
///
/// Says what is wrong with it.
pub(super) fn read_call(text: &str) -> Result<MethodCall, String> {
    // Without DTDs there are no entities that grow.
    let options =
        ParsingOptions { nodes_limit: MAX_NODES, allow_dtd: false, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| error.to_string())?;
    let root = document.root_element();
    expect(root, "methodCall")?;
    let (mut name, mut params) = (None, Vec::new());
    for child in elements(root) {
        match child.tag_name().name() {
            "methodName" if name.is_none() => name = Some(text_of(child)?.trim().to_owned()),
            "params" if params.is_empty() => {
                for param in elements(child) {
                    expect(param, "param")?;
                    params.push(value(only(param)?, MAX_DEPTH)?);
                }
            }
            other => return Err(format!("<{other}> does not belong into <methodCall>")),
        }
    }
    let name = name.ok_or("a <methodCall> needs a <methodName>")?;
    Ok(MethodCall { name, params })
}

fn value(node: Node<'_, '_>, depth: usize) -> Result<Value, String> {
    expect(node, "value")?;
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| format!("values lie more than {MAX_DEPTH} deep within each other"))?;
    // Without a type it is a text.
    if elements(node).next().is_none() {
        return Ok(Value::String(text_of(node)?));
    }
    let typed = only(node)?;
    let wrong = |text: &str| format!("{text:?} is no <{}>", typed.tag_name().name());
    match typed.tag_name().name() {
        "string" | "dateTime.iso8601" => Ok(Value::String(text_of(typed)?)),
        "int" | "i4" | "i8" => {
            let text = text_of(typed)?;
            text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong(&text))
        }
        "double" => {
            let text = text_of(typed)?;
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Value::from).ok_or_else(|| wrong(&text))
        }
        "boolean" => match text_of(typed)?.trim() {
            "0" => Ok(Value::Bool(false)),
            "1" => Ok(Value::Bool(true)),
            text => Err(wrong(text)),
        },
        "nil" => Ok(Value::Null),
        "base64" => {
            let text: String = text_of(typed)?.split_whitespace().collect();
            let bytes = STANDARD.decode(&text).map_err(|_| wrong(&text))?;
            // Robot's binary texts have a byte for each of the first 256 characters.
            Ok(Value::String(bytes.into_iter().map(char::from).collect()))
        }
        "array" => {
            let data = only(typed)?;
            expect(data, "data")?;
            elements(data).map(|item| value(item, depth)).collect()
        }
        "struct" => {
            let mut fields = Map::new();
            for member in elements(typed) {
                expect(member, "member")?;
                let parts: Vec<_> = elements(member).collect();
                let [name, field] = parts[..] else {
                    return Err("a <member> has a <name> and a <value>".to_owned());
                };
                expect(name, "name")?;
                fields.insert(text_of(name)?, value(field, depth)?);
            }
            Ok(Value::Object(fields))
        }
        other => Err(format!("<{other}> is no type of a value")),
    }
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// Returns the one element within another.
fn only<'a, 'i>(node: Node<'a, 'i>) -> Result<Node<'a, 'i>, String> {
    let mut inner = elements(node);
    match (inner.next(), inner.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(format!("<{}> has to hold exactly one element", node.tag_name().name())),
    }
}

fn expect(node: Node<'_, '_>, name: &str) -> Result<(), String> {
    let found = node.tag_name().name();
    if found == name { Ok(()) } else { Err(format!("there is <{found}> where <{name}> has to be")) }
}

fn text_of(node: Node<'_, '_>) -> Result<String, String> {
    if let Some(inner) = elements(node).next() {
        let (inner, outer) = (inner.tag_name().name(), node.tag_name().name());
        return Err(format!("<{inner}> does not belong into <{outer}>"));
    }
    Ok(node.children().filter_map(|child| child.text()).collect())
}

/// Writes an answer.
pub(super) fn write_answer(value: &Value) -> String {
    let mut xml = "<?xml version=\"1.0\"?>\n<methodResponse><params><param>".to_owned();
    put(value, &mut xml);
    xml + "</param></params></methodResponse>\n"
}

/// Writes why there is no answer.
pub(super) fn write_fault(code: i32, problem: &str) -> String {
    let mut xml = "<?xml version=\"1.0\"?>\n<methodResponse><fault>".to_owned();
    put(&json!({ "faultCode": code, "faultString": problem }), &mut xml);
    xml + "</fault></methodResponse>\n"
}

fn put(value: &Value, xml: &mut String) {
    xml.push_str("<value>");
    match value {
        // The interface knows of no nothing.
        Value::Null => xml.push_str("<string></string>"),
        Value::Bool(is_true) => {
            xml.push_str(if *is_true { "<boolean>1</boolean>" } else { "<boolean>0</boolean>" });
        }
        Value::Number(number) => {
            let kind = match number.as_i64() {
                Some(small) if i32::try_from(small).is_ok() => "int",
                Some(_) => "i8",
                None => "double",
            };
            // A string takes every write.
            let _ = write!(xml, "<{kind}>{number}</{kind}>");
        }
        Value::String(text) if text.chars().all(fits) => {
            xml.push_str("<string>");
            escape(text, xml);
            xml.push_str("</string>");
        }
        Value::String(text) => {
            xml.push_str("<base64>");
            STANDARD.encode_string(text, xml);
            xml.push_str("</base64>");
        }
        Value::Array(items) => {
            xml.push_str("<array><data>");
            for item in items {
                put(item, xml);
            }
            xml.push_str("</data></array>");
        }
        Value::Object(fields) => {
            xml.push_str("<struct>");
            for (name, field) in fields {
                xml.push_str("<member><name>");
                escape(name, xml);
                xml.push_str("</name>");
                put(field, xml);
                xml.push_str("</member>");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>");
}

/// Whether XML can hold a character.
fn fits(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn escape(text: &str, xml: &mut String) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            // Readers make line feeds of bare ones.
            '\r' => xml.push_str("&#13;"),
            character if fits(character) => xml.push(character),
            _ => xml.push('\u{fffd}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Value, String> {
        let call = format!(
            "<?xml version='1.0'?><methodCall><methodName>f</methodName><params><param>{value}\
             </param></params></methodCall>"
        );
        read_call(&call).map(|call| call.params.into_iter().next().unwrap())
    }

    #[test]
    fn every_type_is_read() {
        let check = |xml: &str, value: Value| assert_eq!(read(xml), Ok(value), "{xml}");
        check("<value>a &lt; b</value>", json!("a < b"));
        check("<value/>", json!(""));
        check("<value><string> x </string></value>", json!(" x "));
        check("<value><int>-3</int></value>", json!(-3));
        check("<value><i8>5000000000</i8></value>", json!(5_000_000_000_i64));
        check("<value><double>0.5</double></value>", json!(0.5));
        check("<value><boolean>1</boolean></value>", json!(true));
        check("<value><nil/></value>", json!(null));
        check("<value><base64>\nYQdi\n</base64></value>", json!("a\u{7}b"));
        check(
            "<value><array><data> <value>a</value><value><int>1</int></value></data></array></value>",
            json!(["a", 1]),
        );
        let member = "<member><name>n</name><value><int>1</int></value></member>";
        check(&format!("<value><struct>{member}</struct></value>"), json!({ "n": 1 }));
    }

    #[test]
    fn what_is_no_call_is_refused_with_the_reason() {
        let check = |xml: &str, problem: &str| {
            let found = read(xml).unwrap_err();
            assert!(found.contains(problem), "{xml}: {found}");
        };
        check("<value><int>x</int></value>", "\"x\" is no <int>");
        check("<value><double>nan</double></value>", "\"nan\" is no <double>");
        check("<value><boolean>2</boolean></value>", "\"2\" is no <boolean>");
        check("<value><base64>?</base64></value>", "is no <base64>");
        check("<value><what/></value>", "<what> is no type of a value");
        check("<value><int>1</int><int>2</int></value>", "exactly one element");
        check("<value><string><b/></string></value>", "<b> does not belong into <string>");
        check("<int>1</int>", "there is <int> where <value> has to be");
        check("<value><struct><member><name>n</name></member></struct></value>", "a <member> has");
        let deep = "<value><array><data>".repeat(33) + &"</data></array></value>".repeat(33);
        check(&deep, "more than 32 deep");
        let wide = "<value/>".repeat(100_001);
        check(&format!("<value><array><data>{wide}</data></array></value>"), "nodes limit");
        let dtd = "<!DOCTYPE x [<!ENTITY a 'b'>]><methodCall/>";
        assert!(read_call(dtd).unwrap_err().contains("DTD"), "{:?}", read_call(dtd));
        assert_eq!(read_call("<methodCall/>").unwrap_err(), "a <methodCall> needs a <methodName>");
        assert!(read_call("hello").is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "text": "a < b & \"c\"\r\n",
            "bell": "\u{7}",
            "list": [1, 5_000_000_000_i64, 0.25, true, "", {}],
        });
        let mut xml = String::new();
        put(&value, &mut xml);
        assert_eq!(read(&xml), Ok(value));
        assert!(write_fault(1, "x").contains("<name>faultString</name><value><string>x</string>"));
        assert!(write_answer(&Value::Null).contains("<value><string></string></value>"));
    }
}
