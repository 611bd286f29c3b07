//! What every scalar function of the sky is to the engine: a name, types, documentation, and one
//! answer a row. A file a function says only that.
//!
//! Answers are immutable. Called with constants only, a function answers one row, as a constant.

use std::fmt;
use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, DocumentationBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::sections::SKY;

/// The types that the arguments of a function are cast to; the name is for errors.
type Coerce = fn(&str, &[DataType]) -> Result<Vec<DataType>>;
/// The answers to rows of coerced arguments; how many rows there are.
type Kernel = Box<dyn Fn(&[ColumnarValue], usize) -> Result<ArrayRef> + Send + Sync>;

/// A function of the sky.
pub(super) struct SkyFunction {
    name: &'static str,
    signature: Signature,
    coerce: Coerce,
    returns: DataType,
    strict: bool,
    documentation: Documentation,
    answer: Kernel,
}

/// Begins the documentation of a function: what it answers, and how it is called.
pub(super) fn documented(answers: &str, called: &str) -> DocumentationBuilder {
    Documentation::builder(SKY, answers, called)
}

impl SkyFunction {
    /// The function `name`, which answers NULL where an argument is NULL.
    pub(super) fn new(
        name: &'static str,
        (coerce, returns): (Coerce, DataType),
        documentation: Documentation,
        answer: impl Fn(&[ColumnarValue], usize) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        let answer = Box::new(answer);
        Self { name, signature, coerce, returns, strict: true, documentation, answer }
    }

    /// The same function, which has an answer to NULL.
    pub(super) fn answering_null(self) -> Self {
        Self { strict: false, ..self }
    }

    /// The function, for a session.
    pub(super) fn udf(self) -> ScalarUDF {
        ScalarUDF::new_from_impl(self)
    }
}

impl fmt::Debug for SkyFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A name means one function.
impl PartialEq for SkyFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SkyFunction {}

impl Hash for SkyFunction {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.name.hash(hasher);
    }
}

impl ScalarUDFImpl for SkyFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.coerce)(self.name, types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn is_strict(&self) -> bool {
        self.strict
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let found = (self.answer)(&args.args, rows)?;
        debug_assert_eq!(found.len(), rows);
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?));
        }
        Ok(ColumnarValue::Array(found))
    }
}
