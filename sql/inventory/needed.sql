-- These objects and, step by step, whatever they need: by pg_depend, which knows what definitions name, but not what the text of a function in
-- another language than SQL does.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB.
-- :objects and :unwanted stand for JSON arrays of [OID of the catalog, OID]; :edges for one of [OID of a relation, OID of a catalog, OID there
-- of what the relation needs].
-- Returns: one JSON array per object: OID of its catalog, its own OID. None is unwanted, and none is needed only by what is unwanted.
--
-- A part of an object comes with it, and with it what the part needs: a view's query, a table's defaults, constraints, triggers and
-- policies, its indexes and sequences, an extension's configuration tables. A foreign key does not bring the table that it references: it
-- is left out where that table does not arrive. A publication does not come with its tables.
--
-- Who reads a table reads those that inherit from it, too: it comes with them, as the edges tell. Not `whole`, without them, is a table that
-- only a child or a part of it needs, such as the sequence of a column.
WITH RECURSIVE edge(relation, class, oid) AS (
    SELECT (e->>0)::oid, (e->>1)::oid, (e->>2)::oid FROM json_array_elements(:edges::json) e
),
unwanted(class, oid) AS (
    SELECT (o->>0)::oid, (o->>1)::oid FROM json_array_elements(:unwanted::json) o
),
needed(class, oid, whole) AS (
    SELECT o.class, o.oid, true
    FROM (SELECT (e->>0)::oid, (e->>1)::oid FROM json_array_elements(:objects::json) e) o(class, oid)
    WHERE (o.class, o.oid) NOT IN (SELECT class, oid FROM unwanted)
    UNION
    SELECT x.class, x.oid, x.whole
    FROM needed n
    CROSS JOIN LATERAL (
        SELECT d.refclassid, d.refobjid,
               n.whole AND d.deptype <> 'P'
               AND NOT (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i', 'S') AND n.class <> 'pg_catalog.pg_type'::regclass)
               AND NOT (d.refclassid = n.class AND n.class = 'pg_catalog.pg_class'::regclass
                        AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = n.oid AND i.inhparent = d.refobjid))
        FROM pg_catalog.pg_depend d
        WHERE d.classid = n.class AND d.objid = n.oid
          AND NOT (n.class = 'pg_catalog.pg_constraint'::regclass
                   AND EXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.oid = n.oid AND f.contype = 'f'))
        UNION ALL
        -- The parts of a partition, which depend on those of its table ('P'), come with the partition.
        SELECT d.classid, d.objid, n.whole
        FROM pg_catalog.pg_depend d
        WHERE d.refclassid = n.class AND d.refobjid = n.oid
          AND (d.deptype IN ('a', 'i', 'S') OR d.classid = 'pg_catalog.pg_cast'::regclass)
          AND d.classid <> 'pg_catalog.pg_publication_rel'::regclass
          AND NOT (d.classid = 'pg_catalog.pg_class'::regclass
                   AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = d.objid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')))
        UNION ALL
        SELECT 'pg_catalog.pg_class'::regclass, unnest(e.extconfig), true
        FROM pg_catalog.pg_extension e
        WHERE n.class = 'pg_catalog.pg_extension'::regclass AND e.oid = n.oid
        UNION ALL
        SELECT e.class, e.oid, true
        FROM edge e
        WHERE n.class = 'pg_catalog.pg_class'::regclass AND e.relation = n.oid AND n.whole
    ) x(class, oid, whole)
    WHERE (x.class, x.oid) NOT IN (SELECT class, oid FROM unwanted)
)
SELECT json_build_array(n.class::int8, n.oid::int8)::text FROM (SELECT DISTINCT class, oid FROM needed) n
