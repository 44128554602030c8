//! The query that counts a relation's rows and sums up their values, the same text on both
//! servers.
//!
//! Per row: MD5 of the row's text form, which under the pinned session settings is exact for
//! floats (shortest round-trip form), numeric scale, json text, arrays and user types, and
//! which tells NULL from an empty string. Its two halves are summed as 64-bit integers: the
//! sums do not depend on the order of rows, and a row that comes twice changes them, which an
//! XOR would not show.

use super::name::{Name, quoted};

/// A query for `(count, checksum)`; the checksum is NULL where only a count is wanted.
/// `only` leaves out the rows of children; a chunk has none, but its compressed rows count as
/// such.
pub fn query(relation: &Name, only: bool, columns: &[String], condition: Option<&str>, checksum: bool) -> String {
    let only = if only { "ONLY " } else { "" };
    let condition = condition.unwrap_or_default();
    if !checksum {
        return format!("SELECT count(*), NULL::text FROM {only}{relation} t {condition}");
    }
    let row = columns.iter().map(|c| format!("t.{}", quoted(c))).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT count(*), coalesce(sum(('x' || left(h, 16))::bit(64)::bigint), 0)::text || '/' || \
         coalesce(sum(('x' || right(h, 16))::bit(64)::bigint), 0)::text \
         FROM (SELECT md5(convert_to(ROW({row})::text, 'UTF8')) AS h FROM {only}{relation} t {condition}) s"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let name = Name::new("public", "t");
        let sql = query(&name, true, &["a\"b".into()], Some("WHERE x"), true);
        assert!(sql.contains("ROW(t.\"a\"\"b\")::text"));
        assert!(sql.contains("FROM ONLY \"public\".\"t\" t WHERE x"));
        assert_eq!(query(&name, false, &[], None, false), "SELECT count(*), NULL::text FROM \"public\".\"t\" t ");
    }
}
