//! `md5(x)`, `sha224(x)`, `sha256(x)`, `sha384(x)`, `sha512(x)`: digests of text or bytes, as hexadecimal text in small
//! letters. NULL for NULL. Text is digested as UTF-8.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use md5::Md5;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::arguments::misused;
use super::sections::TEXT;

/// The functions, for a session.
pub(super) fn digests() -> Vec<ScalarUDF> {
    let all: [(_, Hex); 5] = [
        ("md5", hex::<Md5>),
        ("sha224", hex::<Sha224>),
        ("sha256", hex::<Sha256>),
        ("sha384", hex::<Sha384>),
        ("sha512", hex::<Sha512>),
    ];
    all.map(|(name, digest)| ScalarUDF::new_from_impl(DigestOf::new(name, digest))).into()
}

/// A digest of bytes, as text.
type Hex = fn(&[u8]) -> String;

fn hex<D: Digest>(bytes: &[u8]) -> String {
    let digest = D::digest(bytes);
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        write!(text, "{byte:02x}").expect("text grows");
    }
    text
}

/// One function.
#[derive(Debug)]
struct DigestOf {
    name: &'static str,
    digest: Hex,
    signature: Signature,
    documentation: Documentation,
}

impl DigestOf {
    fn new(name: &'static str, digest: Hex) -> Self {
        let answers =
            format!("The {} digest of text or bytes, as hexadecimal text.", name.to_uppercase());
        let documentation = Documentation::builder(TEXT, answers, format!("{name}(x)"))
            .with_argument("x", "Text, which is digested as UTF-8, or bytes.")
            .with_sql_example(format!("SELECT {name}('abc')"))
            .build();
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name, digest, signature, documentation }
    }
}

/// A name means one function.
impl PartialEq for DigestOf {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for DigestOf {}

impl std::hash::Hash for DigestOf {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for DigestOf {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [found] if found.is_binary() => Ok(vec![DataType::Binary]),
            [found] if found.is_string() || found.is_null() => Ok(vec![DataType::Utf8]),
            [found] => {
                misused(self.name, format_args!("the argument is {found}, expected text or bytes"))
            }
            _ => misused(self.name, format_args!("found {} arguments, expected 1", types.len())),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = &args.args[..] else {
            return misused(self.name, "expected one argument");
        };
        let values = argument.to_array(if matches!(argument, ColumnarValue::Scalar(_)) {
            1
        } else {
            args.number_rows
        })?;
        let digest = self.digest;
        let digests: StringArray = match values.data_type() {
            DataType::Binary => values.as_binary::<i32>().iter().map(|x| x.map(digest)).collect(),
            _ => {
                let texts = values.as_string::<i32>().iter();
                texts.map(|text| text.map(|text| digest(text.as_bytes()))).collect()
            }
        };
        match argument {
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(Arc::new(digests))),
            ColumnarValue::Scalar(_) => {
                let digest = datafusion::common::ScalarValue::try_from_array(&digests, 0)?;
                Ok(ColumnarValue::Scalar(digest))
            }
        }
    }
}
