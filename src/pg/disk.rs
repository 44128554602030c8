//! The file systems that this server's data is on.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file system, and what an unprivileged user may still write to it.
pub struct FileSystem {
    pub device: u64,
    pub free: u64,
}

/// The file system that a directory is on; a relative path begins at the data directory.
pub fn of(directory: &Path) -> io::Result<FileSystem> {
    let device = std::fs::metadata(directory)?.dev();
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with NUL; on success the answer is filled in.
    let answer = unsafe {
        match libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) {
            0 => answer.assume_init(),
            _ => return Err(io::Error::last_os_error()),
        }
    };
    Ok(FileSystem { device, free: answer.f_bavail.saturating_mul(answer.f_frsize) })
}
