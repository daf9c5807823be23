//! The file of the master key, 64 hexadecimal digits that nobody but their owner can read, and what it wraps in a vault.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::key_vault::KeyBytes;
use cocotalk_application::sealing::MasterKey;
use cocotalk_domain::id::UserId;
use zeroize::Zeroizing;

/// Keys as a vault keeps them: wrapped, each under the label of what it is for.
pub(crate) struct Wrapping(MasterKey);

impl Wrapping {
    /// By this master key.
    pub(crate) const fn by(master: MasterKey) -> Self {
        Self(master)
    }

    /// A new key, wrapped.
    pub(crate) fn new_key(&self, label: &str) -> Vec<u8> {
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
        self.0.wrap(label, &key)
    }

    /// A key that was wrapped.
    pub(crate) fn open(&self, label: &str, wrapped: &[u8]) -> Result<KeyBytes, StoreError> {
        let why = "a key was not wrapped by this master key";
        self.0
            .unwrap(label, wrapped)
            .ok_or_else(|| StoreError::corrupt("the key vault", why))
    }
}

/// The label of a person's data key.
pub(crate) fn label_of(user: UserId) -> String {
    format!("subject/{user}")
}

/// The label of a secret of the installation.
pub(crate) fn label_of_secret(name: &str) -> String {
    format!("secret/{name}")
}

/// The key in this file, if there is one. `InvalidData` means that it is no key.
pub(crate) fn read(path: &Path) -> io::Result<Option<MasterKey>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let no_key = || io::Error::new(io::ErrorKind::InvalidData, "it is not 64 hexadecimal digits");
            parse(text.trim())
                .map(|key| Some(MasterKey::new(key)))
                .ok_or_else(no_key)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a key, unless somebody else made one meanwhile, and returns what is in the file.
pub(crate) fn make(path: &Path) -> io::Result<MasterKey> {
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    write(path, &key)?;
    read(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Writes it beside and links it to its name, so that there is never half a key nor a second one, and makes file and name
/// durable.
fn write(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let new = path.with_extension(format!("new.{:016x}", rand::random::<u64>()));
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    for byte in key {
        write!(file, "{byte:02x}")?;
    }
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&new, path);
    std::fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        assert!(read(&path).expect("it can be looked for").is_none());
        let wrapped = make(&path).expect("it is made").wrap("a", &[1; 32]);
        let again = make(&path).expect("the first one stays");
        assert_eq!(*again.unwrap("a", &wrapped).expect("the same key"), [1; 32]);
    }

    #[test]
    fn half_a_master_key_is_refused() {
        assert_eq!(parse("00ff"), None);
        assert_eq!(parse(&"0g".repeat(32)), None);
        assert_eq!(parse(&"ab".repeat(32)), Some([0xab; 32]));
    }
}
