//! Where statements end.

use crate::core::scan::statements;

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
