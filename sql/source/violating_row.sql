-- How to find a row that violates a foreign key.
-- Run on: source, with nothing but pg_catalog in the search_path. PostgreSQL 13 and later, with or without TimescaleDB.
-- :parameters stands for the key's OID and two literals: what FROM names to read all rows of its table, and of the one that it references.
-- Returns: one JSON array: the key's definition, its columns, and a query for the values of one such row. Nothing for a key that is gone, or
-- whose last columns are ranges (PERIOD), which have to be covered, not equalled.
SELECT json_build_array(pg_get_constraintdef(f.oid), k.columns, format(
    'SELECT pg_catalog.concat_ws('', '', %s) FROM %s AS k WHERE (%s) AND NOT EXISTS (SELECT FROM %s AS p WHERE %s) LIMIT 1',
    k.texts, v.keyed, k.given, v.referenced, k.equal))::text
FROM (VALUES (:parameters)) v(key, keyed, referenced)
JOIN pg_catalog.pg_constraint f ON f.oid = v.key::pg_catalog.oid
CROSS JOIN LATERAL (
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.n) AS columns,
           string_agg(format('coalesce(k.%I::pg_catalog.text, ''null'')', a.attname), ', ' ORDER BY x.n) AS texts,
           -- With MATCH FULL a row that is NULL in part violates the key too.
           string_agg(format('k.%I IS NOT NULL', a.attname), CASE f.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END) AS given,
           string_agg(format('p.%I%s OPERATOR(%I.%s) k.%I', r.attname,
                             (SELECT format(' COLLATE %I.%I', cn.nspname, l.collname)
                              FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace cn ON cn.oid = l.collnamespace
                              WHERE l.oid = r.attcollation),
                             opn.nspname, o.oprname, a.attname), ' AND ') AS equal
    FROM unnest(f.conkey, f.confkey, f.conpfeqop) WITH ORDINALITY x(key, ref, op, n)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = x.key
    JOIN pg_catalog.pg_attribute r ON r.attrelid = f.confrelid AND r.attnum = x.ref
    JOIN pg_catalog.pg_operator o ON o.oid = x.op
    JOIN pg_catalog.pg_namespace opn ON opn.oid = o.oprnamespace
) k
WHERE f.contype = 'f' AND NOT coalesce((to_jsonb(f)->>'conperiod')::boolean, false)
