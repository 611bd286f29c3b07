//! A CSV file of a city.

use pleiad::storage::{StorageOptions, Stores};

use crate::support::shared::shared;
use crate::table::{number, open};

/// Counts of the notebook's data: 1452 stations with 14 columns and 15,583 bikes.
#[tokio::test]
async fn a_csv_file_of_the_world_has_the_known_counts() {
    let Some(path) = shared("csv/velib_2023-02-23.csv") else { return };
    let stores = Stores::new(StorageOptions::default());
    let source = open(&stores, path.to_str().unwrap()).await.unwrap();
    let table = &source.tables[0];
    assert_eq!((table.rows(), table.schema.fields().len()), (Some(1452), 14));
    assert!(!table.schema.field(0).name().starts_with('\u{feff}'));
    let bikes = table.schema.fields().iter().find(|f| f.name().contains("Nombre total")).unwrap();
    let sql = format!("SELECT sum(\"{}\") FROM t", bikes.name());
    assert_eq!(number(&stores, table, &sql).await.unwrap(), 15_583);
}
