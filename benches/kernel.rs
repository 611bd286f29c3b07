//! A step of k-means: our kernel on each instruction set beside the plain loop, and the whole step
//! through the engine, where what is beyond the kernel is the price of a batch.
//!
//! Times are of one core and [`ROWS`] rows that fit the caches; the throughput is rows a second.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use datafusion::common::ParamValues;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use ndarray::Array2;
use pleiad::cancel::CancelFlag;
use pleiad::centroids::adder::Adder;
use pleiad::centroids::block::{ColumnSlice, Span, Take};
use pleiad::centroids::groups::Groups;
use pleiad::centroids::kernel::BLOCK;
use pleiad::centroids::model::{BoundingBox, Model, ModelSet, Weight};
use pleiad::centroids::totals::{Measures, Totals};
use pleiad::functions::{FunctionContext, aggregates, model_literal};
use pleiad::isa::Isa;
use pleiad::splitmix::{mix, unit};

const ROWS: usize = 32 * BLOCK;

/// Numbers below 100 that look random and are the same each time.
fn number(i: usize) -> f64 {
    100.0 * unit(mix(i as u64 + 1))
}

fn columns(d: usize, rows: usize) -> Vec<Vec<f64>> {
    (0..d).map(|j| (0..rows).map(|i| number(i * d + j)).collect()).collect()
}

fn model(k: usize, d: usize) -> ModelSet {
    let centroids = Array2::from_shape_fn((k, d), |(i, j)| number(1 << 40 | (i * d + j)));
    let bounds = BoundingBox { lows: vec![0.0; d], highs: vec![100.0; d], weight: Weight::None };
    ModelSet::new(bounds, vec![Model::new(centroids)]).expect("valid")
}

/// Lloyd's step as one would write it: floats, a row at a time.
fn plain(columns: &[Vec<f64>], centroids: &Array2<f64>) -> (Vec<u64>, Array2<f64>, f64) {
    let mut counts = vec![0; centroids.nrows()];
    let (mut sums, mut cost) = (Array2::zeros(centroids.dim()), 0.0);
    for row in 0..columns[0].len() {
        let (mut best, mut label) = (f64::INFINITY, 0);
        for (cluster, centroid) in centroids.rows().into_iter().enumerate() {
            let squared: f64 =
                columns.iter().zip(centroid).map(|(x, c)| (x[row] - c) * (x[row] - c)).sum();
            if squared < best {
                (best, label) = (squared, cluster);
            }
        }
        counts[label] += 1;
        cost += best;
        for (j, column) in columns.iter().enumerate() {
            sums[[label, j]] += column[row];
        }
    }
    (counts, sums, cost)
}

fn ours(adder: &mut Adder, isa: Isa, models: &ModelSet, columns: &[Vec<f64>], totals: &mut Totals) {
    for start in (0..ROWS).step_by(BLOCK) {
        let span = Span { start, end: start + BLOCK };
        let columns = columns.iter().map(|column| ColumnSlice::F64(column));
        let all = None::<fn(usize) -> Take>;
        adder.block.load(isa, models, columns, None, span, all).expect("inside the box");
        let going = CancelFlag::default();
        adder.add(models, &mut Groups::One(totals), &going).expect("inside the box");
    }
    adder.flush(models, &mut Groups::One(totals));
}

fn kernels(criterion: &mut Criterion) {
    for (k, d) in [(7, 3), (100, 10)] {
        let mut group = criterion.benchmark_group(format!("k={k} d={d}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        let (columns, models) = (columns(d, ROWS), model(k, d));
        group.bench_function("plain", |bench| {
            bench.iter(|| black_box(plain(&columns, &models.models()[0].centroids)));
        });
        for measures in [Measures::Step, Measures::Scores] {
            for isa in Isa::available() {
                let mut adder = Adder::new(isa, &models, measures);
                let mut totals = Totals::new(&models, measures);
                group.bench_function(format!("{measures:?} {isa:?}"), |bench| {
                    bench.iter(|| ours(&mut adder, isa, &models, &columns, &mut totals));
                });
            }
        }
        group.finish();
    }
}

/// Two million rows in memory, read by one stream: alone, and grouped by a key that is one a batch.
fn engine(criterion: &mut Criterion) {
    const BATCH: usize = 8192;
    const BATCHES: usize = 256;
    let columns = columns(3, BATCH * BATCHES);
    let batch = |i: usize| {
        let key = i32::try_from(i % 3).expect("small");
        let mut arrays: Vec<(&str, ArrayRef)> =
            vec![("p", Arc::new(Int32Array::from_value(key, BATCH)))];
        for (name, column) in ["x", "y", "z"].into_iter().zip(&columns) {
            let values = column[i * BATCH..][..BATCH].to_vec();
            arrays.push((name, Arc::new(Float64Array::from(values))));
        }
        RecordBatch::try_from_iter(arrays).expect("columns of one length")
    };
    let batches: Vec<_> = (0..BATCHES).map(batch).collect();
    #[expect(clippy::disallowed_methods, reason = "one function, without a session of ours")]
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let functions = aggregates(&FunctionContext::default()).into_iter();
    functions.for_each(|function| context.register_udaf(function));
    let table = MemTable::try_new(batches[0].schema(), vec![batches]).expect("one schema");
    context.register_table("points", Arc::new(table)).expect("a new name");

    let mut group = criterion.benchmark_group("engine k=7 d=3");
    group.throughput(Throughput::Elements((BATCH * BATCHES) as u64)).sample_size(20);
    step(&mut group, &context, "alone", "SELECT centroid_sums($model, x, y, z) FROM points");
    let grouped = "SELECT p, centroid_sums($model, x, y, z) FROM points GROUP BY p";
    step(&mut group, &context, "grouped", grouped);
    group.finish();
}

fn step(group: &mut BenchmarkGroup<'_, WallTime>, context: &SessionContext, name: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let model = model_literal(&model(7, 3));
    let values = ParamValues::from(vec![("model", model)]);
    group.bench_function(name, |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                let step = context.sql(sql).await.expect("it plans");
                let step = step.with_param_values(values.clone()).expect("it binds");
                black_box(step.collect().await.expect("it runs"))
            })
        });
    });
}

criterion_group!(benches, kernels, engine);
criterion_main!(benches);
