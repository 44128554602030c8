-- Relations, in the order given, with their names, columns, and the triggers that fire in the replica role too, each with ALWAYS
-- or REPLICA.
-- Run on: target. $1 relations, $2 whether their columns are wanted.
-- Returns: one JSON object per relation.
SELECT json_build_object('relation', c.oid::bigint, 'name', c.oid::pg_catalog.regclass, 'columns', (
    SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')
    FROM pg_catalog.pg_attribute a
    WHERE $2 AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), 'triggers', (
    SELECT coalesce(json_agg(json_build_array(
        pg_catalog.quote_ident(t.tgname), CASE t.tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END)), '[]')
    FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = c.oid AND t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal))::text
FROM unnest($1) WITH ORDINALITY u(relation, number)
JOIN pg_catalog.pg_class c ON c.oid = u.relation
ORDER BY u.number
