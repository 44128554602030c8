//! Dropping objects of any kind together.

use pgrx::pg_sys;

/// Drops the objects, given by catalog and OID, with whatever is part of them, in the current
/// transaction. Fails, as DROP with RESTRICT does, if anything else depends on one of them.
pub fn delete(objects: &[(pg_sys::Oid, pg_sys::Oid)]) {
    // SAFETY: the objects are locked and found by the function itself; the list is in the
    // current memory context.
    unsafe {
        let list = pg_sys::new_object_addresses();
        for (class, object) in objects {
            let address = pg_sys::ObjectAddress { classId: *class, objectId: *object, objectSubId: 0 };
            pg_sys::add_exact_object_address(&address, list);
        }
        pg_sys::performMultipleDeletions(list, pg_sys::DropBehavior::DROP_RESTRICT, 0);
        pg_sys::free_object_addresses(list);
    }
}
