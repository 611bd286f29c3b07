//! Floats as the hex of their bits: exact, and readable as text. Decimal text may come back as its
//! neighbour.

/// One float inside a record, for `#[serde(with = …)]`.
pub(super) mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{:016x}", number.to_bits()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = String::deserialize(from)?;
        u64::from_str_radix(&text, 16).map(f64::from_bits).map_err(D::Error::custom)
    }
}

/// Many floats, a text each.
pub(super) fn to_bits<'a>(numbers: impl Iterator<Item = &'a f64>) -> Vec<String> {
    numbers.map(|number| format!("{:016x}", number.to_bits())).collect()
}

/// The floats of [`to_bits`]; `None` for anything else.
pub(super) fn from_bits(texts: &[String]) -> Option<Vec<f64>> {
    texts.iter().map(|text| u64::from_str_radix(text, 16).ok().map(f64::from_bits)).collect()
}
