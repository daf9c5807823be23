//! Steps of a transaction, and the connection that carries them out.
//!
//! The driver runs every connection on a thread of its own, so each call costs a trip there and back. Several statements in
//! one text are one trip: whole transactions of the usual shape are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sqlx::encode::IsNull;
use sqlx::sqlite::{SqliteArgumentValue, SqliteArguments, SqliteConnectOptions, SqliteRow, SqliteTypeInfo};
use sqlx::{Arguments as _, ConnectOptions as _, Connection as _, Encode, Sqlite, SqliteConnection, Type};
use uuid::Uuid;

use super::sql::{MOST_ROWS, Sql, size_for};
use crate::metrics::STATEMENTS;

/// Joined texts kept at most; their shapes are few, and beyond it all are made anew.
const JOINED_TEXTS: usize = 256;

/// A value of a statement.
#[derive(Clone, Debug)]
pub(super) struct Value<'a>(SqliteArgumentValue<'a>);

impl<'a> Value<'a> {
    pub(super) const NULL: Self = Self(SqliteArgumentValue::Null);

    pub(super) const fn int(number: i64) -> Self {
        Self(SqliteArgumentValue::Int64(number))
    }

    pub(super) const fn number(number: u64) -> Self {
        Self(SqliteArgumentValue::Int64(number as i64))
    }

    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self(SqliteArgumentValue::Text(text.into()))
    }

    pub(super) fn blob(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self(SqliteArgumentValue::Blob(bytes.into()))
    }

    pub(super) fn id(id: &'a Uuid) -> Self {
        Self::blob(id.as_bytes().as_slice())
    }

    pub(super) fn or_null<T>(value: Option<T>, make: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::NULL, make)
    }
}

impl Type<Sqlite> for Value<'_> {
    fn type_info() -> SqliteTypeInfo {
        <[u8] as Type<Sqlite>>::type_info()
    }
}

impl<'a> Encode<'a, Sqlite> for Value<'a> {
    fn encode(self, values: &mut Vec<SqliteArgumentValue<'a>>) -> Result<IsNull, sqlx::error::BoxDynError> {
        values.push(self.0);
        Ok(IsNull::No)
    }

    fn encode_by_ref(&self, values: &mut Vec<SqliteArgumentValue<'a>>) -> Result<IsNull, sqlx::error::BoxDynError> {
        self.clone().encode(values)
    }
}

/// One statement with its values.
#[derive(Debug)]
pub(super) struct Step<'a> {
    sql: Sql,
    /// The size of its text.
    size: usize,
    rows: usize,
    values: Vec<Value<'a>>,
}

impl<'a> Step<'a> {
    /// A statement that takes no rows, or one.
    pub(super) fn one(sql: Sql, values: impl Into<Vec<Value<'a>>>) -> Self {
        Self {
            sql,
            size: 1,
            rows: 1,
            values: values.into(),
        }
    }

    /// As few statements as can write these rows.
    pub(super) fn many<R>(sql: Sql, rows: &[R], mut values: impl FnMut(&R, &mut Vec<Value<'a>>)) -> Vec<Self> {
        let chunks = rows.chunks(MOST_ROWS).map(|chunk| {
            let mut all = Vec::new();
            for (index, row) in chunk.iter().enumerate() {
                values(row, &mut all);
                if index == 0 {
                    all.reserve(all.len() * (chunk.len() - 1));
                }
            }
            Self {
                sql,
                size: size_for(chunk.len()),
                rows: chunk.len(),
                values: all,
            }
        });
        chunks.collect()
    }

    /// Pads it to the size that a batch of `rows` gets, so that fewer shapes of a transaction exist: one row stays one.
    pub(super) fn padded_for(mut self, rows: usize) -> Self {
        if self.size > 1 {
            self.size = self.size.max(size_for(rows));
        }
        self
    }

    fn width(&self) -> usize {
        self.values.len() / self.rows.max(1)
    }

    /// The table that it writes and how many rows.
    pub(super) fn written(&self) -> Option<(&'static str, u64)> {
        Some((self.sql.table()?, self.rows as u64))
    }
}

/// The one connection that writes.
pub(super) struct WriteConnection {
    options: SqliteConnectOptions,
    open: Option<SqliteConnection>,
    projections: Vec<(&'static str, u32)>,
    texts: HashMap<(Sql, usize), Arc<str>>,
    joined: HashMap<Vec<(Sql, usize)>, Arc<str>>,
}

impl WriteConnection {
    pub(super) fn new(
        options: SqliteConnectOptions,
        open: SqliteConnection,
        projections: Vec<(&'static str, u32)>,
    ) -> Self {
        Self {
            options,
            open: Some(open),
            projections,
            texts: HashMap::new(),
            joined: HashMap::new(),
        }
    }

    /// Carries out all steps in one trip. At the first error it stops; what was begun is still open then.
    pub(super) async fn run_joined(&mut self, steps: Vec<Step<'_>>) -> Result<(), sqlx::Error> {
        let shape: Vec<(Sql, usize)> = steps.iter().map(|step| (step.sql, step.size)).collect();
        let text = self.joined_text(shape);
        metrics::counter!(STATEMENTS, "role" => "writer").increment(steps.len() as u64);
        let mut arguments = SqliteArguments::default();
        arguments.reserve(steps.iter().map(|step| step.size * step.width()).sum(), 0);
        for step in steps {
            let padding = (step.size - step.rows) * step.width();
            for value in step.values.into_iter().chain(std::iter::repeat_n(Value::NULL, padding)) {
                arguments.add(value).map_err(sqlx::Error::Encode)?;
            }
        }
        sqlx::query_with(&text, arguments)
            .execute(self.connection().await?)
            .await?;
        Ok(())
    }

    /// Carries out one step after the other.
    pub(super) async fn run(&mut self, steps: Vec<Step<'_>>) -> Result<(), sqlx::Error> {
        for step in steps {
            self.run_joined(vec![step]).await?;
        }
        Ok(())
    }

    /// Ends whatever is begun without keeping it. A connection that cannot even do that is replaced.
    pub(super) async fn roll_back(&mut self) {
        let Some(connection) = self.open.as_mut() else { return };
        metrics::counter!(STATEMENTS, "role" => "writer").increment(1);
        let rolled_back = sqlx::query(Sql::Rollback.text(1, &[]).as_str())
            .execute(connection)
            .await;
        // "No transaction is active" is the usual answer after a full disk: the engine has rolled back itself.
        if rolled_back.is_err_and(|error| super::error::fault(&error) != super::error::Fault::Row) {
            self.open = None;
        }
    }

    /// Lets the connection go after the storage has failed: one that was opened while its file could only be read stays so
    /// until it is opened again.
    pub(super) fn discard(&mut self) {
        self.open = None;
    }

    /// The rows of a query.
    pub(super) async fn fetch(&mut self, text: &str, values: Vec<Value<'_>>) -> Result<Vec<SqliteRow>, sqlx::Error> {
        metrics::counter!(STATEMENTS, "role" => "writer").increment(1);
        let mut arguments = SqliteArguments::default();
        for value in values {
            arguments.add(value).map_err(sqlx::Error::Encode)?;
        }
        sqlx::query_with(text, arguments)
            .fetch_all(self.connection().await?)
            .await
    }

    /// Closes it in an orderly way.
    pub(super) async fn close(&mut self) -> Result<(), sqlx::Error> {
        match self.open.take() {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        if self.open.is_none() {
            self.open = Some(self.options.connect().await?);
        }
        Ok(self.open.as_mut().expect("it was opened a line ago"))
    }

    fn joined_text(&mut self, shape: Vec<(Sql, usize)>) -> Arc<str> {
        if let Some(text) = self.joined.get(&shape) {
            return Arc::clone(text);
        }
        let texts: Vec<Arc<str>> = shape.iter().map(|(sql, size)| self.text(*sql, *size)).collect();
        if self.joined.len() >= JOINED_TEXTS {
            self.joined.clear();
        }
        let text: Arc<str> = texts.join("; ").into();
        self.joined.insert(shape, Arc::clone(&text));
        text
    }

    fn text(&mut self, sql: Sql, size: usize) -> Arc<str> {
        let Self { texts, projections, .. } = self;
        Arc::clone(
            texts
                .entry((sql, size))
                .or_insert_with(|| sql.text(size, projections).into()),
        )
    }
}
