//! Action space → JSON Schema.
//!
//! The schema of an action is generated from its type, so there is no second description of it to
//! keep in step. For one observation it is then specialised: only the verbs this device performs,
//! and coordinates bounded by this image. A model decoded under the specialised schema cannot name
//! a point off the screen or an action the device lacks.
//!
//! The specialised form keeps to the few keywords that constrained decoders share: `type`, `enum`,
//! `const`, `properties`, `required`, `additionalProperties`, `anyOf`, `prefixItems`, `items` and
//! bounds. Each object lists its properties in the order they are to be written, the verb first.

mod tool;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

pub use self::tool::{tool_schema, tool_signature};
use crate::action::{Action, ActionSpace, Verb};
use crate::geometry::{PixelPoint, Size};

/// Returns the schema of the actions of `space` on an image of the size `bounds`.
///
/// Points are pixels of that image, so pass the size of the resized image for a model and that of
/// the screenshot for a person.
pub fn action_schema(space: &ActionSpace, bounds: Size) -> Value {
    let variants = variants();
    let offered = space.iter().filter_map(|verb| {
        let variant = variants.iter().find(|variant| verb_of(variant) == Some(verb))?;
        Some(specialise(variant, bounds))
    });
    json!({ "anyOf": offered.collect::<Vec<_>>() })
}

/// Returns the schema of every action on any screen: the public format of an action.
pub fn public_schema() -> Value {
    let settings = SchemaSettings::draft2020_12();
    let schema = settings.into_generator().into_root_schema_for::<Action<PixelPoint>>();
    let mut root = schema.to_value();
    root["title"] = json!("Action");
    for variant in root["oneOf"].as_array_mut().into_iter().flatten() {
        put_verb_first(variant);
    }
    root
}

/// Returns the schema of one kind of action on any screen, with its descriptions and with nothing left
/// to look up elsewhere.
///
/// # Panics
/// Never: each verb is a variant of [`Action`], as a test of this module says.
pub fn verb_schema(verb: Verb) -> Value {
    let mut variants = variants().into_iter();
    let mut schema = variants
        .find(|variant| verb_of(variant) == Some(verb))
        .expect("each verb is a kind of action");
    put_verb_first(&mut schema);
    schema
}

/// Returns the schema of each variant of [`Action`], with nothing left to look up elsewhere.
fn variants() -> Vec<Value> {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema =
        settings.into_generator().into_root_schema_for::<Action<PixelPoint>>().to_value();
    match schema["oneOf"].take() {
        Value::Array(variants) => variants,
        _ => Vec::new(),
    }
}

fn verb_of(variant: &Value) -> Option<Verb> {
    Verb::from_name(variant["properties"]["action"]["const"].as_str()?)
}

/// Returns a variant with its points bounded, its annotations dropped and its verb first.
fn specialise(variant: &Value, bounds: Size) -> Value {
    let mut variant = variant.clone();
    put_verb_first(&mut variant);
    simplify(&mut variant, bounds);
    variant["additionalProperties"] = json!(false);
    variant
}

/// Returns the schema of a point of an image of this size.
fn point(bounds: Size) -> Value {
    let below = |length: u32| json!({ "type": "integer", "minimum": 0, "maximum": length.saturating_sub(1) });
    json!({
        "type": "array",
        "prefixItems": [below(bounds.width), below(bounds.height)],
        "items": false,
        "minItems": 2,
        "maxItems": 2,
    })
}

/// Rewrites a schema in the keywords decoders share; the only arrays with `prefixItems` are points.
fn simplify(schema: &mut Value, bounds: Size) {
    if schema.get("prefixItems").is_some() {
        *schema = point(bounds);
        return;
    }
    if let Some(present) = without_null(schema) {
        *schema = present;
        return simplify(schema, bounds);
    }
    if let Some(named) = named_keys(schema) {
        *schema = named;
    }
    let Value::Object(keywords) = schema else { return };
    for annotation in ["description", "title", "format", "default", "$schema"] {
        keywords.shift_remove(annotation);
    }
    if let Some(constants) = constants(keywords) {
        keywords.shift_remove("oneOf");
        keywords.insert("type".to_owned(), json!("string"));
        keywords.insert("enum".to_owned(), Value::Array(constants));
    }
    if let Some(Value::Object(properties)) = keywords.get_mut("properties") {
        properties.values_mut().for_each(|property| simplify(property, bounds));
    }
    if let Some(items) = keywords.get_mut("items") {
        simplify(items, bounds);
    }
}

/// Returns what an optional field holds when it is there; a field that is not there is left out.
fn without_null(schema: &Value) -> Option<Value> {
    let choices = schema.get("anyOf")?.as_array()?;
    let is_null = |choice: &&Value| choice["type"] == "null";
    match choices.as_slice() {
        [present, null] | [null, present] if is_null(&null) => Some(present.clone()),
        _ => None,
    }
}

/// A key is one of those with a name or any other character; a model is offered the first.
fn named_keys(schema: &Value) -> Option<Value> {
    let named = schema.get("anyOf")?.get(0)?;
    named.get("enum").is_some().then(|| named.clone())
}

/// Returns the values of an enumeration that is written as a choice of constants.
fn constants(keywords: &Map<String, Value>) -> Option<Vec<Value>> {
    let choices = keywords.get("oneOf")?.as_array()?;
    choices.iter().map(|choice| choice.get("const").cloned()).collect()
}

/// The order of properties is the order a model writes them in, and all else hangs on the verb.
fn put_verb_first(variant: &mut Value) {
    if let Some(properties) = variant["properties"].as_object_mut()
        && let Some(verb) = properties.shift_remove("action")
    {
        properties.shift_insert(0, "action".to_owned(), verb);
    }
    if let Some(required) = variant["required"].as_array_mut()
        && let Some(at) = required.iter().position(|name| name == "action")
    {
        required[..=at].rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 1288, height: 728 };

    fn variant(verb: Verb) -> Value {
        action_schema(&ActionSpace::new([verb]), SIZE)["anyOf"][0].clone()
    }

    #[test]
    fn a_click_is_bounded_by_the_image() {
        let expected = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "action": { "type": "string", "const": "left_click" },
                "coordinate": {
                    "type": "array",
                    "prefixItems": [
                        { "type": "integer", "minimum": 0, "maximum": 1287 },
                        { "type": "integer", "minimum": 0, "maximum": 727 },
                    ],
                    "items": false,
                    "minItems": 2,
                    "maxItems": 2,
                },
            },
            "required": ["action", "coordinate"],
        });
        assert_eq!(variant(Verb::LeftClick), expected);
    }

    #[test]
    fn only_offered_verbs_are_in_the_schema() {
        let space = ActionSpace::new([Verb::Type, Verb::LeftClick]);
        let schema = action_schema(&space, SIZE);
        let verbs: Vec<_> = schema["anyOf"].as_array().unwrap().iter().map(verb_of).collect();
        assert_eq!(verbs, [Some(Verb::Type), Some(Verb::LeftClick)]);
    }

    #[test]
    fn every_verb_is_written_first_and_in_plain_keywords() {
        for verb in ActionSpace::all().iter() {
            let schema = variant(verb);
            assert_eq!(schema["properties"].as_object().unwrap().keys().next().unwrap(), "action");
            assert_eq!(schema["required"][0], "action");
            let text = schema.to_string();
            for keyword in ["$ref", "oneOf", "format", "description", "null"] {
                assert!(!text.contains(&format!("\"{keyword}\"")), "{keyword} in {text}");
            }
        }
    }

    #[test]
    fn enumerations_and_optional_points_are_plain() {
        let scroll = variant(Verb::Scroll);
        assert_eq!(
            scroll["properties"]["direction"],
            json!({ "type": "string", "enum": ["up", "down", "left", "right"] }),
        );
        assert_eq!(scroll["properties"]["coordinate"], point(SIZE));
        assert_eq!(scroll["required"], json!(["action", "direction", "amount"]));
        let key = variant(Verb::Key);
        let names = key["properties"]["keys"]["items"]["enum"].as_array().unwrap();
        assert!(names.contains(&json!("ctrl")) && names.contains(&json!("a")));
    }

    #[test]
    fn the_public_schema_has_every_verb() {
        let schema = public_schema();
        let verbs: Vec<_> =
            schema["oneOf"].as_array().unwrap().iter().filter_map(verb_of).collect();
        assert_eq!(verbs, Verb::ALL);
        assert_eq!(schema["title"], "Action");
    }

    #[test]
    fn every_verb_and_every_field_of_it_is_described() {
        for &verb in Verb::ALL {
            let schema = verb_schema(verb);
            assert!(schema["description"].is_string(), "{verb}");
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(name == "action" || field["description"].is_string(), "{verb}: {name}");
            }
        }
    }
}
