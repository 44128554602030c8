-- Who may do what with this database, the schemas of users and the languages that all may use, of which a target has some already.
-- Run on: source and target. PostgreSQL 13 and later.
-- Returns: one JSON object per object. `kind` and `name` as in GRANT; `stored`: the privileges were ever changed;
-- `acl` as in inventory/database.sql, with the grantor if it is not the owner.
SELECT json_build_object('kind', o.kind, 'name', o.name, 'owner', pg_get_userbyid(o.owner), 'stored', o.acl IS NOT NULL, 'acl', (
    SELECT coalesce(json_agg(json_build_object(
        'grantee', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee) END,
        'privilege', a.privilege_type,
        'grantable', a.is_grantable,
        'grantor', CASE WHEN a.grantor <> o.owner THEN pg_get_userbyid(a.grantor) END) ORDER BY a.grantee, a.privilege_type), '[]'::json)
    FROM aclexplode(coalesce(o.acl, acldefault(o.type, o.owner))) a))::text
FROM (
    SELECT 'DATABASE' AS kind, datname AS name, datdba AS owner, datacl AS acl, 'd'::"char" AS type
    FROM pg_catalog.pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 'SCHEMA', n.nspname AS name, n.nspowner, n.nspacl, 'n'
    FROM pg_catalog.pg_namespace n
    WHERE (n.oid >= 16384 OR n.nspname = 'public')
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'LANGUAGE', l.lanname, l.lanowner, l.lanacl, 'l'
    FROM pg_catalog.pg_language l
    WHERE l.lanpltrusted
) o
ORDER BY o.kind, o.name
