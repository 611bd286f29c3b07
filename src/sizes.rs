//! Sizes in bytes as people write them: `512MiB`, `10g`, `256MB`, `1.5GB`, `4096`.
//!
//! A decimal unit (`kB MB GB TB`) is a power of 1000; a binary unit (`KiB MiB GiB TiB`) and a bare
//! letter (`k m g t`, as Java and Spark write them) are powers of 1024. Case does not matter.

/// The number of bytes that `text` names, rounded down to a whole byte.
///
/// # Errors
/// A sentence that shows the forms accepted: not a number, an unknown unit, zero, or more than
/// 2^63 bytes.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size: write it like 512MiB, 10g or 256MB");
    let text = text.trim();
    let letters = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let unit: u128 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1000,
        "mb" => 1000_u128.pow(2),
        "gb" => 1000_u128.pow(3),
        "tb" => 1000_u128.pow(4),
        _ => return Err(wrong()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // 12 digits each keep every product far inside u128; no one has more.
    if whole.is_empty() || whole.len() > 20 || fraction.len() > 12 || fraction.contains('.') {
        return Err(wrong());
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok().ok_or_else(wrong)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).expect("at most 12 digits"));
    match digits * unit / scale {
        0 => Err(format!("'{text}' is less than a byte: write a size like 512MiB, 10g or 256MB")),
        bytes => u64::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes <= i64::MAX as u64)
            .ok_or_else(|| format!("'{text}' is more than any machine has")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_decimal_or_binary_as_written() {
        let cases = [
            ("4096", 4096),
            ("4096b", 4096),
            ("256MB", 256_000_000),
            ("256MiB", 268_435_456),
            ("256m", 268_435_456),
            ("256M", 268_435_456),
            ("10g", 10_737_418_240),
            ("10 GB", 10_000_000_000),
            ("1.5k", 1536),
            ("0.5GB", 500_000_000),
            ("1t", 1_099_511_627_776),
            ("9223372036854775807", i64::MAX as u64),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_an_example() {
        for text in ["", "g", "-1g", "1e9", "10 gigs", "1..5g", "1.2.3", ".5g", "0", "0.0001k"] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("512MiB, 10g or 256MB"), "{text}: {message}");
        }
        for text in ["9223372036854775808", "99999999999999999999t"] {
            let message = parse(text).expect_err(text);
            assert!(message.ends_with("more than any machine has"), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn any_whole_number_of_bytes_is_itself(bytes in 1..=i64::MAX as u64) {
            prop_assert_eq!(parse(&bytes.to_string()), Ok(bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            parse(&text).ok();
        }
    }
}
