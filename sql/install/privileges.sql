-- Run by CREATE EXTENSION, last. Revokes all privileges from every role but the owner, who is a superuser: those that PUBLIC has by default,
-- and those that ALTER DEFAULT PRIVILEGES has granted.
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        WITH member AS (
            SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
            WHERE e.extname OPERATOR(pg_catalog.=) 'timescale_migrate' AND d.deptype OPERATOR(pg_catalog.=) 'e'
                AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
        ), object AS (
            SELECT 'SCHEMA ' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(n.nspname) AS name, n.nspowner AS owner, n.nspacl AS acl
            FROM member m JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) m.objid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
            UNION ALL
            -- A sequence that belongs to a column is not itself a member of the extension, but is in the schema.
            SELECT pg_catalog.format('%s %I.%I', CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname),
                c.relowner, c.relacl
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
            WHERE n.nspname OPERATOR(pg_catalog.=) 'timescale_migrate' AND c.relacl IS NOT NULL
            UNION ALL
            SELECT pg_catalog.format('ROUTINE %s', p.oid::pg_catalog.regprocedure), p.proowner,
                coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
            FROM member m JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) m.objid
            WHERE m.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
        )
        SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s FROM %s', o.name,
            CASE WHEN a.grantee OPERATOR(pg_catalog.=) 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END)
        FROM object o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
        LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.grantee
        WHERE a.grantee OPERATOR(pg_catalog.<>) o.owner
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
