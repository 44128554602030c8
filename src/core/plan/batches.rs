//! A chunk's compressed rows on their way, as the batches that they lie in.

use crate::core::inventory::{CompressedColumn, FROZEN, Layout, Spec};
use crate::core::name::{Name, column_list, quoted};
use serde::{Deserialize, Serialize};

/// A chunk's compressed rows as they lie on the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compressed {
    pub relation: Name,
    pub has_rows: bool,
    /// Blocks that stand for all-NULL columns, which this target cannot read, are sent as NULL.
    pub null_blocks: bool,
    /// Columns that are not copied, to be made anew.
    pub left_out: Vec<String>,
    pub spec: Spec,
}

impl Compressed {
    fn copied(&self) -> impl Iterator<Item = &CompressedColumn> {
        self.spec.layout.columns.iter().filter(|column| !self.left_out.contains(&column.name))
    }

    /// The columns that are copied.
    pub fn columns(&self) -> Vec<String> {
        self.copied().map(|column| column.name.clone()).collect()
    }

    /// Whether all of them mean the same in binary form on every server.
    pub fn binary(&self) -> bool {
        self.text_column().is_none()
    }

    /// The first of them that does not.
    pub fn text_column(&self) -> Option<&str> {
        self.copied().find(|column| !column.binary).map(|column| column.name.as_str())
    }

    /// The source refuses a plain COPY from a frozen chunk's relations.
    pub fn frozen(&self) -> bool {
        self.spec.status & FROZEN != 0
    }

    /// What `timescale_migrate.create_compressed_relation` takes.
    pub fn layout(&self) -> Layout {
        Layout { columns: self.copied().cloned().collect(), ..Layout::clone(&self.spec.layout) }
    }

    /// The query for the number of rows in them.
    pub fn count(&self) -> String {
        format!("SELECT coalesce(pg_catalog.sum(_ts_meta_count), 0) FROM {}", self.relation)
    }

    /// The COPY statement for the source.
    pub fn statement(&self) -> String {
        let format = if self.binary() { "binary" } else { "text" };
        let columns = self.columns();
        if !self.frozen() && !self.null_blocks {
            return format!("COPY {} ({}) TO STDOUT (FORMAT {format})", self.relation, column_list(&columns));
        }
        let value = |column: &String| {
            let column = quoted(column);
            match self.null_blocks {
                // Such a block is three bytes, of which this is the base64 form.
                true => format!(
                    "CASE WHEN pg_catalog.pg_column_size({column}) < 8 AND {column}::text = 'Bg==' THEN NULL ELSE {column} END"
                ),
                false => column,
            }
        };
        let columns: Vec<String> = columns.iter().map(value).collect();
        format!("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT {format})", columns.join(", "), self.relation)
    }
}
