//! Primary keys and unique constraints in two steps: a unique index, which may be built while others of the
//! same table are, and the constraint, which takes it over. What comes of it is what `ADD CONSTRAINT` alone
//! would make.

use crate::core::inventory::Key;
use crate::core::name::{column_list, literal, quoted};

/// `CREATE UNIQUE INDEX` as `ADD CONSTRAINT` would build it: from the columns, with their own collations and
/// the default operator classes.
pub fn index(key: &Key) -> String {
    let mut statement =
        format!("CREATE UNIQUE INDEX {} ON {} ({})", quoted(&key.name), key.table, column_list(&key.columns));
    if !key.included.is_empty() {
        statement += &format!(" INCLUDE ({})", column_list(&key.included));
    }
    // A primary key may stand on such an index, from servers that let it be taken over; none takes it over any more.
    if key.nulls_not_distinct && !key.primary {
        statement += " NULLS NOT DISTINCT";
    }
    let option = |option: &String| {
        let (name, value) = option.split_once('=')?;
        Some(format!("{} = {}", quoted(name), literal(value)))
    };
    let options: Vec<String> = key.options.iter().filter_map(option).collect();
    if !options.is_empty() {
        statement += &format!(" WITH ({})", options.join(", "));
    }
    statement
}

/// `ALTER TABLE ... ADD CONSTRAINT ... USING INDEX`
pub fn constraint(key: &Key) -> String {
    let kind = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
    let when = match (key.deferrable, key.deferred) {
        (false, _) => "",
        (true, false) => " DEFERRABLE",
        (true, true) => " DEFERRABLE INITIALLY DEFERRED",
    };
    let name = quoted(&key.name);
    format!("ALTER TABLE ONLY {} ADD CONSTRAINT {name} {kind} USING INDEX {name}{when};", key.table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::name::Name;

    #[test]
    fn both_steps_say_all_of_it() {
        let mut key = Key {
            oid: 1,
            name: "t \"key".to_string(),
            table: Name::new("s", "t"),
            primary: true,
            columns: vec!["a".to_string(), "B".to_string()],
            included: Vec::new(),
            nulls_not_distinct: false,
            options: Vec::new(),
            deferrable: false,
            deferred: false,
        };
        assert_eq!(index(&key), r#"CREATE UNIQUE INDEX "t ""key" ON "s"."t" ("a", "B")"#);
        let expected = r#"ALTER TABLE ONLY "s"."t" ADD CONSTRAINT "t ""key" PRIMARY KEY USING INDEX "t ""key";"#;
        assert_eq!(constraint(&key), expected);
        key.nulls_not_distinct = true;
        assert!(index(&key).ends_with(r#"("a", "B")"#), "{}", index(&key));
        key = Key {
            primary: false,
            included: vec!["c".to_string()],
            nulls_not_distinct: true,
            options: vec!["fillfactor=70".to_string()],
            deferrable: true,
            deferred: true,
            ..key
        };
        let expected = r#"("a", "B") INCLUDE ("c") NULLS NOT DISTINCT WITH ("fillfactor" = '70')"#;
        assert!(index(&key).ends_with(expected), "{}", index(&key));
        assert!(constraint(&key).ends_with(r#"UNIQUE USING INDEX "t ""key" DEFERRABLE INITIALLY DEFERRED;"#));
    }
}
