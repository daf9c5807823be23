//! The statements that park what waits.

use super::script::{Step, Value};
use super::sql::Sql;
use cocotalk_application::following::{Followed, Projected};

/// Parks the events that a projection made wait.
pub(super) fn steps<'a>(followed: &Followed, projected: &Projected, now_ms: i64) -> Vec<Step<'a>> {
    Step::many(Sql::Parked, &projected.parked, |(event, error), values| {
        values.extend([
            Value::text(followed.projection.name()),
            Value::int(followed.projection.version().into()),
            Value::text(event.stream.aggregate_type()),
            Value::text(event.stream.aggregate_id()),
            Value::number(event.sequence),
            Value::int(event.slice.index() as i64),
            Value::number(event.slice_pos),
            Value::text(error.clone()),
            Value::int(now_ms),
        ]);
    })
}
