//! The table `clusters`: a line for each cluster, by its number.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use datafusion::datasource::MemTable;

use super::labels::BATCH;
use crate::dbscan::merge::sizes::{ClusterSize, Scale};
use crate::dbscan::options::{Params, Space};
use crate::dbscan::points::id_of;
use crate::dbscan::threads::BlockingThread;
use crate::error::Result;
use crate::event::Silent;
use crate::grid::UnitVector;
use crate::session::Session;
use crate::table::{Run, TableSpec};

/// The table: one line for each cluster.
///
/// On the sphere the mean is the direction of the mean of unit vectors, and there are no bounds of
/// the right ascension, which would mean nothing across 0/360.
pub(crate) fn table<const D: usize>(
    params: &Params,
    sizes: &[ClusterSize<D>],
    first_rows: &[u64],
    scale: Scale,
    thread: &BlockingThread,
) -> Result<RecordBatch> {
    let whole = |of: &dyn Fn(&ClusterSize<D>) -> u64| -> Result<ArrayRef> {
        thread.check()?;
        let numbers = sizes.iter().map(|size| of(size).cast_signed());
        Ok(Arc::new(Int64Array::from_iter_values(numbers)))
    };
    let number = |of: &dyn Fn(&ClusterSize<D>) -> f64| -> Result<ArrayRef> {
        thread.check()?;
        Ok(Arc::new(Float64Array::from_iter_values(sizes.iter().map(of))))
    };
    let first_row = |row: &u64| match params.options().id {
        Some(_) => id_of(*row),
        None => row.cast_signed(),
    };
    let numbers: ArrayRef =
        Arc::new(Int64Array::from_iter_values((0..sizes.len() as u64).map(u64::cast_signed)));
    let first_rows: ArrayRef =
        Arc::new(Int64Array::from_iter_values(first_rows.iter().map(first_row)));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("cluster".into(), numbers),
        ("rows".into(), whole(&|size| size.rows)?),
        ("cores".into(), whole(&|size| size.cores)?),
        ("first_row".into(), first_rows),
    ];
    match params.space() {
        Space::Plane { columns: names, .. } => {
            for (k, name) in names.iter().enumerate() {
                columns.extend([
                    (format!("{name}_min"), number(&|size| size.lo[k])?),
                    (format!("{name}_max"), number(&|size| size.hi[k])?),
                    (format!("{name}_mean"), number(&|size| size.mean(scale)[k])?),
                ]);
            }
        }
        Space::Sky { columns: [ra, dec], .. } => {
            let direction = |size: &ClusterSize<D>| {
                let mean = size.mean(scale);
                UnitVector { x: mean[0], y: mean[1], z: mean[D - 1] }
            };
            let declination = |z: f64| z.clamp(-1.0, 1.0).asin().to_degrees();
            columns.extend([
                (format!("{ra}_mean"), number(&|size| direction(size).lon_deg())?),
                (format!("{dec}_mean"), number(&|size| direction(size).lat_deg())?),
                (format!("{dec}_min"), number(&|size| declination(size.lo[D - 1]))?),
                (format!("{dec}_max"), number(&|size| declination(size.hi[D - 1]))?),
            ]);
        }
    }
    let fields =
        columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Writes the table.
pub(crate) async fn write(session: &Session, clusters: RecordBatch, run: &Run) -> Result<()> {
    let session = session.in_order(BATCH);
    let table = MemTable::try_new(clusters.schema(), vec![vec![clusters]])?;
    session.register("clusters", Arc::new(table))?;
    let plan = session.plan("SELECT * FROM clusters", &[], Vec::new()).await?;
    let spec = TableSpec { name: "clusters".to_owned(), aside: true, ..TableSpec::default() };
    run.write(&session.state(), plan, spec, &Silent).await?;
    Ok(())
}
