use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The statements as SQL, blanks and comments left out.
fn texts(text: &str, set: &[(&str, &str)]) -> Result<Vec<String>> {
    let token = |token: &Token| match token {
        Token::SingleQuotedString(text) => format!("'{}'", text.replace('\'', "''")),
        Token::Word(word) if word.quote_style.is_some() => {
            format!("\"{}\"", word.value.replace('"', "\"\""))
        }
        other => other.to_string(),
    };
    let shown = |statement: &Statement| {
        let tokens = statement.tokens.iter().filter(|token| !is_space(token));
        tokens.map(|spanned| token(&spanned.token)).collect::<Vec<_>>().join(" ")
    };
    Ok(split("x.sql", text, &variables(set))?.iter().map(shown).collect())
}

#[rstest]
#[case("SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"])]
#[case(";;\n -- only; a comment\n;", &[])]
#[case("SELECT ';' -- ; no\n, \"a;b\" /* ; */; SELECT 2;", &["SELECT ';' , \"a;b\"", "SELECT 2"])]
#[case("SELECT $$a;b$$", &["SELECT $$a;b$$"])]
#[case("\u{feff}SELECT 1", &["SELECT 1"])]
#[case("-- old\rSELECT 1;\r/* a\r*/SELECT '--\r' -- end", &["SELECT 1", "SELECT '--\r'"])]
#[case("-- new\r\nSELECT 1", &["SELECT 1"])]
fn statements_end_at_semicolons_that_are_tokens(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(texts(text, &[]).unwrap(), expected);
}

#[rstest]
#[case("LIMIT ${n}", &[("n", "7")], "LIMIT 7")]
#[case("x > ${n}", &[("n", "-1.5")], "x > - 1.5")]
#[case("a = ${v}", &[("v", "O'Hara; DROP")], "a = 'O''Hara; DROP'")]
#[case("'s3://${b}/x'", &[("b", "it's")], "'s3://it''s/x'")]
#[case("\"${c}\"", &[("c", "a\"b")], "\"a\"\"b\"")]
#[case("'$${b}' -- ${unknown}", &[], "'${b}'")]
#[case("'${not a name}'", &[], "'${not a name}'")]
#[case("'${a}${a}'", &[("a", "${a}")], "'${a}${a}'")]
#[case("'${a:-tcp://h:1}'", &[], "'tcp://h:1'")]
#[case("'${a:-b}${a:-}'", &[("a", "x")], "'xx'")]
#[case("LIMIT ${n:-7}", &[], "LIMIT 7")]
#[case("LIMIT ${n:-7}", &[("n", "-1")], "LIMIT - 1")]
fn a_variable_is_a_value_and_never_sql(
    #[case] text: &str,
    #[case] set: &[(&str, &str)],
    #[case] expected: &str,
) {
    assert_eq!(texts(text, set).unwrap(), [expected]);
}

#[test]
fn an_unknown_variable_names_the_known_and_its_place() {
    let error = texts("SELECT 1;\nSELECT\n  '${buckt}'", &[("bucket", "b"), ("n", "1")]);
    let error = error.unwrap_err();
    assert_eq!(error.to_string(), "x.sql:3:3: SELECT");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let expected = "variable 'buckt' is not set, known are bucket, n: pass --set buckt=VALUE";
    assert_eq!(cause, expected);
}

#[test]
fn what_does_not_end_is_named_with_its_place() {
    let error = texts("SELECT 1;\nSELECT 'abc", &[]).unwrap_err();
    assert_eq!(error.to_string(), "x.sql:2:8: unterminated string literal");
}

#[test]
fn a_shell_waits_for_the_end_of_a_statement() {
    for open in ["SELECT 1", "SELECT ';", "SELECT /* ;", "SELECT 1; SELECT"] {
        assert!(is_unfinished(open), "{open}");
    }
    for done in ["", "SELECT 1;", "SELECT 1; -- done", " \n"] {
        assert!(!is_unfinished(done), "{done}");
    }
}

proptest! {
    /// Whatever a variable holds, the tokens around it stay what they are.
    #[test]
    fn no_value_breaks_out(value in "\\PC{0,20}") {
        let found = split("x", "SELECT '${v}', \"${v}\", ${v}; SELECT 2", &variables(&[("v", &value)]));
        let found = found.unwrap();
        prop_assert_eq!(found.len(), 2);
        let tokens: Vec<_> = found[0].tokens.iter().filter(|token| !is_space(token)).collect();
        prop_assert_eq!(&tokens[1].token, &Token::SingleQuotedString(value.clone()));
        let Token::Word(word) = &tokens[3].token else { panic!("a quoted name") };
        prop_assert_eq!(&word.value, &value);
    }

    #[test]
    fn any_text_is_cut_or_refused(text in "[a-z0-9 ;'\"$${}/*\\n-]{0,40}") {
        split("x", &text, &Variables::default()).ok();
    }
}
