-- A relation's name, and its triggers that fire for a replica as well, each with when.
-- Run on: target. $1 relation.
SELECT json_build_array(oid::pg_catalog.regclass, (
    SELECT coalesce(json_agg(json_build_array(
        pg_catalog.quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END)), '[]')
    FROM pg_catalog.pg_trigger
    WHERE tgrelid = $1 AND tgenabled IN ('A', 'R') AND NOT tgisinternal))::text
FROM pg_catalog.pg_class WHERE oid = $1
