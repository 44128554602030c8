use super::super::{Contents, Filter, Group, Why, contents};
use super::{Archive, Entry, Section, archive, entry};

fn objects<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<String> {
    entries.into_iter().map(Entry::object).collect()
}

fn staged(contents: &Contents, group: Group) -> Vec<String> {
    objects(contents.group(group).iter().copied())
}

fn excluded(contents: &Contents) -> Vec<String> {
    objects(contents.excluded.iter().map(|excluded| excluded.entry))
}

/// Of the stranded: the entry, and what it lacks.
fn stranded(contents: &Contents) -> Vec<String> {
    let line = |entry: &Entry, lacks: &Entry| format!("{} lacks {}", entry.object(), lacks.object());
    contents.stranded.iter().map(|stranded| line(stranded.entry, stranded.lacks)).collect()
}

/// Keeps out the objects with these dump ids.
fn without(archive: &Archive, ids: &[i32]) -> Filter {
    let listed = archive.entries.iter().filter(|entry| ids.contains(&entry.dump_id));
    Filter { objects: listed.map(|entry| (entry.class_oid, entry.oid)).collect(), ..Filter::default() }
}

#[test]
fn each_kind_has_its_stage() {
    let stage_of = |entry: Entry| {
        let archive = archive(vec![entry]);
        let contents = contents(&archive, &Filter::default());
        let groups = [
            Group::PreData,
            Group::OnProvided,
            Group::Index,
            Group::Constraint,
            Group::Attach,
            Group::ForeignKey,
            Group::Rest,
            Group::Publication,
            Group::Last,
            Group::Skip,
        ];
        groups.into_iter().find(|&group| !contents.group(group).is_empty()).unwrap()
    };
    for (group, kinds) in [
        (Group::PreData, "SCHEMA,EXTENSION,TABLE,VIEW,FUNCTION,DEFAULT,TABLE ATTACH,SEQUENCE OWNED BY"),
        (Group::Index, "INDEX"),
        (Group::Constraint, "CONSTRAINT,CHECK CONSTRAINT"),
        (Group::Attach, "INDEX ATTACH"),
        (Group::ForeignKey, "FK CONSTRAINT"),
        (Group::Rest, "TRIGGER,RULE,POLICY,ROW SECURITY,STATISTICS"),
        (Group::Rest, "DEFAULT ACL,ACL,COMMENT,SECURITY LABEL"),
        (Group::Publication, "PUBLICATION,PUBLICATION TABLE"),
        (Group::Last, "EVENT TRIGGER"),
        (Group::Skip, "ENCODING,STDSTRINGS,SEARCHPATH,DATABASE,DATABASE PROPERTIES,SUBSCRIPTION"),
        (Group::Skip, "TABLE DATA,SEQUENCE SET,BLOB,BLOB METADATA,BLOBS,SUBSCRIPTION TABLE"),
    ] {
        for kind in kinds.split(',') {
            assert_eq!(stage_of(entry(1, kind, "TABLE x")), group, "{kind}");
        }
    }
    assert_eq!(stage_of(entry(1, "ACL", "SCHEMA x")), Group::OnProvided);
    // What pg_dump postponed, and data in the post-data section.
    let late = |kind| stage_of(entry(1, kind, "x").in_section(Section::PostData));
    assert_eq!(late("MATERIALIZED VIEW"), Group::Rest);
    assert_eq!(late("FUNCTION"), Group::Rest);
    assert_eq!(late("PUBLICATION TABLES IN SCHEMA"), Group::Publication);
    assert_eq!(late("MATERIALIZED VIEW DATA"), Group::Skip);
    assert_eq!(late("STATISTICS DATA"), Group::Skip);
    for tag in ["DATABASE d", "SUBSCRIPTION s", "LARGE OBJECT 5", "LARGE OBJECTS 5..9"] {
        assert_eq!(stage_of(entry(1, "COMMENT", tag)), Group::Skip);
        assert_eq!(stage_of(entry(1, "ACL", tag)), Group::Skip);
    }
}

#[test]
fn a_stage_keeps_the_order_and_the_rest_runs_in_passes() {
    let archive = archive(vec![
        entry(9, "TABLE", "b"),
        entry(20, "ACL", "TABLE b").needing(&[9]),
        entry(21, "COMMENT", "TABLE b").needing(&[9]),
        entry(8, "TABLE", "a"),
        entry(7, "INDEX", "z"),
        entry(6, "INDEX", "y"),
        entry(12, "PUBLICATION", "p").within(None),
        entry(13, "COMMENT", "PUBLICATION p").within(None).needing(&[12]),
        entry(14, "EVENT TRIGGER", "et").within(None),
        entry(15, "COMMENT", "EVENT TRIGGER et").within(None).needing(&[14]),
        entry(5, "TRIGGER", "b t").needing(&[9]),
        entry(4, "DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES"),
        entry(3, "ACL", "TABLE a").needing(&[8]),
    ]);
    let contents = contents(&archive, &Filter::default());
    assert_eq!(staged(&contents, Group::PreData), ["TABLE public.b", "TABLE public.a"]);
    assert_eq!(staged(&contents, Group::Index), ["INDEX public.z", "INDEX public.y"]);
    let rest = [
        "COMMENT ON TABLE public.b",
        "ACL ON TABLE public.b",
        "DEFAULT ACL FOR ROLE app IN SCHEMA public FOR TABLES",
        "ACL ON TABLE public.a",
        "TRIGGER public.b t",
    ];
    assert_eq!(staged(&contents, Group::Rest), rest);
    assert_eq!(staged(&contents, Group::Publication), ["PUBLICATION p", "COMMENT ON PUBLICATION p"]);
    assert_eq!(staged(&contents, Group::Last), ["EVENT TRIGGER et", "COMMENT ON EVENT TRIGGER et"]);
}

#[test]
fn what_depends_on_something_late_is_late() {
    let archive = archive(vec![
        entry(1, "TABLE", "t"),
        entry(2, "CONSTRAINT", "t t_pkey").needing(&[1]),
        entry(3, "FUNCTION", "late()").in_section(Section::PostData).needing(&[1, 2]),
        entry(4, "MATERIALIZED VIEW", "mv").in_section(Section::PostData).needing(&[3]),
        entry(5, "INDEX", "mv_idx").needing(&[4]),
        entry(6, "CONSTRAINT", "t t_excl").needing(&[1, 3]),
        entry(7, "INDEX", "t_idx").needing(&[1]),
        entry(8, "INDEX ATTACH", "t_excl").needing(&[6]),
        entry(9, "FK CONSTRAINT", "u u_fkey").needing(&[8]),
        entry(10, "FK CONSTRAINT", "v v_fkey").needing(&[2]),
    ]);
    let contents = contents(&archive, &Filter::default());
    assert_eq!(staged(&contents, Group::Index), ["INDEX public.t_idx"]);
    assert_eq!(staged(&contents, Group::Constraint), ["CONSTRAINT public.t t_pkey"]);
    assert_eq!(staged(&contents, Group::Attach), [""; 0]);
    assert_eq!(staged(&contents, Group::ForeignKey), ["FK CONSTRAINT public.v v_fkey"]);
    let rest = [
        "FUNCTION public.late()",
        "MATERIALIZED VIEW public.mv",
        "INDEX public.mv_idx",
        "CONSTRAINT public.t t_excl",
        "INDEX ATTACH public.t_excl",
        "FK CONSTRAINT public.u u_fkey",
    ];
    assert_eq!(staged(&contents, Group::Rest), rest);
}

#[test]
fn what_is_provided_is_not_made_and_its_users_come_after_it() {
    let mut cagg = entry(2, "VIEW", "daily").needing(&[1]);
    (cagg.class_oid, cagg.oid) = (1259, 77);
    let archive = archive(vec![
        entry(1, "TABLE", "raw"),
        cagg,
        entry(3, "VIEW", "over_daily").needing(&[2]),
        entry(4, "VIEW", "over_over").needing(&[3]),
        entry(5, "VIEW", "other").needing(&[1]),
        entry(6, "COMMENT", "VIEW daily").needing(&[2]),
        entry(7, "ACL", "TABLE daily").needing(&[2]),
    ]);
    let filter = Filter { provided: [(1259, 77)].into(), ..Filter::default() };
    let contents = contents(&archive, &filter);
    let ids = |group| contents.group(group).iter().map(|e| e.dump_id).collect::<Vec<_>>();
    assert_eq!(ids(Group::PreData), [1, 5]);
    assert_eq!(ids(Group::OnProvided), [3, 4]);
    assert_eq!(ids(Group::Rest), [6, 7]);
    assert_eq!(contents.excluded.len(), 1);
    assert!(contents.stranded.is_empty());
}

#[test]
fn an_excluded_table_takes_its_parts_along() {
    let archive = archive(vec![
        entry(1, "TABLE", "hyper"),
        entry(2, "TABLE", "chunk").needing(&[1]),
        entry(3, "SEQUENCE", "chunk_seq").needing(&[2]),
        entry(4, "SEQUENCE OWNED BY", "chunk_seq").needing(&[3]),
        entry(5, "DEFAULT", "chunk a").needing(&[2]),
        entry(6, "CONSTRAINT", "chunk chunk_pkey").needing(&[2, 20]),
        entry(20, "CONSTRAINT", "hyper hyper_pkey").needing(&[1]),
        entry(7, "INDEX", "chunk_idx").needing(&[2, 1000]),
        entry(8, "COMMENT", "INDEX chunk_idx").needing(&[7]),
        entry(9, "STATISTICS", "stats").within(Some("other")).needing(&[2]),
        entry(10, "TRIGGER", "chunk t").needing(&[2]),
        entry(11, "FK CONSTRAINT", "chunk chunk_fkey").needing(&[2, 20, 1]),
        entry(12, "POLICY", "chunk p").needing(&[2]),
        entry(13, "ROW SECURITY", "chunk").needing(&[2]),
        entry(14, "RULE", "chunk r").needing(&[2]),
        entry(15, "ACL", "TABLE chunk").needing(&[2]),
        entry(16, "ACL", "COLUMN chunk.a").needing(&[2, 15]),
        entry(17, "SECURITY LABEL", "TABLE chunk").needing(&[2]),
        entry(18, "TABLE ATTACH", "chunk").needing(&[2, 1]),
        entry(19, "INDEX ATTACH", "chunk_idx").needing(&[7, 2, 1]),
        entry(21, "INDEX ATTACH", "chunk_pkey").needing(&[6, 20, 2, 1]),
        entry(22, "PUBLICATION", "pub").within(None),
        entry(23, "PUBLICATION TABLE", "pub chunk").needing(&[2, 22]),
    ]);
    let contents = contents(&archive, &without(&archive, &[2]));
    assert_eq!(stranded(&contents), [""; 0]);
    assert_eq!(staged(&contents, Group::PreData), ["TABLE public.hyper"]);
    assert_eq!(staged(&contents, Group::Constraint), ["CONSTRAINT public.hyper hyper_pkey"]);
    assert_eq!(staged(&contents, Group::Publication), ["PUBLICATION pub"]);
    assert_eq!(contents.excluded.len(), 20);
    assert_eq!(contents.excluded[0].why, Why::Object);
    let owned_by = contents.excluded.iter().find(|excluded| excluded.entry.dump_id == 4).unwrap();
    assert_eq!(owned_by.why, Why::PartOf(&archive.entries[2]));
}

#[test]
fn what_merely_depends_on_an_excluded_object_is_reported() {
    let archive = archive(vec![
        entry(1, "TABLE", "chunk"),
        entry(2, "TABLE", "t"),
        entry(3, "VIEW", "v").needing(&[1]),
        entry(4, "COMMENT", "VIEW v").needing(&[3]),
        entry(5, "VIEW", "w").needing(&[3, 2]),
        entry(6, "FUNCTION", "f(public.chunk)").needing(&[1]),
        entry(7, "INDEX", "t_idx").needing(&[2, 6]),
        entry(8, "COMMENT", "INDEX t_idx").needing(&[7]),
        entry(9, "POLICY", "t p").needing(&[2, 1]),
        entry(10, "CONSTRAINT", "chunk chunk_pkey").needing(&[1]),
        entry(11, "FK CONSTRAINT", "t t_fkey").needing(&[2, 10]),
        entry(12, "TABLE", "heir").needing(&[1]),
        entry(13, "TABLE ATTACH", "t").needing(&[2, 1]),
        entry(14, "TRIGGER", "t t").needing(&[2]),
    ]);
    let contents = contents(&archive, &without(&archive, &[1]));
    assert_eq!(
        stranded(&contents),
        [
            "VIEW public.v lacks TABLE public.chunk",
            "COMMENT ON VIEW public.v lacks TABLE public.chunk",
            "VIEW public.w lacks TABLE public.chunk",
            "FUNCTION public.f(public.chunk) lacks TABLE public.chunk",
            "INDEX public.t_idx lacks TABLE public.chunk",
            "COMMENT ON INDEX public.t_idx lacks TABLE public.chunk",
            "POLICY public.t p lacks TABLE public.chunk",
            "FK CONSTRAINT public.t t_fkey lacks CONSTRAINT public.chunk chunk_pkey",
            "TABLE public.heir lacks TABLE public.chunk",
            "TABLE ATTACH public.t lacks TABLE public.chunk",
        ]
    );
    let parts = contents.stranded.iter().filter_map(|stranded| {
        let whole = stranded.part_of?;
        Some(format!("{} of {}", stranded.entry.object(), whole.object()))
    });
    assert_eq!(
        parts.collect::<Vec<_>>(),
        ["COMMENT ON VIEW public.v of VIEW public.v", "COMMENT ON INDEX public.t_idx of INDEX public.t_idx"]
    );
    assert_eq!(staged(&contents, Group::PreData), ["TABLE public.t"]);
    assert_eq!(staged(&contents, Group::Rest), ["TRIGGER public.t t"]);
}

#[test]
fn in_doubt_a_part_is_reported() {
    // The index of which of the two? The constraint c of "a b", or "b c" of "a"?
    let archive = archive(vec![
        entry(1, "TABLE", "a"),
        entry(2, "TABLE", "a b"),
        entry(3, "INDEX", "i").needing(&[1, 2]),
        entry(4, "FK CONSTRAINT", "a b c").needing(&[1, 2]),
    ]);
    let contents = contents(&archive, &without(&archive, &[1]));
    assert_eq!(excluded(&contents), ["TABLE public.a"]);
    assert_eq!(
        stranded(&contents),
        ["INDEX public.i lacks TABLE public.a", "FK CONSTRAINT public.a b c lacks TABLE public.a"]
    );
}

#[test]
fn a_view_that_a_rule_fills_is_stranded_with_the_rule() {
    let archive = archive(vec![
        entry(1, "TABLE", "chunk"),
        entry(2, "VIEW", "v"),
        entry(3, "VIEW", "w").needing(&[2]),
        entry(4, "RULE", "v _RETURN").needing(&[1, 2]),
        entry(5, "RULE", "w other").needing(&[1, 3]),
    ]);
    let contents = contents(&archive, &without(&archive, &[1]));
    let reported = contents.stranded.iter().filter(|stranded| stranded.part_of.is_none());
    assert_eq!(objects(reported.map(|stranded| stranded.entry)), ["VIEW public.v", "VIEW public.w"]);
    assert_eq!(contents.stranded.len(), 4);
}

#[test]
fn what_the_target_has_already_strands_nothing() {
    let internal = Some("_timescaledb_internal");
    let archive = archive(vec![
        entry(1, "EXTENSION", "timescaledb").within(None),
        entry(2, "COMMENT", "EXTENSION timescaledb").within(None).needing(&[1]),
        entry(3, "EXTENSION", "hstore").within(None),
        entry(4, "VIEW", "buckets").needing(&[1]),
        entry(5, "SCHEMA", "_timescaledb_internal").within(None),
        entry(6, "ACL", "SCHEMA _timescaledb_internal").within(None).needing(&[777]),
        entry(7, "TABLE", "chunk").within(internal).needing(&[5]),
        entry(8, "INDEX", "chunk_idx").within(internal).needing(&[7]),
        entry(9, "TABLE", "users_own").within(internal).needing(&[5]),
        entry(10, "VIEW", "over_users_own").needing(&[9]),
        entry(11, "ACL", "TABLE hypertable").within(Some("_timescaledb_catalog")).needing(&[778]),
        entry(12, "ACL", "SCHEMA app").within(None).needing(&[779]),
    ]);
    let filter = Filter {
        extensions: vec!["timescaledb".into()],
        schemas: vec!["_timescaledb_internal".into(), "_timescaledb_catalog".into()],
        ..without(&archive, &[7])
    };
    let contents = contents(&archive, &filter);
    assert_eq!(staged(&contents, Group::PreData), ["EXTENSION hstore", "VIEW public.buckets"]);
    assert_eq!(staged(&contents, Group::OnProvided), ["ACL ON SCHEMA app"]);
    let lacks = "VIEW public.over_users_own lacks TABLE _timescaledb_internal.users_own";
    assert_eq!(stranded(&contents), [lacks]);
    // What is in such a schema and is not accounted for stays visible.
    let by_schema = contents.excluded.iter().filter(|excluded| excluded.why == Why::Schema);
    let by_schema = by_schema.map(|excluded| excluded.entry.dump_id).collect::<Vec<_>>();
    assert_eq!(by_schema, [5, 6, 9, 11]);
}

#[test]
fn cycles_and_loose_ends_do_no_harm() {
    let archive = archive(vec![
        entry(1, "TABLE", "t").needing(&[1, 2, 4711]),
        entry(2, "VIEW", "v").needing(&[3]),
        entry(3, "VIEW", "w").needing(&[2, 1]),
        entry(4, "INDEX", "i").needing(&[5]),
        entry(5, "INDEX", "j").needing(&[4, 6]),
        entry(6, "STATISTICS", "s").needing(&[5]),
    ]);
    let all = contents(&archive, &Filter::default());
    assert_eq!(staged(&all, Group::Rest).len(), 3);
    let none = contents(&archive, &without(&archive, &[1]));
    assert_eq!((excluded(&none).len(), none.stranded.len()), (1, 2));
}

#[test]
fn names_are_each_entrys_own() {
    let kinds = [("OPERATOR", "+"), ("TABLE", "t"), ("OPERATOR", "+"), ("TABLE DATA", "t"), ("INDEX", "i")];
    let entries: Vec<Entry> = kinds.iter().zip(1..).map(|((desc, tag), id)| entry(id, desc, tag)).collect();
    let mut changed = archive(entries.clone());
    changed.entries[1].owner = Some("else".into());
    let archive = archive(entries);
    let first = contents(&archive, &Filter::default());
    let names: Vec<&str> = [0, 1, 2, 4].iter().map(|&at| first.name(&archive.entries[at])).collect();
    assert_eq!(names, ["OPERATOR public.+", "TABLE public.t", "OPERATOR public.+ (2)", "INDEX public.i"]);
    assert!(first.makes(2) && !first.makes(4));
    let (before, after) = (first.digests(|_| true), contents(&changed, &Filter::default()).digests(|_| true));
    assert_eq!(before.len(), 4);
    let different = before.iter().filter(|(name, digest)| after.get(*name) != Some(digest));
    assert_eq!(different.map(|(name, _)| name).collect::<Vec<_>>(), ["TABLE public.t"]);
}

#[test]
fn no_digest_is_of_a_password() {
    let with = |definition: &str| {
        let kinds = ["USER MAPPING", "SERVER"];
        let mut entries: Vec<Entry> = kinds.iter().zip(1..).map(|(desc, id)| entry(id, desc, "s")).collect();
        entries.iter_mut().for_each(|entry| entry.definition = definition.into());
        contents(&archive(entries), &Filter::default()).digests(|_| true)
    };
    let (before, after) = (with("one"), with("another"));
    let different = before.iter().filter(|(name, digest)| after[*name] != **digest);
    assert_eq!(different.map(|(name, _)| name).collect::<Vec<_>>(), ["SERVER public.s"]);
}
