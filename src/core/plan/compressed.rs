//! In which form a compressed chunk travels: compressed, wherever the target reads the source's
//! format and sorts as the source does, else as rows that are compressed again.

use super::{Compressed, Recipe, Target};
use crate::core::inventory::{Collation, CompressedChunk, HYPERCORE, Inventory};
use crate::core::name::Name;

/// How a compressed chunk travels: as it is where the target reads that, else as rows, with the
/// reason.
pub fn form(chunk: &CompressedChunk, source: &Inventory, target: &Target) -> Recipe {
    if !target.server.community() {
        return Recipe::Queried {
            reason: "compressed on the source; the target's edition has no compression".to_string(),
        };
    }
    match compressed(chunk, source, target) {
        Ok(compressed) => Recipe::Compressed(Box::new(compressed)),
        Err(reason) => {
            let late = !target.server.constrains_compressed_chunks();
            Recipe::Recompressed { reason, spec: chunk.spec.clone(), late }
        }
    }
}

/// How a frozen chunk travels that is not compressed.
pub fn frozen(target: &Target) -> Recipe {
    match target.server.community() {
        true => Recipe::Frozen,
        false => {
            Recipe::Queried { reason: "frozen on the source; the target's edition has no frozen chunks".to_string() }
        }
    }
}

/// The chunk's compressed relation as it is to be copied, or why it cannot be.
fn compressed(chunk: &CompressedChunk, source: &Inventory, target: &Target) -> Result<Compressed, String> {
    let (from, to) = (&source.server, &target.server);
    if chunk.access_method.as_deref() == Some(HYPERCORE) {
        return Err("the source stores it with the access method hypercore".to_string());
    }
    let relation = chunk.relation.as_ref().ok_or("its compressed relation was not found")?;
    let layout = &chunk.spec.layout;
    if let Some(column) = layout.unportable.first() {
        return Err(format!(
            "column {} has type {}, whose binary form contains OIDs of the source",
            column.column, column.type_name
        ));
    }
    let named = |kind: &str| layout.columns.iter().find(|c| c.kind == kind);
    if let Some(column) = named("unknown") {
        return Err(format!("metadata column {} is of an unknown kind", column.name));
    }
    if layout.has_uuid && from.compresses_uuid() && !to.compresses_uuid() {
        return Err("the target has no compression algorithm for uuid".to_string());
    }
    if from.encoding != to.encoding {
        return Err("the encodings of the two databases differ".to_string());
    }
    // NULL says the same as such a block, but for columns with a default from later.
    let null_blocks = from.has_null_blocks() && !to.receives_null_blocks();
    if null_blocks && !layout.missing.is_empty() {
        return Err("the target cannot read how the source stores columns that are all NULL".to_string());
    }
    // Batches and their metadata are ordered by these.
    let alike = |name: &String| {
        let of = |list: &[Collation]| list.iter().find(|c| c.name == *name && c.version.is_some()).cloned();
        of(&source.collations).is_some_and(|c| of(&target.collations).as_ref() == Some(&c))
    };
    if let Some(name) = layout.collations.iter().find(|name| !alike(name)) {
        return Err(format!("collation {name} may sort differently on the target"));
    }
    // What a bloom filter holds depends on how TimescaleDB was built. Queries do without it, and
    // without first and last values.
    let known = |kind: &str| kind != "bloom" && (kind != "firstlast" || to.indexes_first_and_last());
    let left_out = layout.columns.iter().filter(|c| !known(&c.kind)).map(|c| c.name.clone()).collect();
    Ok(Compressed {
        relation: Name::new(&relation.schema, &relation.name),
        // That are not compressed, or not yet.
        has_rows: source.size(chunk.oid).pages > 0,
        null_blocks,
        left_out,
        spec: chunk.spec.clone(),
    })
}
