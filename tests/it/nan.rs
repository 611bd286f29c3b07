//! NaN is the greatest value in a comparison, however row groups are cut and whatever is known of them.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Float32Array, Float64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::support::scratch::On;

const VALUES: [f64; 6] = [1.0, 2.0, f64::NAN, 3.0, -0.0, 0.0];

/// Conditions with the number of rows that each holds for.
const CONDITIONS: [(&str, u64); 8] = [
    ("x > 100", 1),
    ("x >= 3", 2),
    ("NOT x <= 100", 1),
    ("x <> 1", 5),
    ("x < 2", 3),
    ("x <= 100", 5),
    ("x BETWEEN 2 AND 3", 2),
    ("x = 'NaN'::DOUBLE", 1),
];

#[expect(clippy::cast_possible_truncation, reason = "small values")]
fn rows() -> RecordBatch {
    let singles = VALUES.map(|value| value as f32);
    let singles = Arc::new(Float32Array::from(singles.to_vec()));
    let doubles = Arc::new(Float64Array::from(VALUES.to_vec()));
    RecordBatch::try_from_iter([("x", doubles as _), ("y", singles as _)]).unwrap()
}

#[track_caller]
fn check(location: &str, how: &str) {
    for (condition, expected) in CONDITIONS {
        for condition in [condition.to_owned(), condition.replace('x', "y")] {
            let sql = format!("SELECT count(*) AS n FROM '{location}' WHERE {condition}");
            let (code, found, said) = outcome(&mut pleiad(&["sql", "-c", &sql]));
            assert_eq!(
                (code, found),
                (0, format!("n\n{expected}\n")),
                "{how}: {condition}: {said}"
            );
        }
    }
}

#[test]
fn comparisons_do_not_depend_on_row_groups_and_statistics() {
    let lab = Lab::new(On::Files);
    let path = lab.location("x.parquet").local_path().unwrap().to_owned();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for group in [1, 2, 6] {
        for statistics in
            [EnabledStatistics::None, EnabledStatistics::Chunk, EnabledStatistics::Page]
        {
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(group))
                .set_data_page_row_count_limit(1)
                .set_write_batch_size(1)
                .set_statistics_enabled(statistics)
                .build();
            let file = File::create(&path).unwrap();
            let rows = rows();
            let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
            check(&lab.at("x.parquet"), &format!("{group} rows, {statistics:?}"));
        }
    }
}

/// What we write says of itself whether it holds NaN.
#[test]
fn files_that_we_write_are_found_in_whole() {
    let lab = Lab::new(On::Files);
    let text: String = VALUES.iter().map(|value| format!("{value},{value}\n")).collect();
    let path = lab.location("x.csv").local_path().unwrap().to_owned();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("x,y\n{text}")).unwrap();
    for out in ["one.parquet", "dataset"] {
        let sql = format!("COPY (SELECT * FROM '{}') TO '{}'", lab.at("x.csv"), lab.at(out));
        let (code, _, said) = outcome(&mut pleiad(&["sql", "-c", &sql]));
        assert_eq!(code, 0, "{said}");
        check(&lab.at(out), out);
    }
    check(&lab.at("x.csv"), "text");
}
