//! Pictures of columns: `scatter` of two, `histogram` of one.

use clap::Args;

use crate::cli::context::Context;
use crate::dbscan::sample::sample;
use crate::error::{Error, Result};
use crate::inspect::numbers;
use crate::report::{self, Dot, Picture, Plane};
use crate::table::{Source, SourceOptions, SourceTable, TextOptions};

/// Draw rows as dots: clusters in colours of their own, or any two columns of a table
///
/// A result of `pleiad dbscan` is drawn with its clusters, noise in grey; positions are read from the input
/// of the clustering, which must be unchanged. A result of `pleiad kmeans --assign` or `pleiad predict` is
/// drawn by its first two columns. Of any other table, --x and --y (or --ra and --dec) name the columns, and
/// --by a column of whole numbers. On the sphere, right ascension grows to the left.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot scatter labels -o labels.svg
  pleiad plot scatter points --x x --y y --rows 5000 -o -")]
pub(super) struct ScatterArgs {
    /// A result of `dbscan`, `kmeans --assign` or `predict`, or any table
    #[arg(value_name = "IN")]
    input: String,

    /// Column of the horizontal axis
    #[arg(long, value_name = "COLUMN", requires = "y")]
    x: Option<String>,

    /// Column of the vertical axis
    #[arg(long, value_name = "COLUMN", requires = "x")]
    y: Option<String>,

    /// Column of the right ascension in degrees
    #[arg(long, value_name = "COLUMN", requires = "dec", conflicts_with = "x")]
    ra: Option<String>,

    /// Column of the declination in degrees
    #[arg(long, value_name = "COLUMN", requires = "ra")]
    dec: Option<String>,

    /// Column of whole numbers that gives the colour, as `cluster`; -1 is grey
    #[arg(long, value_name = "COLUMN")]
    by: Option<String>,

    /// Rows to draw, about: every n-th; of dbscan they are chosen by a hash of their number
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    rows: u64,

    #[command(flatten)]
    text: TextOptions,
}

/// Draw how often the values of a column occur
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad plot histogram points --x x -o histogram.svg
  pleiad plot histogram points --x x --bins 10 -o -")]
pub(super) struct HistogramArgs {
    /// A dataset, one of its tables, a directory, a file, or a pattern in quotes
    #[arg(value_name = "IN")]
    input: String,

    /// The column, of numbers
    #[arg(long, value_name = "COLUMN")]
    x: String,

    /// Number of bars
    #[arg(long, value_name = "N", default_value_t = 40)]
    bins: u16,

    #[command(flatten)]
    text: TextOptions,
}

impl ScatterArgs {
    pub(super) async fn figure(&self, context: &Context) -> Result<Picture> {
        let options = SourceOptions { text: self.text.clone(), ..SourceOptions::default() };
        let source = Source::open(&context.stores, &self.input, &options).await?;
        let made_by = source.manifest.as_ref().and_then(|manifest| manifest.made_by());
        match made_by {
            Some("dbscan") if self.x.is_none() && self.ra.is_none() => {
                self.labels(context, &source).await
            }
            _ => self.columns(context, &source).await,
        }
    }

    /// A result of dbscan.
    async fn labels(&self, context: &Context, source: &Source) -> Result<Picture> {
        let (session, name) = (context.session()?, &self.input);
        let manifest = source
            .manifest
            .as_deref()
            .ok_or_else(|| Error::internal("a result without a manifest"))?;
        let sample = sample(&session, name, manifest, self.rows, &context.watch).await?;
        let title = format!(
            "{name}: {} clusters, eps {}, min-points {}, {} rows",
            sample.clusters,
            sample.params.space().eps(),
            sample.params.density().min_points(),
            sample.rows
        );
        let dots: Vec<Dot> =
            sample.dots.iter().map(|dot| (dot.x, dot.y, Some(dot.cluster))).collect();
        let plane = if sample.is_sky { Plane::Sky } else { Plane::Distances };
        Ok(report::scatter(&title, &sample.axes, plane, &dots))
    }

    /// Two columns of a table.
    async fn columns(&self, context: &Context, source: &Source) -> Result<Picture> {
        let table = self.table(source)?;
        let (axes, plane) = self.axes(source, table)?;
        let has = |name: &str| table.schema.field_with_name(name).is_ok();
        let by = self.by.clone().or_else(|| has("cluster").then(|| "cluster".to_owned()));
        let mut columns: Vec<&str> = axes.iter().map(String::as_str).collect();
        columns.extend(by.as_deref());
        let sampled = numbers::sample(&context.session()?, table, &columns, self.rows).await?;
        let mut left_out = 0;
        let mut dots: Vec<Dot> = Vec::with_capacity(sampled.rows.len());
        for row in &sampled.rows {
            match row[..] {
                [Some(x), Some(y)] => dots.push((x, y, None)),
                #[expect(clippy::cast_possible_truncation, reason = "numbers of clusters")]
                [Some(x), Some(y), by] => dots.push((x, y, Some(by.map_or(-1, |by| by as i64)))),
                _ => left_out += 1,
            }
        }
        if left_out > 0 {
            context.note(&format!("{left_out} rows without a finite place are not drawn"));
        }
        let title = format!("{}: {} rows", self.input, sampled.of);
        Ok(report::scatter(&title, &axes, plane, &dots))
    }

    /// The table that is drawn: the only one, or that of assigned rows.
    fn table<'a>(&self, source: &'a Source) -> Result<&'a SourceTable> {
        match &source.tables[..] {
            [table] => Ok(table),
            tables => tables.iter().find(|table| table.name == "assignments").ok_or_else(|| {
                let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
                Error::usage(format!(
                    "'{}' has the tables {}: name one of them, as in '{}/{}', with --x and --y; \
                     kmeans --assign writes rows that can be drawn",
                    self.input,
                    names.join(", "),
                    self.input.trim_end_matches('/'),
                    names[0]
                ))
            }),
        }
    }

    /// The columns of both axes.
    fn axes(&self, source: &Source, table: &SourceTable) -> Result<([String; 2], Plane)> {
        if let (Some(x), Some(y)) = (&self.x, &self.y) {
            return Ok(([x.clone(), y.clone()], Plane::Columns));
        }
        if let (Some(ra), Some(dec)) = (&self.ra, &self.dec) {
            return Ok(([ra.clone(), dec.clone()], Plane::Sky));
        }
        let properties = source.manifest.as_ref().map(|manifest| &manifest.properties);
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        if let (Some(ra), Some(dec)) = (property("ra"), property("dec")) {
            return Ok(([ra.clone(), dec.clone()], Plane::Sky));
        }
        let columns: Vec<&str> =
            property("columns").map(|columns| columns.split(',').collect()).unwrap_or_default();
        match columns[..] {
            [x, y, ..] if table.schema.field_with_name(x).is_ok() => {
                Ok(([x.to_owned(), y.to_owned()], Plane::Columns))
            }
            _ => Err(Error::usage(format!(
                "which columns of '{}' are drawn? Pass --x and --y, or --ra and --dec",
                self.input
            ))),
        }
    }
}

impl HistogramArgs {
    pub(super) async fn figure(&self, context: &Context) -> Result<Picture> {
        let options = SourceOptions { text: self.text.clone(), ..SourceOptions::default() };
        let source = Source::open(&context.stores, &self.input, &options).await?;
        let session = context.session()?;
        let tables = source.tables_of_rows();
        let bins = usize::from(self.bins);
        let found = numbers::histogram(&session, &tables, &self.x, bins).await?;
        let title = format!("{}: {}", self.input, self.x);
        let (range, rows) = (found.range, &found.rows);
        Ok(report::histogram(&title, &self.x, range, rows, found.left_out))
    }
}
