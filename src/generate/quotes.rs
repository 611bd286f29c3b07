//! Lines of plays that belong to everybody: who says what.

const QUOTES: &str = include_str!("../../data/stream/quotes.jsonl");

/// The lines, in the order of the file.
pub fn quotes() -> impl Iterator<Item = &'static str> {
    QUOTES.lines()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_line_has_a_character_and_what_they_say() {
        let rows: Vec<Value> = quotes().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(rows.len(), 40);
        for row in &rows {
            assert!(row.as_object().unwrap().keys().eq(["character", "quote"]));
        }
        assert_eq!(rows[7]["character"], "Harpagon ");
    }
}
