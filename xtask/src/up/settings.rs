//! The configuration of our processes. The one place here that knows what the settings are called.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cocotalk_servers::{CQL, KAFKA, POSTGRES, Set};

use crate::servers::Lifetime;

/// Writes the configuration into this folder and returns where it is.
pub(crate) fn write(folder: &Path, set: &Set, lifetime: Lifetime) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // The key belongs to what the servers hold: new servers, new key.
    let key = folder.join(match lifetime {
        Lifetime::Task => "master.key",
        Lifetime::Kept => "kept-master.key",
    });
    if lifetime == Lifetime::Task && key.exists() {
        fs::remove_file(&key)?;
    }
    let file = folder.join("cocotalk.toml");
    fs::write(&file, text(&set.environment(), &key)).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn text(environment: &[(&str, String)], key: &Path) -> String {
    let of = |name| {
        let found = environment.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let nodes: Vec<&str> = of(CQL).split(',').collect();
    format!(
        "[backend]\n\
         kind = \"cluster\"\n\
         [backend.cluster]\n\
         master_key_file = {:?}\n\
         [backend.cluster.postgres]\n\
         url = {:?}\n\
         [backend.cluster.kafka]\n\
         brokers = {:?}\n\
         [backend.cluster.cql]\n\
         nodes = {nodes:?}\n",
        key.display().to_string(),
        of(POSTGRES),
        of(KAFKA),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_named() {
        let environment = [
            (POSTGRES, "postgres://a@b:1/c".to_owned()),
            (KAFKA, "b:2".to_owned()),
            (CQL, "b:3,b:4".to_owned()),
        ];
        let text = text(&environment, Path::new("/somewhere/master.key"));
        for line in [
            "url = \"postgres://a@b:1/c\"",
            "brokers = \"b:2\"",
            "nodes = [\"b:3\", \"b:4\"]",
            "master_key_file = \"/somewhere/master.key\"",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} is not in:\n{text}");
        }
    }
}
