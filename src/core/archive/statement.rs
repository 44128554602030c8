//! How messages name an entry, and what is run for it besides its definition:
//! the settings its definition expects, the access method of a partitioned table, the owner.

use std::borrow::Cow;

use super::Entry;
use crate::core::name::{Name, quoted, shown};
use crate::core::scan;

impl Entry {
    /// Whether it is a function or procedure of this name, whatever its arguments are.
    pub fn is_routine(&self, schema: &str, name: &str) -> bool {
        matches!(self.desc.as_str(), "FUNCTION" | "PROCEDURE")
            && self.namespace.as_deref() == Some(schema)
            && self.tag.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
    }

    /// For messages: `TABLE public.flights`, `FK CONSTRAINT public.flights flights_carrier_fkey`,
    /// `COMMENT ON COLUMN public.flights.carrier`. Names are quoted only where they have to be; pg_dump quotes
    /// only some of them.
    pub fn object(&self) -> String {
        let Entry { desc, tag, .. } = self;
        let schema = self.namespace.as_deref().map(shown);
        let within = |name: String| schema.as_ref().map_or(name.clone(), |schema| format!("{schema}.{name}"));
        let named = |form: &dyn Fn(&str, &str) -> String| {
            let names = self.two_names().map_or_else(|| within(tag.clone()), |(first, second)| form(first, second));
            format!("{desc} {names}")
        };
        match (desc.as_str(), &schema) {
            // The tag is a kind and a name: `COLUMN flights.carrier`, `TRIGGER stamp ON flights`.
            _ if self.is_annotation() => {
                let (kind, name) = tag.split_at(if schema.is_some() { name_start(tag) } else { 0 });
                format!("{desc} ON {kind}{}", within(name.to_string()))
            }
            ("DEFAULT ACL", _) => {
                let of = self.owner.iter().map(|role| format!(" FOR ROLE {}", shown(role)));
                let of = of.chain(schema.iter().map(|schema| format!(" IN SCHEMA {schema}"))).collect::<String>();
                format!("{desc}{of}{}", tag.trim_start_matches("DEFAULT PRIVILEGES"))
            }
            ("USER MAPPING", _) => tag.clone(),
            ("PUBLICATION TABLE", Some(_)) => {
                named(&|publication, table| format!("{} {}", shown(publication), within(shown(table))))
            }
            ("PUBLICATION TABLES IN SCHEMA", _) => {
                named(&|publication, schema| format!("{} {}", shown(publication), shown(schema)))
            }
            ("CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" | "DEFAULT" | "RULE" | "TRIGGER" | "POLICY", _) => {
                named(&|table, name| format!("{} {}", within(shown(table)), shown(name)))
            }
            // The types of the arguments are quoted already.
            ("FUNCTION" | "PROCEDURE" | "AGGREGATE", _) => {
                let (name, arguments) = tag.split_at(tag.find('(').unwrap_or(tag.len()));
                format!("{desc} {}{arguments}", within(shown(name)))
            }
            // Not names, or of more than one word.
            ("OPERATOR" | "CAST" | "TRANSFORM" | "BLOB" | "LARGE OBJECT", _) => {
                format!("{desc} {}", within(tag.clone()))
            }
            _ => format!("{desc} {}", within(shown(tag))),
        }
    }

    /// The parts of a tag such as `flights flights_carrier_fkey`. One that has a space itself is in quotes in the
    /// statement that drops it.
    fn two_names(&self) -> Option<(&str, &str)> {
        let is_name = |name: &str| !name.contains(' ') || self.drop_statement.contains(&quoted(name));
        let mut splits = self.tag.match_indices(' ').map(|(at, _)| (&self.tag[..at], &self.tag[at + 1..]));
        splits.find(|(first, second)| is_name(first) && is_name(second))
    }

    /// `ALTER TABLE "s"."t" OWNER TO "r"`; None for what has no owner of its own.
    pub fn owner_statement(&self) -> Option<String> {
        let owner = quoted(self.owner.as_deref()?);
        // What cannot be dropped by itself is not owned by itself, such as an identity's sequence.
        if self.drop_statement.is_empty() {
            return None;
        }
        let object = match self.desc.as_str() {
            "COLLATION"
            | "CONVERSION"
            | "DATABASE"
            | "DOMAIN"
            | "EVENT TRIGGER"
            | "FOREIGN DATA WRAPPER"
            | "FOREIGN TABLE"
            | "MATERIALIZED VIEW"
            | "PROCEDURAL LANGUAGE"
            | "PUBLICATION"
            | "SCHEMA"
            | "SEQUENCE"
            | "SERVER"
            | "STATISTICS"
            | "SUBSCRIPTION"
            | "TABLE"
            | "TEXT SEARCH CONFIGURATION"
            | "TEXT SEARCH DICTIONARY"
            | "TYPE"
            | "VIEW" => {
                format!("{} {}", self.desc, self.qualified())
            }
            // Their argument types or index method stand in the drop statement alone.
            "AGGREGATE" | "FUNCTION" | "OPERATOR" | "OPERATOR CLASS" | "OPERATOR FAMILY" | "PROCEDURE" => {
                self.drop_statement.strip_prefix("DROP ")?.trim_end_matches([';', '\n']).to_owned()
            }
            "BLOB" => format!("LARGE OBJECT {}", self.tag.parse::<u32>().ok()?),
            _ => return None,
        };
        Some(format!("ALTER {object} OWNER TO {owner}"))
    }

    /// The definition without column options that a server keeps for itself: minor releases such
    /// as PostgreSQL 15.20 store `pg_attver` with each column, and a pg_dump from before, of
    /// another major, dumps it, but no server takes it.
    pub fn portable_definition(&self) -> Cow<'_, str> {
        let kinds = ["TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE"];
        if !kinds.contains(&self.desc.as_str()) || !self.definition.contains("(pg_attver=") {
            return Cow::Borrowed(&self.definition);
        }
        // What cannot be read is left to the server to refuse.
        let Some(statements) = scan::statements(&self.definition) else {
            return Cow::Borrowed(&self.definition);
        };
        // Such a statement ends with neither a quote nor a comment, so that its end is no part of one.
        let own = |statement: &&str| {
            let set = statement.trim_start().strip_prefix("ALTER ").filter(|set| set.contains(" ALTER COLUMN "));
            let option = set.and_then(|set| set.rsplit_once(" SET (pg_attver="));
            let value = option.and_then(|(_, value)| value.strip_suffix(");"));
            value.is_some_and(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()))
        };
        Cow::Owned(statements.into_iter().filter(|statement| !own(statement)).collect())
    }

    /// Of privileges, the statements that take from PUBLIC what it has by default, such as EXECUTE on functions, and that are not
    /// granted to it again: pg_dump takes all of it first where PUBLIC has more. Nothing that ends so ends with a quoted name.
    pub fn revoked_from_public(&self) -> String {
        let statements = scan::statements(&self.definition).unwrap_or_default();
        let privileges = |statement: &str, verb: &str, end: &str| -> Option<Vec<String>> {
            let statement = statement.trim();
            let rest = statement.strip_prefix(verb).or_else(|| Some(statement.rsplit_once(&format!(" {verb}"))?.1))?;
            let (list, _) = rest.split_once(" ON ").filter(|_| statement.ends_with(end))?;
            Some(list.split(',').map(|privilege| privilege.trim().to_string()).collect())
        };
        let granted: Vec<String> = statements
            .iter()
            .filter_map(|statement| privileges(statement, "GRANT ", " TO PUBLIC;"))
            .flatten()
            .collect();
        let has = |privilege: &String| granted.contains(privilege) || granted.iter().any(|all| all == "ALL");
        let is_kept = |statement: &&str| {
            let revoked = privileges(statement, "REVOKE ", " FROM PUBLIC;");
            revoked.is_some_and(|revoked| !revoked.iter().all(has))
        };
        statements.into_iter().filter(is_kept).collect()
    }

    /// The definition of a CHECK constraint without looking at the rows, if it is one that has to hold for them. What the
    /// server writes of one ends with its expression or a property, not with a quote or a comment.
    pub fn unchecked_definition(&self) -> Option<String> {
        let definition = self.definition.trim_end().strip_suffix(';')?;
        let holds = definition.ends_with(')') || definition.ends_with(") NO INHERIT");
        (self.desc == "CHECK CONSTRAINT" && holds).then(|| format!("{definition} NOT VALID"))
    }

    /// The settings that the definition expects, as a name and a value for set_config. They are
    /// named only where they matter: what an earlier entry has set may stay otherwise.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let tablespace = self.tablespace.as_deref().map(|name| ("default_tablespace", name));
        let access_method = self
            .access_method
            .as_deref()
            .filter(|_| !self.is_partitioned())
            .map(|name| ("default_table_access_method", name));
        tablespace.into_iter().chain(access_method)
    }

    /// A partitioned table has no storage: its access method, which its partitions will inherit,
    /// is set once it is made.
    pub fn access_method_statement(&self) -> Option<String> {
        let access_method = self.access_method.as_deref().filter(|_| self.is_partitioned())?;
        let table = self.qualified();
        Some(format!("ALTER TABLE {table} SET ACCESS METHOD {}", quoted(access_method)))
    }

    /// Says something about another object, which its dependencies name.
    pub fn is_annotation(&self) -> bool {
        matches!(self.desc.as_str(), "COMMENT" | "SECURITY LABEL" | "ACL")
    }

    fn is_partitioned(&self) -> bool {
        self.relkind == Some('p')
    }

    fn qualified(&self) -> String {
        match &self.namespace {
            Some(schema) => Name::new(schema, &self.tag).to_string(),
            None => quoted(&self.tag),
        }
    }
}

/// Where in an annotation's tag the name that is in a schema starts. Words of the kind are in
/// capitals, names with capitals are quoted; a constraint, trigger, rule or policy is ON it.
fn name_start(tag: &str) -> usize {
    let kind = tag
        .split_inclusive(' ')
        .take_while(|word| word.trim_end().bytes().all(|byte| byte.is_ascii_uppercase()))
        .map(str::len)
        .sum::<usize>();
    let inside = ["CONSTRAINT ", "TRIGGER ", "RULE ", "POLICY "];
    match tag.rfind(" ON ") {
        Some(on) if inside.iter().any(|word| tag.starts_with(word)) => {
            let on = on + " ON ".len();
            on + if tag[on..].starts_with("DOMAIN ") { "DOMAIN ".len() } else { 0 }
        }
        _ => kind,
    }
}
