//! A block of bytes in dynamic shared memory: how a launch block, which may hold a password,
//! reaches a worker without touching a table, a file or an argument list.

use crate::error::{Error, Result, SqlState};
use pgrx::{pg_guard, pg_sys};

/// The content may hold a password: its maker overwrites it with zeros, also where the process is ended
/// and runs no destructor.
#[pg_guard]
unsafe extern "C-unwind" fn wipe(segment: *mut pg_sys::dsm_segment, _argument: pg_sys::Datum) {
    // SAFETY: called before the segment is unmapped.
    unsafe {
        let size = pg_sys::dsm_segment_map_length(segment);
        std::ptr::write_bytes(pg_sys::dsm_segment_address(segment).cast::<u8>(), 0, size);
    }
}

/// A segment; unmapped when dropped, and gone when the last process has unmapped it.
pub struct Segment {
    raw: *mut pg_sys::dsm_segment,
}

impl Segment {
    /// A new segment that holds `content`.
    pub fn create(content: &[u8]) -> Segment {
        let header = size_of::<u64>();
        // SAFETY: the mapping is as long as asked for; pinned, so that it lives as long as
        // this value and not only as long as the current resource owner.
        unsafe {
            let raw = pg_sys::dsm_create(header + content.len(), 0);
            pg_sys::dsm_pin_mapping(raw);
            pg_sys::on_dsm_detach(raw, Some(wipe), pg_sys::Datum::from(0));
            let base = pg_sys::dsm_segment_address(raw).cast::<u8>();
            base.cast::<u64>().write(content.len() as u64);
            std::ptr::copy_nonoverlapping(content.as_ptr(), base.add(header), content.len());
            Segment { raw }
        }
    }

    /// What another process passes to [`Segment::read`].
    pub fn handle(&self) -> u32 {
        // SAFETY: the segment is mapped while this value lives.
        unsafe { pg_sys::dsm_segment_handle(self.raw) }
    }

    /// The content of the segment with this handle; `wipe` overwrites it with zeros after.
    pub fn read(handle: u32, wipe: bool) -> Result<Vec<u8>> {
        let gone = || Error::new(SqlState::NOT_IN_PREREQUISITE_STATE, "the process that started this worker is gone");
        // SAFETY: a mapped segment of ours starts with its content's length, which is checked
        // against the mapping's size.
        unsafe {
            let raw = pg_sys::dsm_attach(handle);
            if raw.is_null() {
                return Err(gone());
            }
            let size = pg_sys::dsm_segment_map_length(raw);
            let base = pg_sys::dsm_segment_address(raw).cast::<u8>();
            let header = size_of::<u64>();
            let length = base.cast::<u64>().read() as usize;
            let content = (length <= size.saturating_sub(header))
                .then(|| std::slice::from_raw_parts(base.add(header), length).to_vec());
            if wipe {
                std::ptr::write_bytes(base, 0, size);
            }
            pg_sys::dsm_detach(raw);
            content.ok_or_else(gone)
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: mapped by `create`, and detached once.
        unsafe { pg_sys::dsm_detach(self.raw) };
    }
}
