//! The rows of a file that steps are done for.

use serde_json::{Map, Value};

/// Reads rows: of a `.json` file with a list, or of a `.csv` file whose first row has the names.
pub(super) fn read(name: &str, text: &str) -> Result<Vec<Value>, String> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "json" => match serde_json::from_str(text) {
            Ok(Value::Array(rows)) => Ok(rows),
            Ok(_) => Err(format!("`{name}` is JSON, but no list")),
            Err(error) => Err(format!("`{name}` is no JSON: {error}")),
        },
        "csv" => csv_rows(text).map_err(|error| format!("`{name}`: {error}")),
        _ => Err(format!("`{name}` is neither .csv nor .json")),
    }
}

fn csv_rows(text: &str) -> Result<Vec<Value>, csv::Error> {
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let names = reader.headers()?.clone();
    reader
        .records()
        .map(|record| {
            let record = record?;
            let fields = names.iter().zip(&record);
            let row: Map<String, Value> = fields
                .map(|(name, field)| (name.trim().to_owned(), Value::String(field.to_owned())))
                .collect();
            Ok(Value::Object(row))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_are_read_by_name() {
        let rows = read("people.csv", "name,city\nAda,\"Paris, FR\"\nBo,Oslo\n").unwrap();
        assert_eq!(
            rows,
            [json!({"name": "Ada", "city": "Paris, FR"}), json!({"name": "Bo", "city": "Oslo"})]
        );
        assert_eq!(read("list.json", "[1, \"b\"]").unwrap(), [json!(1), json!("b")]);
    }

    #[test]
    fn what_is_no_list_of_rows_is_refused_by_name() {
        for (name, text) in
            [("a.json", "{}"), ("a.json", "["), ("a.csv", "a,b\n1\n"), ("a.txt", "")]
        {
            assert!(read(name, text).unwrap_err().contains(name), "{name} {text}");
        }
    }
}
