-- The objects that a run made and that still exist, except roles, with the objects not made by the run that depend on them.
-- Run on: target. $1 run.
SELECT to_json(pg_catalog.pg_describe_object(o.classid, o.objid, 0) || coalesce(': needed by ' || d.users, ''))::text
FROM timescale_migrate.made_log m
JOIN timescale_migrate.object o USING (classid, objid)
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), ', ') AS users
    FROM pg_catalog.pg_depend d
    WHERE (d.refclassid = o.classid AND d.refobjid = o.objid
           -- a table's row type
           OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
              AND d.refobjid = (SELECT c.reltype FROM pg_catalog.pg_class c WHERE c.oid = o.objid))
      AND d.deptype = 'n'
      AND NOT EXISTS (SELECT FROM timescale_migrate.made_log own
                      WHERE own.run = m.run AND (own.classid = d.classid AND own.objid = d.objid
                            -- a part of one of them
                            OR EXISTS (SELECT FROM pg_catalog.pg_depend p
                                       WHERE p.classid = d.classid AND p.objid = d.objid AND p.deptype IN ('a', 'i')
                                         AND p.refclassid = own.classid AND p.refobjid = own.objid)))) d ON true
WHERE m.run = $1 AND m.classid <> 'pg_catalog.pg_authid'::pg_catalog.regclass
ORDER BY o.objid
