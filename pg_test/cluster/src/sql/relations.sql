-- Run on either side. The user's relations that hold rows of their own, chunks among them.
-- key: a name that is the same on both sides, for a chunk that of its hypertable and its slices;
-- name: the relation, quoted; columns: its columns in the order of their names, quoted.
WITH chunk AS (:chunks),
named AS (
    SELECT c.oid, format('%s%s', coalesce(chunk.hypertable, c.oid::regclass::text), ' chunk ' || chunk.slices) AS key
    FROM pg_class c LEFT JOIN chunk ON chunk.oid = c.oid
    WHERE c.relkind IN ('r', 'p', 'm')
      AND (chunk.oid IS NOT NULL
           OR (c.relnamespace::regnamespace::text !~ '^(pg_|information_schema|_timescaledb|timescale_migrate)'
               AND NOT EXISTS (SELECT FROM pg_depend d
                               WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')))
)
SELECT named.key, named.oid::regclass AS name,
       coalesce(string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname), '') AS columns
FROM named LEFT JOIN pg_attribute a ON a.attrelid = named.oid AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY named.key, named.oid
ORDER BY named.key;
