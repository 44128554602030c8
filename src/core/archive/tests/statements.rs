use super::{Entry, entry};

fn owned(desc: &str, tag: &str, drop_statement: &str) -> Option<String> {
    let mut entry = entry(1, desc, tag);
    entry.drop_statement = drop_statement.into();
    entry.owner_statement()
}

#[test]
fn owners_of_what_is_in_a_schema() {
    let kinds = [
        "COLLATION",
        "CONVERSION",
        "DOMAIN",
        "FOREIGN TABLE",
        "MATERIALIZED VIEW",
        "SEQUENCE",
        "STATISTICS",
        "TABLE",
        "TEXT SEARCH CONFIGURATION",
        "TEXT SEARCH DICTIONARY",
        "TYPE",
        "VIEW",
    ];
    for kind in kinds {
        let expected = format!("ALTER {kind} \"public\".\"x\" OWNER TO \"app\"");
        assert_eq!(entry(1, kind, "x").owner_statement(), Some(expected));
    }
}

#[test]
fn owners_of_what_is_in_no_schema() {
    let kinds = ["EVENT TRIGGER", "FOREIGN DATA WRAPPER", "PROCEDURAL LANGUAGE", "PUBLICATION", "SCHEMA", "SERVER"];
    for kind in kinds {
        let expected = format!("ALTER {kind} \"x\" OWNER TO \"app\"");
        assert_eq!(entry(1, kind, "x").within(None).owner_statement(), Some(expected));
    }
    let large_object = entry(1, "BLOB", "4711").within(None).owner_statement();
    assert_eq!(large_object.as_deref(), Some("ALTER LARGE OBJECT 4711 OWNER TO \"app\""));
    assert_eq!(entry(1, "BLOB", "4711; x").within(None).owner_statement(), None);
}

#[test]
fn owners_of_what_has_arguments() {
    for (desc, object) in [
        ("AGGREGATE", "public.a(VARIADIC \"any\" ORDER BY VARIADIC \"any\")"),
        ("FUNCTION", "public.\"F n.\"\"x\"(OUT o integer, VARIADIC v integer[])"),
        ("OPERATOR", "public.!- (NONE, integer)"),
        ("OPERATOR CLASS", "public.\"Op c\" USING hash"),
        ("OPERATOR FAMILY", "public.opf USING btree"),
        ("PROCEDURE", "public.p(INOUT x integer)"),
    ] {
        let statement = owned(desc, "tag", &format!("DROP {desc} {object};\n"));
        assert_eq!(statement, Some(format!("ALTER {desc} {object} OWNER TO \"app\"")));
    }
}

#[test]
fn names_cannot_break_out() {
    let mut table = entry(1, "TABLE", "a \"b\".c").within(Some("S.\"x"));
    table.owner = Some("o\"; DROP ROLE x".into());
    assert_eq!(
        table.owner_statement().unwrap(),
        "ALTER TABLE \"S.\"\"x\".\"a \"\"b\"\".c\" OWNER TO \"o\"\"; DROP ROLE x\""
    );
}

#[test]
fn what_has_no_owner() {
    for desc in ["INDEX", "CONSTRAINT", "TRIGGER", "RULE", "POLICY", "DEFAULT", "CAST", "ACL"] {
        assert_eq!(entry(1, desc, "t x").owner_statement(), None);
    }
    assert_eq!(owned("SEQUENCE", "identity_seq", ""), None);
    assert_eq!(owned("SHELL TYPE", "s", ""), None);
    assert_eq!(owned("FUNCTION", "f()", "-- nothing"), None);
    let mut extension = entry(1, "EXTENSION", "hstore");
    extension.owner = None;
    assert_eq!(extension.owner_statement(), None);
}

#[test]
fn schema_public_is_given_its_owner_though_not_made() {
    let mut schema = entry(1, "SCHEMA", "public").within(None);
    schema.definition = "-- *not* creating schema, since initdb creates it\n".into();
    schema.drop_statement = "-- *not* dropping schema, since initdb creates it\n".into();
    let statement = schema.owner_statement();
    assert_eq!(statement.as_deref(), Some("ALTER SCHEMA \"public\" OWNER TO \"app\""));
}

#[test]
fn access_methods_and_tablespaces() {
    let mut table = entry(1, "TABLE", "t");
    table.tablespace = Some("fast disk".into());
    table.access_method = Some("heap".into());
    table.relkind = Some('r');
    let settings =
        |entry: &Entry| -> Vec<String> { entry.settings().map(|(name, value)| format!("{name}={value}")).collect() };
    let both = ["default_tablespace=fast disk", "default_table_access_method=heap"];
    assert_eq!(settings(&table), both);
    assert_eq!(table.access_method_statement(), None);
    // Archives before 1.16 do not tell the kind of relation; their partitioned tables have no
    // access method.
    table.relkind = None;
    assert_eq!(settings(&table), both);
    table.relkind = Some('p');
    assert_eq!(settings(&table), both[..1]);
    assert_eq!(
        table.access_method_statement().as_deref(),
        Some("ALTER TABLE \"public\".\"t\" SET ACCESS METHOD \"heap\"")
    );
    assert!(settings(&entry(1, "FUNCTION", "f()")).is_empty());
}

#[test]
fn objects_in_messages() {
    for (desc, tag, shown) in [
        ("TABLE", "flights", "TABLE public.flights"),
        ("FK CONSTRAINT", "flights flights_fkey", "FK CONSTRAINT public.flights flights_fkey"),
        ("COMMENT", "TABLE flights", "COMMENT ON TABLE public.flights"),
        ("COMMENT", "COLUMN \"My Table\".x", "COMMENT ON COLUMN public.\"My Table\".x"),
        ("COMMENT", "CONSTRAINT c ON t", "COMMENT ON CONSTRAINT c ON public.t"),
        ("COMMENT", "CONSTRAINT c ON DOMAIN d", "COMMENT ON CONSTRAINT c ON DOMAIN public.d"),
        ("COMMENT", "TRIGGER \"a ON b\" ON t", "COMMENT ON TRIGGER \"a ON b\" ON public.t"),
        ("ACL", "MATERIALIZED VIEW v", "ACL ON MATERIALIZED VIEW public.v"),
        ("ACL", "FUNCTION f(a integer)", "ACL ON FUNCTION public.f(a integer)"),
        ("TABLE", "T \"x\"", "TABLE public.\"T \"\"x\"\"\""),
        ("FUNCTION", "F n(integer, \"Odd\".\"St at\")", "FUNCTION public.\"F n\"(integer, \"Odd\".\"St at\")"),
        ("OPERATOR", "===", "OPERATOR public.==="),
        ("POLICY", "pl Po", "POLICY public.pl \"Po\""),
        ("PUBLICATION TABLE", "pub device", "PUBLICATION TABLE pub public.device"),
        ("PUBLICATION TABLES IN SCHEMA", "pub public", "PUBLICATION TABLES IN SCHEMA pub public"),
        ("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", "DEFAULT ACL FOR ROLE app IN SCHEMA public FOR TABLES"),
        ("USER MAPPING", "USER MAPPING bob SERVER far", "USER MAPPING bob SERVER far"),
        ("SECURITY LABEL", "", "SECURITY LABEL ON public."),
    ] {
        assert_eq!(entry(1, desc, tag).object(), shown);
    }
    assert_eq!(entry(1, "SCHEMA", "app").within(None).object(), "SCHEMA app");
    assert_eq!(entry(1, "SCHEMA", "Odd one").within(None).object(), "SCHEMA \"Odd one\"");
    assert_eq!(entry(1, "TABLE", "t").within(Some("Odd one")).object(), "TABLE \"Odd one\".t");
    assert_eq!(entry(1, "COMMENT", "TABLE t").within(Some("Odd one")).object(), "COMMENT ON TABLE \"Odd one\".t");
    for (tag, drop, shown) in [
        ("T \"x\" p k", "ALTER TABLE ONLY app.\"T \"\"x\"\"\" DROP CONSTRAINT \"p k\";", "\"T \"\"x\"\"\" \"p k\""),
        ("pl p k", "ALTER TABLE ONLY app.pl DROP CONSTRAINT \"p k\";", "pl \"p k\""),
        ("p l k", "ALTER TABLE ONLY app.\"p l\" DROP CONSTRAINT k;", "\"p l\" k"),
    ] {
        let constraint = Entry { drop_statement: drop.into(), ..entry(1, "CONSTRAINT", tag) };
        assert_eq!(constraint.object(), format!("CONSTRAINT public.{shown}"));
    }
    assert_eq!(entry(1, "ACL", "SCHEMA app").within(None).object(), "ACL ON SCHEMA app");
}

#[test]
fn a_servers_own_column_options_are_left_out() {
    let mut table = entry(1, "TABLE", "t");
    table.definition = "CREATE TABLE public.t (a integer);\n\
        ALTER TABLE ONLY public.t ALTER COLUMN a SET (n_distinct=5);\n\
        ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=27788624);\n"
        .into();
    let kept = "CREATE TABLE public.t (a integer);\n\
        ALTER TABLE ONLY public.t ALTER COLUMN a SET (n_distinct=5);\n";
    assert_eq!(table.portable_definition(), kept);
    for whole in [
        "ALTER TABLE ONLY public.t ALTER COLUMN \"c SET (pg_attver=1);\n; DROP TABLE public.t; --\" SET STATISTICS 100;\n",
        "CREATE VIEW public.v AS\n SELECT 'first\nALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=1);\nlast' AS several;\n",
    ] {
        table.definition = whole.into();
        assert_eq!(table.portable_definition(), whole);
    }
    table.definition = "ALTER TABLE public.t ALTER COLUMN \"a;\n\" SET (pg_attver=1);\nSELECT 1;\n".into();
    assert_eq!(table.portable_definition(), "\nSELECT 1;\n");
    let mut function = entry(2, "FUNCTION", "f()");
    function.definition = table.definition.clone();
    assert_eq!(function.portable_definition(), function.definition);
}

#[test]
fn what_public_has_by_default_and_may_not_have() {
    let revoked = |definition: &str| {
        let mut entry = entry(1, "ACL", "x");
        entry.definition = definition.into();
        entry.revoked_from_public()
    };
    for (definition, kept) in [
        (
            "REVOKE ALL ON FUNCTION f() FROM PUBLIC;\nGRANT ALL ON FUNCTION f() TO r;\n",
            "REVOKE ALL ON FUNCTION f() FROM PUBLIC;",
        ),
        (
            "REVOKE ALL ON FUNCTION \"a; REVOKE x ON y FROM PUBLIC;\"() FROM PUBLIC;\n",
            "REVOKE ALL ON FUNCTION \"a; REVOKE x ON y FROM PUBLIC;\"() FROM PUBLIC;",
        ),
        // pg_dump takes it first where PUBLIC has more.
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC;\nGRANT ALL ON SCHEMA public TO PUBLIC;\n", ""),
        ("REVOKE USAGE ON SCHEMA public FROM PUBLIC;\nGRANT CREATE,USAGE ON SCHEMA public TO PUBLIC;\n", ""),
        (
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC;\nGRANT CREATE ON SCHEMA public TO PUBLIC;\n",
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC;",
        ),
        ("GRANT ALL ON TABLE t TO PUBLIC;\nREVOKE ALL ON TABLE t FROM \"x FROM PUBLIC\";\n", ""),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"a REVOKE b\" REVOKE ALL ON FUNCTIONS FROM PUBLIC;",
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"a REVOKE b\" REVOKE ALL ON FUNCTIONS FROM PUBLIC;",
        ),
    ] {
        assert_eq!(revoked(definition), kept, "{definition}");
    }
}
