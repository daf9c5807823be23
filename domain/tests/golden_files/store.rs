//! The golden files on disk.

use std::path::PathBuf;

pub(crate) fn lines_of_hex(bytes: &[u8]) -> String {
    let hex = |byte: &u8| format!("{byte:02x}");
    let line = |bytes: &[u8]| bytes.iter().map(hex).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

pub(crate) fn bytes_of_hex(text: &str) -> Vec<u8> {
    let byte = |line: &str, at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("two hexadecimal digits");
    text.lines()
        .flat_map(|line| (0..line.len()).step_by(2).map(move |at| byte(line, at)))
        .collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The text of a golden file. A missing one fails the test, or is written with `text` where `UPDATE_GOLDEN` is set: the
/// only way that this test writes anything.
#[expect(
    clippy::disallowed_methods,
    reason = "golden files are files, and that they are to be written is said from outside"
)]
pub(crate) fn stored(file: &str, text: impl FnOnce() -> String) -> String {
    let path = folder().join(file);
    if !path.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
        std::fs::write(&path, text()).expect("a golden file can be written");
    }
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("golden file {file}: {error}; the top of this test says how it is made"))
}

/// The names of the files in a folder of golden files.
#[expect(clippy::disallowed_methods, reason = "golden files are files")]
pub(crate) fn names_in(sub_folder: &str) -> Vec<String> {
    std::fs::read_dir(folder().join(sub_folder))
        .expect("the golden files are there")
        .map(|entry| entry.expect("a folder can be listed"))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
