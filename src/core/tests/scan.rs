//! Where statements end.

use crate::core::scan::{statements, without_partitions};

#[test]
fn a_statement_ends_at_a_semicolon_outside_of_quotes_and_comments() {
    for parts in [
        &["a;", "\nb;", "\n"][..],
        &["\"a;\"\"\n;\";", " b"],
        &["'a;''\n;\\';", " b;"],
        &["E'a\\';''\\\\;';", " b;"],
        &["name'a\\';", " b;"],
        &["e'\\'';", " b;"],
        &["-- a;'\n;", " b"],
        &["/* a; /* ' */ \" ; */;", "b"],
        &["$$a;'$$;", "b"],
        &["$x$a;$$;$y$;$x$;", "b"],
        &["$ä$;$ä$;", "b"],
        &["a$b$;", "c$b$;"],
        &["$1;", "$2;"],
        &["1 - 2 / 3;", "b"],
        &["\"--\";", "'/*';", "b"],
    ] {
        assert_eq!(statements(&parts.concat()).as_deref(), Some(parts));
    }
}

#[test]
fn what_is_not_closed_has_no_statements() {
    for text in ["'a", "\"a", "a; E'\\'", "/* /* */", "$$a$x$", "'''", "E'\\"] {
        assert_eq!(statements(text), None, "{text}");
    }
}

#[test]
fn a_partitioned_table_becomes_an_ordinary_one() {
    let table = "CREATE TABLE s.t (\n    a text DEFAULT '\nPARTITION BY RANGE (b);'::text,\n    \"\nPARTITION BY c;\" date NOT NULL\n)";
    for (clause, rest) in
        [("\nPARTITION BY RANGE (a, ((b || ';'::text)));", ""), ("\nPARTITION BY HASH (c);", "\nALTER TABLE x;\n")]
    {
        assert_eq!(without_partitions(&format!("{table}{clause}{rest}")), Some(format!("{table};{rest}")));
    }
    assert_eq!(without_partitions(&format!("{table};\n")), None);
}
