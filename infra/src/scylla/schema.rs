//! The schema: made statement by statement, each of which may be repeated.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::StoreError;
use cocotalk_application::projection::Projection;

use super::settings::Settings;
use super::{Cql, STORE, damaged, unavailable, within};

const KEYSPACE: &str = include_str!("../../../migrations/cql/0_keyspace.cql");
const CHECKPOINTS: &str = include_str!("../../../migrations/cql/checkpoints.cql");
/// The tables of each projection.
const TABLES: [(&str, &str); 3] = [
    ("rooms", include_str!("../../../migrations/cql/rooms.cql")),
    ("reads", include_str!("../../../migrations/cql/reads.cql")),
    ("people", include_str!("../../../migrations/cql/people.cql")),
];
/// What a statement begins with that makes a table.
const MAKE: &str = "CREATE TABLE IF NOT EXISTS ";
/// How long one change of the schema may take.
const CHANGE: Duration = Duration::from_mins(1);

/// What a store is, for whoever operates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The engine and its version, as it says it.
    pub version: String,
    /// Tables that are missing.
    pub missing: Vec<String>,
}

/// Makes the keyspace and every table that is not there, and gives those that are there the columns that came later: rows
/// without them mean what they meant before. Only one process at a time may do so: creating a table twice at the
/// same moment is a race that one of the engines loses.
///
/// # Errors
/// `Unavailable` where the store does not answer, `Corrupt` where it refuses a statement.
pub async fn migrate(settings: &Settings, projections: &[Arc<dyn Projection>]) -> Result<(), StoreError> {
    let cql = Cql::connect_to_cluster(settings).await?;
    let keyspace = KEYSPACE
        .replace("{keyspace}", &settings.keyspace)
        .replace("{replication_factor}", &settings.replication_factor.to_string());
    change(&cql, &keyspace).await?;
    for text in all(projections) {
        let named = format!("{MAKE}{}.", settings.keyspace);
        change(&cql, &text.replacen(MAKE, &named, 1)).await?;
    }
    for (table, column) in cql.missing_columns(projections).await? {
        change(&cql, &format!("ALTER TABLE {}.{table} ADD {column}", settings.keyspace)).await?;
    }
    Ok(())
}

/// The statements of all tables.
fn all(projections: &[Arc<dyn Projection>]) -> Vec<String> {
    let mut texts = statements(CHECKPOINTS);
    for projection in projections {
        let version = projection.version().to_string();
        let tables = TABLES.iter().filter(|(name, _)| *name == projection.name());
        texts.extend(tables.flat_map(|(_, text)| statements(&text.replace("{version}", &version))));
    }
    texts
}

/// The statements of a file, without its comments.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split("--").next().unwrap_or_default());
    let bare: String = lines.flat_map(|line| [line, "\n"]).collect();
    let statements = bare.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

async fn change(cql: &Cql, text: &str) -> Result<(), StoreError> {
    for statement in statements(text) {
        let mut prepared = scylla::statement::Statement::new(statement);
        prepared.set_request_timeout(Some(CHANGE));
        within(CHANGE, cql.session.query_unpaged(prepared, ()))
            .await?
            .map_err(damaged)?;
        within(CHANGE, cql.session.await_schema_agreement())
            .await?
            .map_err(unavailable)?;
    }
    Ok(())
}

/// Whether the keyspace is there.
pub(super) async fn exists(cql: &Cql) -> Result<bool, StoreError> {
    let text = "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let asked = cql.session.query_unpaged(text, (&cql.settings.keyspace,));
    let answer = within(cql.settings.connect(), asked).await?.map_err(unavailable)?;
    let rows = answer.into_rows_result().map_err(damaged)?;
    Ok(rows.rows_num() > 0)
}

impl Cql {
    /// What the store is.
    ///
    /// # Errors
    /// `Unavailable` where it does not answer.
    pub async fn standing(&self, projections: &[Arc<dyn Projection>]) -> Result<Standing, StoreError> {
        let asked = self
            .session
            .query_unpaged("SELECT release_version FROM system.local", ());
        let answer = within(self.settings.connect(), asked).await?.map_err(unavailable)?;
        let rows = answer.into_rows_result().map_err(damaged)?;
        let (version,) = rows.first_row::<(String,)>().map_err(damaged)?;
        let text = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?";
        let asked = self.session.query_unpaged(text, (&self.settings.keyspace,));
        let answer = within(self.settings.connect(), asked).await?.map_err(unavailable)?;
        let rows = answer.into_rows_result().map_err(damaged)?;
        let mut there = Vec::new();
        for row in rows.rows::<(String,)>().map_err(damaged)? {
            there.push(row.map_err(damaged)?.0);
        }
        let wanted = all(projections).into_iter().filter_map(|text| table(&text));
        let mut missing: Vec<String> = wanted.filter(|table| !there.contains(table)).collect();
        let columns = self.missing_columns(projections).await?;
        missing.extend(
            columns
                .iter()
                .map(|(table, column)| format!("{table}.{}", name_of(column))),
        );
        Ok(Standing { version, missing })
    }

    /// Columns that tables which are there do not have yet: the table, and the column as it is declared.
    async fn missing_columns(&self, projections: &[Arc<dyn Projection>]) -> Result<Vec<(String, String)>, StoreError> {
        let text = "SELECT table_name, column_name FROM system_schema.columns WHERE keyspace_name = ?";
        let asked = self.session.query_unpaged(text, (&self.settings.keyspace,));
        let answer = within(self.settings.connect(), asked).await?.map_err(unavailable)?;
        let rows = answer.into_rows_result().map_err(damaged)?;
        let mut there: HashMap<String, HashSet<String>> = HashMap::new();
        for row in rows.rows::<(String, String)>().map_err(damaged)? {
            let (table, column) = row.map_err(damaged)?;
            there.entry(table).or_default().insert(column);
        }
        let mut missing = Vec::new();
        for text in all(projections) {
            let Some(table) = table(&text) else { continue };
            let Some(known) = there.get(&table) else { continue };
            let wanted = columns(&text)
                .into_iter()
                .filter(|column| !known.contains(name_of(column)));
            missing.extend(wanted.map(|column| (table.clone(), column)));
        }
        Ok(missing)
    }

    /// Connects to see what is there, whatever that is.
    ///
    /// # Errors
    /// `Unavailable` where no node answers.
    pub async fn examine(settings: &Settings, projections: &[Arc<dyn Projection>]) -> Result<Standing, StoreError> {
        Self::connect_to_cluster(settings).await?.standing(projections).await
    }
}

/// The table that a statement makes.
fn table(text: &str) -> Option<String> {
    let rest = text.strip_prefix(MAKE)?;
    Some(rest.split_whitespace().next()?.to_owned())
}

/// The columns that a statement declares, one a line as our files write them; without what is said of keys.
fn columns(text: &str) -> Vec<String> {
    let declared = text.lines().skip(1).map(|line| line.trim().trim_end_matches(','));
    declared
        .filter(|line| !line.is_empty() && !line.starts_with("PRIMARY KEY") && !line.starts_with(')'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The name of a declared column.
fn name_of(column: &str) -> &str {
    column.split(' ').next().unwrap_or_default()
}

/// An error for a projection whose tables nobody has named.
pub(super) fn unknown(name: &str) -> StoreError {
    StoreError::corrupt(STORE, format!("projection {name} has no tables"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_and_bare() {
        let text = "-- a; comment\nCREATE TABLE a (b int); -- another\n\nCREATE TABLE c (d int);\n";
        assert_eq!(statements(text), ["CREATE TABLE a (b int)", "CREATE TABLE c (d int)"]);
    }

    #[test]
    fn columns_are_found_as_they_are_declared() {
        let text = "CREATE TABLE IF NOT EXISTS a (\n    b  uuid,\n    c  frozen<map<text, int>>,\n    d  text PRIMARY KEY\n) WITH x";
        let declared = columns(text);
        assert_eq!(declared, ["b uuid", "c frozen<map<text, int>>", "d text PRIMARY KEY"]);
        assert_eq!(name_of(&declared[1]), "c");
        let all = all(&cocotalk_projectors::all());
        assert!(all.iter().all(|text| columns(text).len() > 2), "{all:?}");
    }

    #[test]
    fn every_projection_has_tables_of_its_version() {
        let tables: Vec<_> = all(&cocotalk_projectors::all())
            .iter()
            .filter_map(|text| table(text))
            .collect();
        assert_eq!(tables.len(), 10);
        assert!(tables.contains(&"messages_v1".to_owned()), "{tables:?}");
    }
}
