//! What the fuzz targets share. The extension is a shared library for a server, so that its
//! pure modules are included here by their files.

#[path = "../../../src/core/mod.rs"]
pub mod core;
#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/libpq/ffi.rs"]
#[allow(unsafe_code, dead_code)]
mod ffi;
#[path = "../../../src/libpq/params.rs"]
#[allow(unsafe_code, dead_code)]
mod params;
pub mod sql;
#[path = "../../../src/source/validator.rs"]
pub mod validator;
#[path = "../../../src/core/archive/tests/writer.rs"]
pub mod writer;

/// What of it needs no connection.
pub mod libpq {
    pub use crate::params::{Keyword, Params, keywords, parse_conninfo};
}

/// Runs a parser. At no time may it hold more than `factor` bytes for each byte of its input,
/// and a little besides.
pub fn within<T>(factor: u64, length: usize, parse: impl FnOnce() -> T) -> T {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(parse()));
    let most = factor * length as u64 + 8192;
    assert!(info.bytes_max <= most, "{} bytes allocated for {length} bytes of input", info.bytes_max);
    result.expect("the closure was run")
}

/// Puts an input to begin with into the directory SEEDS, if there is one.
pub fn seed(name: &str, bytes: &[u8]) {
    if let Some(directory) = std::env::var_os("SEEDS") {
        let path = std::path::Path::new(&directory).join(name);
        std::fs::write(path, bytes).expect("the directory can be written to");
    }
}
