//! What a database is and how it is doing, for whoever operates it.

use std::fmt;

use sqlx::PgConnection;

use super::database::MIGRATOR;
use super::settings::Settings;
use crate::clock::now_us;

/// The oldest server that has all that is used.
const OLDEST: i32 = 150_000;

/// What a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The server's version, as it says it.
    pub version: String,
    /// Whether it is new enough.
    pub is_new_enough: bool,
    /// What lies in it.
    pub schema: Schema,
    /// By how much its clock is ahead of ours, milliseconds; half the time of a round trip is in it.
    pub clock_ahead_ms: i64,
    /// Settings of the server with which a commit that was answered can be lost, if there are any.
    pub unsafe_settings: Vec<String>,
    /// What is wrong with the role we act as, if anything is.
    pub role_problem: Option<String>,
    /// What waits; known where the schema is current.
    pub backlog: Option<Backlog>,
}

/// What waits in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Events that are committed.
    pub events: u64,
    /// Events that are not noted as published yet. The note is behind the bus by some seconds.
    pub unpublished: u64,
    /// Events that wait because a projection could not take one of their aggregate.
    pub parked: u64,
}

/// What lies in a database, against what this release works with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Nothing of ours.
    Missing,
    /// That of an older release.
    Behind {
        /// Its newest migration.
        found: i64,
        /// The newest one of this release.
        newest: i64,
    },
    /// That of this release.
    Current,
    /// That of a newer release.
    Newer {
        /// Its newest migration.
        found: i64,
        /// The newest one of this release.
        newest: i64,
    },
    /// A migration of the same number that is another one.
    Foreign {
        /// Which.
        number: i64,
    },
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the database is empty: run `cocotalk migrate`"),
            Self::Behind { found, newest } => {
                write!(
                    f,
                    "the schema is that of migration {found}, not {newest}: run `cocotalk migrate`"
                )
            }
            Self::Current => f.write_str("the schema is current"),
            Self::Newer { found, newest } => {
                write!(
                    f,
                    "the schema is that of migration {found}, which a newer release made; this one knows {newest}"
                )
            }
            Self::Foreign { number } => {
                write!(f, "migration {number} of the database is not the one of this release")
            }
        }
    }
}

pub(super) async fn look(connection: &mut PgConnection, settings: &Settings) -> Result<Standing, sqlx::Error> {
    let text = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, \
         (extract(epoch FROM clock_timestamp()) * 1e6)::bigint, \
         ARRAY(SELECT name || ' = ' || setting FROM pg_settings \
               WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'off' ORDER BY name)";
    let before = now_us();
    let (version, number, server_us, unsafe_settings): (String, i32, i64, Vec<String>) =
        sqlx::query_as(text).fetch_one(&mut *connection).await?;
    let ours = i64::midpoint(before, now_us());
    let schema = schema(connection).await?;
    let is_current = schema == Schema::Current;
    Ok(Standing {
        version,
        is_new_enough: number >= OLDEST,
        clock_ahead_ms: (server_us - ours) / 1_000,
        unsafe_settings,
        role_problem: if is_current {
            role_problem(connection, &settings.role).await?
        } else {
            None
        },
        backlog: if is_current {
            Some(backlog(connection).await?)
        } else {
            None
        },
        schema,
    })
}

async fn schema(connection: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    let text = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    if !sqlx::query_scalar::<_, bool>(text).fetch_one(&mut *connection).await? {
        return Ok(Schema::Missing);
    }
    let text = "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(text).fetch_all(connection).await?;
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let foreign = applied.iter().find(|(number, checksum)| {
        let ours = MIGRATOR.iter().find(|migration| migration.version == *number);
        ours.is_some_and(|ours| *ours.checksum != **checksum)
    });
    Ok(match (foreign, applied.last()) {
        (_, None) => Schema::Missing,
        (Some((number, _)), _) => Schema::Foreign { number: *number },
        (None, Some((found, _))) if *found < newest => Schema::Behind { found: *found, newest },
        (None, Some((found, _))) if *found > newest => Schema::Newer { found: *found, newest },
        (None, Some(_)) => Schema::Current,
    })
}

/// Whether the user may act as the role, and the role may do no more than it should.
async fn role_problem(connection: &mut PgConnection, role: &str) -> Result<Option<String>, sqlx::Error> {
    let text = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = r), \
         EXISTS (SELECT FROM pg_roles WHERE rolname = r) AND pg_has_role(r, 'MEMBER'), \
         EXISTS (SELECT FROM pg_roles WHERE rolname = r) AND has_table_privilege(r, 'events', 'UPDATE, DELETE, TRUNCATE') \
         FROM COALESCE(NULLIF($1, ''), current_user) r";
    let (exists, may, can_change): (bool, bool, bool) = sqlx::query_as(text).bind(role).fetch_one(connection).await?;
    let problem = match (exists, may, can_change) {
        (false, ..) => "it does not exist",
        (true, false, _) => "the user of the address is no member of it",
        (true, true, true) => "it can change and remove events",
        (true, true, false) => return Ok(None),
    };
    let name = if role.is_empty() { "the user's own role" } else { role };
    Ok(Some(format!("{name}: {problem}")))
}

async fn backlog(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    let text = "SELECT sum(h.pos)::bigint, sum(GREATEST(h.pos - COALESCE(r.pos, 0), 0))::bigint, (SELECT count(*) FROM parked) \
         FROM slice_head h LEFT JOIN relay_progress r ON r.slice = h.slice";
    let (events, unpublished, parked): (i64, i64, i64) = sqlx::query_as(text).fetch_one(connection).await?;
    Ok(Backlog {
        events: events as u64,
        unpublished: unpublished as u64,
        parked: parked as u64,
    })
}
