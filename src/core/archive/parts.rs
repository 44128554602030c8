//! Which entries depend on which, and which are no more than a part of another: a chunk's index
//! goes where the chunk goes, a view over the chunk does not.

use std::collections::HashMap;

use super::Entry;

pub(super) struct Graph<'a> {
    entries: &'a [Entry],
    /// By position: what an entry needs. Dependencies that lead nowhere are left out.
    needs: Vec<Vec<usize>>,
    /// By position: what needs the entry.
    needed_by: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        let position: HashMap<i32, usize> =
            entries.iter().enumerate().map(|(position, entry)| (entry.dump_id, position)).collect();
        let mut needed_by = vec![Vec::new(); entries.len()];
        let needs = entries
            .iter()
            .enumerate()
            .map(|(user, entry)| {
                let mut needs: Vec<usize> =
                    entry.dependencies.iter().filter_map(|id| position.get(id).copied()).collect();
                needs.sort_unstable();
                needs.dedup();
                needs.iter().for_each(|&need| needed_by[need].push(user));
                needs
            })
            .collect();
        Graph { entries, needs, needed_by }
    }

    pub(super) fn needs(&self, position: usize) -> &[usize] {
        &self.needs[position]
    }

    pub(super) fn needed_by(&self, position: usize) -> &[usize] {
        &self.needed_by[position]
    }

    /// Whether `part` has no meaning without `whole`, on which it depends. Where several of its
    /// dependencies could be the whole, none is: in doubt it is reported, not dropped.
    pub(super) fn is_part(&self, part: usize, whole: usize) -> bool {
        let entry = &self.entries[part];
        let fits = |&need: &usize| may_be_whole(entry, &self.entries[need]);
        fits(&whole) && (has_many_wholes(entry) || self.needs[part].iter().filter(|need| fits(need)).count() == 1)
    }
}

/// These stand or fall with any of what they name.
fn has_many_wholes(part: &Entry) -> bool {
    part.is_annotation() || matches!(part.desc.as_str(), "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA")
}

fn may_be_whole(part: &Entry, whole: &Entry) -> bool {
    let beside = part.namespace == whole.namespace;
    let kind = whole.desc.as_str();
    let table = matches!(kind, "TABLE" | "FOREIGN TABLE" | "MATERIALIZED VIEW" | "VIEW");
    match part.desc.as_str() {
        _ if has_many_wholes(part) => true,
        "INDEX" => table && beside,
        "STATISTICS" => table,
        // Named by the table and by itself: `flights flights_pkey`.
        "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" | "DEFAULT" | "TRIGGER" | "RULE" | "POLICY" => {
            let own = part.tag.strip_prefix(whole.tag.as_str());
            (table || kind == "DOMAIN") && beside && own.is_some_and(|own| own.starts_with(' '))
        }
        "ROW SECURITY" | "TABLE ATTACH" => table && beside && part.tag == whole.tag,
        "INDEX ATTACH" => match kind {
            "INDEX" => beside && part.tag == whole.tag,
            "CONSTRAINT" => beside && whole.tag.ends_with(&format!(" {}", part.tag)),
            _ => false,
        },
        // A sequence depends on the table that owns it.
        "SEQUENCE" => table,
        "SEQUENCE OWNED BY" => kind == "SEQUENCE",
        "DEFAULT ACL" => kind == "SCHEMA",
        _ => false,
    }
}
