//! The query that counts a relation's rows and sums up their values, on both servers.
//!
//! Per row: MD5 of the row's text form, which under the pinned session settings is exact for
//! floats (shortest round-trip form), numeric scale, json text, arrays and user types, and
//! which tells NULL from an empty string. Its two halves are summed as 64-bit integers: the
//! sums do not depend on the order of rows, and a row that comes twice changes them, which an
//! XOR would not show.
//!
//! A row whose text form is larger than PostgreSQL's limit of 1 GB has none. COPY in binary form carries
//! it, so it must be comparable: then the MD5 of each value, of its binary form where that is the same
//! on every server, makes up the row. This takes longer, and is done only where the other has failed.

use super::name::{Name, column_list, quoted};
use crate::error::{Error, SqlState};

/// What is summed up of rows `t`.
#[derive(Clone)]
pub enum Sum {
    /// Nothing: they are counted.
    Count,
    /// What these expressions of each row give.
    Values(Vec<String>),
}

impl Sum {
    /// The columns as they are.
    pub fn of(columns: &[String]) -> Sum {
        Sum::Values(columns.iter().map(|c| format!("t.{}", quoted(c))).collect())
    }
}

/// A query for `(count, checksum)`; the checksum is NULL where only a count is wanted. `rows` is
/// what [`table`] or [`result`] give.
pub fn query(rows: &str, sum: &Sum) -> String {
    query_of(rows, sum, str::to_string)
}

/// The same on the target, where others can see how many rows it has read, unless they are only counted: that is quick.
pub fn query_here(rows: &str, sum: &Sum) -> String {
    query_of(rows, sum, |hash| format!("CASE WHEN timescale_migrate.count_row() THEN {hash} END"))
}

fn query_of(rows: &str, sum: &Sum, hashed: impl Fn(&str) -> String) -> String {
    let row = match sum {
        Sum::Count => return format!("SELECT count(*), NULL::text FROM {rows}"),
        Sum::Values(values) => values.join(", "),
    };
    let hash = hashed(&format!("md5(convert_to(ROW({row})::text, 'UTF8'))"));
    // Without OFFSET the planner would put the hash in both places, and it would be computed twice.
    format!(
        "SELECT count(*), coalesce(sum(('x' || left(h, 16))::bit(64)::bigint), 0)::text || '/' || \
         coalesce(sum(('x' || right(h, 16))::bit(64)::bigint), 0)::text \
         FROM (SELECT {hash} AS h FROM {rows} OFFSET 0) s"
    )
}

/// The checksum of the rows of two of them.
pub fn added(a: &str, b: &str) -> Result<String, Error> {
    let halves = |sum: &str| -> Option<[i128; 2]> {
        let (left, right) = sum.split_once('/')?;
        Some([left.parse().ok()?, right.parse().ok()?])
    };
    match (halves(a), halves(b)) {
        (Some(a), Some(b)) => Ok(format!("{}/{}", a[0] + b[0], a[1] + b[1])),
        _ => Err(Error::internal("not a checksum")),
    }
}

/// Whether a query may have failed because a row's or a value's text form is too large.
pub fn is_too_large(error: &Error) -> bool {
    [SqlState::PROGRAM_LIMIT_EXCEEDED, SqlState::OUT_OF_MEMORY, SqlState::INTERNAL].contains(&error.code)
}

/// What a comparison of values failed by, with the way out if a single value may be too large.
pub fn failed(error: Error) -> Error {
    if !is_too_large(&error) || error.hint.is_some() {
        return error;
    }
    error.hint("A value that is larger than 1 GB as text can only be counted: compare by level \"count\".")
}

/// A relation's rows. `only` leaves out those of children; a chunk has none, but its compressed
/// rows count as such.
pub fn table(relation: &Name, only: bool, condition: Option<&str>) -> String {
    format!("{}{relation} t {}", if only { "ONLY " } else { "" }, condition.unwrap_or_default())
}

/// A query for the number of rows that a chunk and its batches hold, whatever reads them.
pub fn held(chunk: &Name, batches: &Name) -> String {
    format!("SELECT (SELECT count(*) FROM ONLY {chunk}) + (SELECT coalesce(sum(_ts_meta_count), 0) FROM {batches})")
}

/// The rows of several relations.
pub fn each(relations: &[Name], columns: &[String]) -> String {
    let columns = column_list(columns);
    // OFFSET keeps them apart: of a chunk that is planned among others, some versions read no compressed rows.
    let each: Vec<String> =
        relations.iter().map(|relation| format!("(SELECT {columns} FROM {relation} OFFSET 0)")).collect();
    result(&each.join(" UNION ALL "))
}

/// The rows that a query gives.
pub fn result(query: &str) -> String {
    format!("({query}) t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let name = Name::new("public", "t");
        let sql = query(&table(&name, true, Some("WHERE x")), &Sum::of(&["a\"b".into()]));
        assert!(sql.contains("ROW(t.\"a\"\"b\")::text"));
        assert!(sql.contains("FROM ONLY \"public\".\"t\" t WHERE x"));
        let here = query_here(&table(&name, true, None), &Sum::of(&["a".into()]));
        assert!(here.contains("count_row() THEN md5(convert_to(ROW(t.\"a\")::text, 'UTF8')) END AS h"));
        assert_eq!(query(&result("SELECT 1"), &Sum::Count), "SELECT count(*), NULL::text FROM (SELECT 1) t");
    }

    #[test]
    fn sums_are_added() {
        assert_eq!(added("9223372036854775807/-3", "9223372036854775807/1").unwrap(), "18446744073709551614/-2");
        assert!(added("0/0", "0").is_err());
    }

    #[test]
    fn rows_without_a_text_form() {
        // The server's errors for a value and for a row that are too large, and another one.
        for (code, hinted) in [(*b"XX000", true), (*b"54000", true), (*b"42P01", false)] {
            assert_eq!(failed(Error::new(SqlState(code), "no")).hint.is_some(), hinted);
        }
        assert_eq!(failed(Error::internal("no").hint("What to do.")).hint.as_deref(), Some("What to do."));
    }
}
