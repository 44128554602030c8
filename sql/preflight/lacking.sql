-- Which of these objects of the source's TimescaleDB do not exist on the target.
-- Run on: target. $1 a list of {kind, name, column} as in needs.sql.
-- Returns: one JSON object per object that does not exist.
SELECT json_build_object('kind', n.kind, 'name', n.name, 'column', n.column)::text
FROM pg_catalog.jsonb_to_recordset($1) n(kind text, name text, "column" text)
WHERE CASE n.kind
          WHEN 'relation' THEN pg_catalog.to_regclass(n.name) IS NULL
              OR (n.column IS NOT NULL
                  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                  WHERE a.attrelid = pg_catalog.to_regclass(n.name) AND a.attname = n.column AND NOT a.attisdropped))
          WHEN 'function' THEN pg_catalog.to_regprocedure(n.name) IS NULL
          WHEN 'type' THEN pg_catalog.to_regtype(n.name) IS NULL
          WHEN 'operator' THEN pg_catalog.to_regoperator(n.name) IS NULL
      END
