//! The columns that a copy names, compared with those of an earlier one.

use super::CopyTask;
use crate::core::name::quoted;

/// The columns with their types, in one order.
pub fn shape(copy: &CopyTask) -> Vec<(String, String)> {
    let mut shape: Vec<_> = copy.columns.iter().cloned().zip(copy.types.iter().cloned()).collect();
    shape.sort_unstable();
    shape
}

/// What has become of the columns of a table.
pub fn difference(was: &[(String, String)], now: &[(String, String)]) -> String {
    let type_of =
        |columns: &[(String, String)], name: &String| columns.iter().find(|c| c.0 == *name).map(|c| c.1.clone());
    let gone = was.iter().filter_map(|(name, old)| match type_of(now, name) {
        None => Some(format!("{} is gone", quoted(name))),
        Some(new) => (new != *old).then(|| format!("{} is of type {new} instead of {old}", quoted(name))),
    });
    let new =
        now.iter().filter(|(name, _)| type_of(was, name).is_none()).map(|(name, _)| format!("{} is new", quoted(name)));
    let all: Vec<String> = gone.chain(new).collect();
    if all.is_empty() { "they are in another order".to_string() } else { all.join(", ") }
}
