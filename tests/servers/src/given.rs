//! Servers that somebody else runs.

/// Names PostgreSQL: an address such as `postgres://cocotalk@127.0.0.1:5432/postgres`, of somebody who may make databases.
pub const POSTGRES: &str = "COCOTALK_TEST_POSTGRES";
/// Names Kafka: `host:port` of brokers, joined by commas.
pub const KAFKA: &str = "COCOTALK_TEST_KAFKA";
/// Names the CQL store: `host:port` of nodes, joined by commas.
pub const CQL: &str = "COCOTALK_TEST_CQL";

/// Where the servers are that are not ours to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Of PostgreSQL.
    pub postgres: Option<String>,
    /// Of Kafka.
    pub kafka: Option<String>,
    /// Of the CQL store.
    pub cql: Option<String>,
}

impl Given {
    /// What the environment says, which the caller reads. An empty value is none.
    pub fn from(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let given = |name| environment(name).filter(|value| !value.trim().is_empty());
        Self {
            postgres: given(POSTGRES),
            kafka: given(KAFKA),
            cql: given(CQL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_names_no_server() {
        let given = Given::from(&|name| match name {
            POSTGRES => Some("postgres://a@b/c".to_owned()),
            KAFKA => Some(" ".to_owned()),
            other => {
                assert_eq!(other, CQL);
                None
            }
        });
        assert_eq!(given.postgres.as_deref(), Some("postgres://a@b/c"));
        assert_eq!((given.kafka, given.cql), (None, None));
    }
}
