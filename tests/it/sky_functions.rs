//! The functions of the sky in SQL: values, NULLs, poles, plans, mistakes.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use datafusion::prelude::{SessionConfig, SessionContext};
use pleiad::error::{Error, Kind};
use pleiad::functions::{FunctionContext, aggregates, read_block_counts, scalars};
use pleiad::session::{Session, SessionOptions};
use pleiad::storage::{StorageOptions, Stores};
use rstest::rstest;

#[expect(clippy::disallowed_methods, reason = "the functions alone, without a session of ours")]
fn session() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(32);
    let context = SessionContext::new_with_config(config);
    let functions = FunctionContext::default();
    scalars(&functions).into_iter().for_each(|function| context.register_udf(function));
    aggregates(&functions).into_iter().for_each(|function| context.register_udaf(function));
    context
}

async fn ask(sql: &str) -> Result<RecordBatch, Error> {
    let answer = async { session().sql(sql).await?.collect().await };
    let rows = answer.await.map_err(|e| {
        Error::find_in(&e).cloned().unwrap_or(Error::new(Kind::Other, e.to_string()))
    })?;
    Ok(rows.into_iter().find(|batch| batch.num_rows() > 0).expect("a row"))
}

async fn number(sql: &str) -> Option<f64> {
    let row = ask(&format!("SELECT {sql}")).await.unwrap();
    let column = row.column(0);
    (column.null_count() == 0).then(|| column.as_primitive::<Float64Type>().value(0))
}

// The definitions and examples of the frames: see the tests of `grid::Frame` for their sources.
#[rstest]
#[case("ecliptic_lon(116.328942, 28.026183)", 113.2156300)]
#[case("ecliptic_lat(116.328942, 28.026183)", 6.6841791)]
#[case("ecliptic_lat(17, 90)", 66.560719)]
#[case("galactic_lon(0, 0)", 96.3372723)]
#[case("galactic_lat(0, 0)", -60.1885533)]
#[case("sky_position('galactic', 0, 0)['lat']", -60.1885533)]
#[case("sky_position('equatorial', -10, 5)['lon']", 350.0)]
#[case("angular_distance(359.5, 0, 0.5, 0)", 1.0)]
#[case("angular_distance(10, 89, 190, 89)", 2.0)]
#[tokio::test]
async fn angles_are_degrees(#[case] call: &str, #[case] expected: f64) {
    let found = number(call).await.unwrap();
    assert!((found - expected).abs() < 1e-7, "{call}: {found}");
}

#[rstest]
#[case("ecliptic_lon(NULL, 0)")]
#[case("ecliptic_lat(0, 90.0000001)")]
#[case("galactic_lon('NaN'::double, 0)")]
#[case("galactic_lat(-999, 0)")]
#[case("angular_distance(0, 0, NULL, 0)")]
#[case("angular_distance(0, 91, 0, 0)")]
#[case("sky_position('ecliptic', 0, -91)['lon']")]
#[case("block_of(NULL, 0, sky_grid(4, 2, 0))::double")]
#[case("block_of(0, 'inf'::double, sky_grid(4, 2, 0))::double")]
#[tokio::test]
async fn what_is_no_position_gives_null(#[case] call: &str) {
    assert_eq!(number(call).await, None, "{call}");
}

#[rstest]
#[case("NULL, 0", Some("null"))]
#[case("'nan'::double, 0", Some("nan"))]
#[case("0, '-inf'::double", Some("infinite"))]
#[case("0, 90.0000001", Some("lat_out_of_range"))]
#[case("-999, 0", Some("lon_out_of_range"))]
#[case("720, -90", None)]
#[tokio::test]
async fn a_fault_has_a_name(#[case] position: &str, #[case] expected: Option<&str>) {
    let row = ask(&format!("SELECT position_fault({position})")).await.unwrap();
    assert_eq!(row.column(0).as_string::<i32>().iter().next().unwrap(), expected);
}

#[tokio::test]
async fn a_position_is_turned_alike_whatever_rows_are_beside_it() {
    let turned = |more: &str| {
        format!(
            "SELECT p['lon'], p['lat'], p IS NULL FROM (SELECT n, sky_position('galactic', ra, dec) \
             AS p FROM (VALUES (1, 17.5, 30.25), (2, 0.0, -90.0), (3, 359.9, 12.0){more}) \
             AS t(n, ra, dec)) ORDER BY n"
        )
    };
    let good = ask(&turned("")).await.unwrap();
    let mixed = ask(&turned(", (4, -0.0, 0.0), (5, NULL, 0.0), (6, 0.0, 91.0)")).await.unwrap();
    assert_eq!(mixed.slice(0, 3), good);
    assert_eq!(mixed.column(0).null_count(), 2);
    let unknown = mixed.column(2).as_boolean().iter().collect::<Option<Vec<_>>>().unwrap();
    assert_eq!(unknown, [false, false, false, false, true, true]);
}

#[tokio::test]
async fn a_position_has_one_block_and_the_margins_near_it() {
    let places = "SELECT block_of(89.9, 0.1, sky_grid(4, 2, 5)), unnest(places_of(89.9, 0.1, \
                  sky_grid(4, 2, 5)))";
    let rows = ask(places).await.unwrap();
    let ints = |column: usize| rows.column(column).as_primitive::<Int32Type>().values().to_vec();
    // Block 1 is column 0, row 1; its neighbours are below (0), to the east (3) and both (2).
    assert_eq!(ints(0), [1; 4]);
    assert_eq!(ints(1), [2, 1, 5, 7]);
}

#[tokio::test]
async fn counts_are_those_of_the_blocks() {
    let positions = "(VALUES (0.0, 0.0), (359.9, 0.0), (90.0, -90.0), (NULL, 1.0), (0.0, 91.0), \
                     (360.0, 90.0)) AS t(lon, lat)";
    let all = format!("SELECT block_counts(sky_grid(4, 2, 0), lon, lat) FROM {positions}");
    let counts = read_block_counts(ask(&all).await.unwrap().column(0), 0).unwrap();
    assert_eq!(counts, [0, 2, 1, 0, 0, 0, 0, 1]);
    let grouped = format!(
        "SELECT lat > 0 AS north, block_counts(sky_grid(4, 2, 0), lon, lat)[2] AS n FROM \
         {positions} WHERE lon IS NOT NULL GROUP BY 1 ORDER BY 1"
    );
    let rows = ask(&grouped).await.unwrap();
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values().to_vec(), [1, 1]);
}

#[rstest]
#[case("ecliptic_lon(1)", "ecliptic_lon: found 1 arguments, expected 2")]
#[case("galactic_lat('x', 1)", "galactic_lat: argument 1 is Utf8, expected a number")]
#[case("block_of(1, 2, 3)", "block_of: the plan is Int64, expected the bytes of one")]
#[case(
    "block_of(1, 2, 'x'::bytea)",
    "the plan ends too early, expected bytes that this program wrote"
)]
#[case("sky_grid(0, 4, 0)", "grid is 0x4, expected at least 1x1 and at most 1048576 blocks")]
#[case("sky_position('mars', 1, 2)", "frame is 'mars', expected equatorial, ecliptic or galactic")]
#[tokio::test]
async fn mistakes_are_named(#[case] call: &str, #[case] expected: &str) {
    // The engine wraps what is found while it plans.
    let found = ask(&format!("SELECT {call}")).await.unwrap_err().to_string();
    assert!(found.contains(expected), "{found}");
}

#[tokio::test]
async fn a_decoded_plan_is_accounted_for_and_dropped_with_its_session() {
    let stores = Stores::new(StorageOptions::default());
    let session = Session::new(stores, &SessionOptions::default()).unwrap();
    let pool = session.memory_pool();
    let sql = "SELECT count(block_of(value, value, sky_grid(100, 100, 1))) \
               FROM generate_series(1, 80)";
    let plan = session.plan(sql, &[], Vec::new()).await.unwrap();
    session.collect(plan).await.unwrap();
    // The bounds of 10,000 blocks alone are four floats each.
    assert!(pool.reserved() > 320_000, "{}", pool.reserved());
    drop(session);
    assert_eq!(pool.reserved(), 0);
}
