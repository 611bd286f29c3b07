//! Steps 3 and 4: rows and text to bytes without a name, and their account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use parquet::arrow::async_writer::AsyncFileWriter;

use super::names;
use super::record::StagedFile;
use super::run::Run;
use crate::error::{Error, Result};
use crate::event::Observer;
use crate::table::format::{FileFormat, FormatKind};
use crate::table::manifest::{FileRecord, Mode, TableRecord};
use crate::table::write::encode::{FileWriter, Target, plain_batch, plain_field, plain_type};
use crate::table::write::exec::{self, StreamFacts};
use crate::table::write::rows_as_text::{header_of, plain_schema, text_of};
use crate::table::write::spec::{KeyLayout, TableFacts, TableSpec};
use crate::table::write::staged::Staged;
use crate::table::{hive, value};

impl Run {
    /// Runs `plan` into files of table `spec.name`: steps 3 and 4. Nothing is visible yet. A plan
    /// with fewer streams than the session wants may be given more, round robin.
    ///
    /// # Errors
    /// If the plan fails, a key is NULL in any row, the table cannot hold the plan's columns, or
    /// storage fails. After an error the run cannot be committed.
    pub async fn write(
        &self,
        state: &SessionState,
        plan: LogicalPlan,
        spec: TableSpec,
        watch: &dyn Observer,
    ) -> Result<TableFacts> {
        let written = self.write_tables(state, plan, &spec, watch).await;
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = written.and_then(|(records, files)| {
            let facts = TableFacts {
                rows: files.iter().map(|staged| staged.file.rows).sum(),
                bytes: files.iter().map(|staged| staged.file.size).sum(),
                files: files.len(),
            };
            for record in records {
                let record = match all.tables.get(&record.name) {
                    Some(before) => before.appended(&record)?,
                    None => record,
                };
                all.tables.insert(record.name.clone(), record);
            }
            all.files.extend(files);
            Ok(facts)
        });
        all.failed |= stored.is_err();
        stored
    }

    /// Runs `plan` into files of `format`: of Parquet as [`Self::write`] does, else into one file of text
    /// beside those that are there. Nothing is visible yet.
    ///
    /// # Errors
    /// As [`Self::write`]; if there are files of another format.
    pub async fn write_as(
        &self,
        format: FileFormat,
        state: &SessionState,
        plan: LogicalPlan,
        spec: TableSpec,
        watch: &dyn Observer,
    ) -> Result<TableFacts> {
        if format == FileFormat::Parquet {
            return self.write(state, plan, spec, watch).await;
        }
        self.check_kind(format.kind())?;
        let plan = state.create_physical_plan(&plan).await?;
        let schema = plain_schema(&plan.schema());
        let header = header_of(&schema, format).map(|header| (header, 0));
        let rows = execute_stream(plan, state.task_ctx())?;
        let texts = rows.map(move |batch| {
            let batch = plain_batch(&batch?, &schema)?;
            Ok((text_of(&batch, format)?, batch.num_rows() as u64))
        });
        let path = format!("{}{:08x}.{}", names::data_of(&self.id), 0, format.ending());
        self.write_text(&path, stream::iter([header]).chain(texts)).await
    }

    /// Refuses rows of `schema` as [`Self::write_as`] would.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self, format: FileFormat, schema: &Schema, spec: &TableSpec) -> Result<()> {
        if format == FileFormat::Parquet {
            return self.target(schema, spec).map(drop);
        }
        check_columns(schema, spec)?;
        self.check_kind(format.kind())?;
        text_of(&RecordBatch::new_empty(plain_schema(schema)), format).map(drop)
    }

    fn check_kind(&self, kind: FormatKind) -> Result<()> {
        match (self.options.mode, &self.base) {
            (Mode::Append, Some(base)) => base.check_kind(kind),
            _ => Ok(()),
        }
    }

    async fn write_tables(
        &self,
        state: &SessionState,
        plan: LogicalPlan,
        spec: &TableSpec,
        watch: &dyn Observer,
    ) -> Result<(Vec<TableRecord>, Vec<StagedFile>)> {
        let (records, target) = self.target(plan.schema().as_arrow(), spec)?;
        let mut facts = exec::run(state, plan.clone(), &target, spec.layout, watch).await?;
        if facts.iter().any(|facts| facts.too_many_keys) {
            tracing::debug!("table '{}' has many keys: written again by key", spec.name);
            facts = exec::run(state, plan, &target, KeyLayout::Clustered, watch).await?;
        }
        let mut files = account(&target, facts)?;
        for record in &records {
            if !files.iter().any(|staged| staged.file.table == record.name) {
                files.push(write_empty(&target, record).await?);
            }
        }
        Ok((records, files))
    }

    /// The records of the tables and their target, checked against the plan and the base.
    fn target(&self, schema: &Schema, spec: &TableSpec) -> Result<(Vec<TableRecord>, Arc<Target>)> {
        spec.tables().try_for_each(|name| hive::check_table_name(name))?;
        check_columns(schema, spec)?;
        let is_key = |field: &Field| spec.keys.contains(field.name());
        let columns = schema.fields().iter().filter(|field| !is_key(field));
        let file_schema = Schema::new(columns.map(|field| plain_field(field)).collect::<Vec<_>>());
        let keys = spec.keys.iter().map(|key| {
            let field = schema.field_with_name(key)?;
            let value_type = match field.data_type() {
                DataType::List(item) if spec.layout == KeyLayout::CountedFanout => item.data_type(),
                other => other,
            };
            value::check_key_type(key, value_type)?;
            Ok(Field::new(key, plain_type(value_type), false))
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let mut records = Vec::new();
        self.check_kind(FormatKind::Parquet)?;
        if let (Mode::Append, Some(base)) = (self.options.mode, &self.base) {
            base.check_places(spec.tables())?;
        }
        for name in spec.tables() {
            let aside = spec.aside || spec.beside.contains(name);
            let record = TableRecord::new(name, &file_schema, &keys, &spec.order, aside)?;
            if let (Mode::Append, Some(base)) = (self.options.mode, &self.base)
                && let Some(before) = base.table(name)
            {
                before.appended(&record)?;
            }
            records.push(record);
        }
        let target = Target {
            place: self.place.clone(),
            run: self.id.clone(),
            tables: spec.tables().cloned().collect(),
            keys: spec.keys.clone(),
            file_schema: Arc::new(file_schema),
            order: spec.order.clone(),
            high_cardinality: spec.high_cardinality,
            part: spec.part,
        };
        Ok((records, Arc::new(target)))
    }

    /// Stages a file that is not a table, `path` below the dataset, of the texts of `chunks`, each with
    /// the number of its lines.
    ///
    /// # Errors
    /// If the chunks fail, or storage does. After an error the run cannot be committed.
    pub async fn write_text(
        &self,
        path: &str,
        chunks: impl Stream<Item = Result<(Bytes, u64)>> + Send,
    ) -> Result<TableFacts> {
        let staged = self.stage_text(path, chunks).await;
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = staged.map(|staged| {
            let FileRecord { rows, size, .. } = staged.file;
            all.files.push(staged);
            TableFacts { rows, bytes: size, files: 1 }
        });
        all.failed |= stored.is_err();
        stored
    }

    async fn stage_text(
        &self,
        path: &str,
        chunks: impl Stream<Item = Result<(Bytes, u64)>> + Send,
    ) -> Result<StagedFile> {
        let mut staged = Staged::create(&self.place, &self.id, path).await?;
        let mut chunks = std::pin::pin!(chunks);
        let mut rows = 0;
        while let Some((bytes, lines)) = chunks.try_next().await? {
            rows += lines;
            staged.write(bytes).await?;
            // A stream that is always ready, and buffers that take long to fill, would keep Ctrl-C waiting.
            tokio::task::yield_now().await;
        }
        let bytes = staged.finish().await?;
        let file = FileRecord {
            path: path.to_owned(),
            table: String::new(),
            partition: Vec::new(),
            size: bytes.size,
            rows,
            sha256: bytes.sha256,
            e_tag: None,
            min: BTreeMap::new(),
            max: BTreeMap::new(),
            nulls: BTreeMap::new(),
        };
        Ok(StagedFile { file, stage: bytes.stage })
    }

    /// What was written of table `name` so far, nothing of it visible.
    pub fn files_of(&self, name: &str) -> Vec<FileRecord> {
        let all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let files = all.files.iter().map(|staged| &staged.file);
        files.filter(|file| file.table == name).cloned().collect()
    }
}

/// Refuses a plan that the table cannot hold.
fn check_columns(schema: &Schema, spec: &TableSpec) -> Result<()> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = schema.fields().iter().find(|field| !seen.insert(field.name())) {
        return Err(Error::usage(format!(
            "column '{}' appears twice in table '{}': rename one of them",
            twice.name(),
            spec.name
        )));
    }
    if let Some(missing) = spec.keys.iter().chain(&spec.order).find(|name| !seen.contains(name)) {
        let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(Error::usage(format!(
            "column '{missing}' not found in table '{}', which has {}",
            spec.name,
            columns.join(", ")
        )));
    }
    let keys: BTreeSet<_> = spec.keys.iter().collect();
    if keys.len() < spec.keys.len() || keys.len() == schema.fields().len() {
        return Err(Error::usage(format!(
            "keys {} of table '{}' must differ and leave at least one column for its files",
            spec.keys.join(", "),
            spec.name
        )));
    }
    if let Some(key) = spec.order.iter().find(|column| keys.contains(column)) {
        return Err(Error::usage(format!(
            "column '{key}' is a key of table '{}' and cannot be an order inside its files too",
            spec.name
        )));
    }
    Ok(())
}

/// Step 4: rows in = rows of the files, and no row has a NULL key.
fn account(target: &Target, facts: Vec<StreamFacts>) -> Result<Vec<StagedFile>> {
    let mut null_keys = vec![0; target.keys.len()];
    let (mut rows, mut files) = (0, Vec::new());
    for stream in facts {
        rows += stream.rows;
        null_keys.iter_mut().zip(&stream.null_keys).for_each(|(sum, nulls)| *sum += nulls);
        files.extend(stream.files);
    }
    let nulls: Vec<_> = target
        .keys
        .iter()
        .zip(&null_keys)
        .filter(|(_, nulls)| **nulls > 0)
        .map(|(key, nulls)| format!("key '{key}' is null in {nulls} rows"))
        .collect();
    if !nulls.is_empty() {
        return Err(Error::data(format!("{}: filter them or use coalesce", nulls.join(", "))));
    }
    let written: u64 = files.iter().map(|staged| staged.file.rows).sum();
    if written != rows {
        return Err(Error::internal(format!(
            "table '{}' has {written} rows in its files, expected {rows}",
            target.shown()
        )));
    }
    Ok(files)
}

/// The one file of an empty table: all columns, keys included, and no row.
async fn write_empty(target: &Target, record: &TableRecord) -> Result<StagedFile> {
    let mut fields = record.file_schema().fields().to_vec();
    fields.extend(record.key_fields().into_iter().map(Arc::new));
    let schema = Arc::new(Schema::new(fields));
    FileWriter::create(target, &record.name, Vec::new(), schema).await?.finish().await
}
