-- The indexes and constraints of hypertables and their chunks, with all that TimescaleDB finds them by. Names are without what depends on the
-- order of making: numbers from sequences, those that tell equal names apart, where both push a long name's end out, and of the two
-- indexes whose names are cut to the same all that is cut.
WITH relation AS (
    SELECT c.* FROM pg_class c
    WHERE c.oid IN (SELECT inhrelid FROM pg_inherits UNION SELECT inhparent FROM pg_inherits)
),
index AS (
    SELECT i.*, left(regexp_replace(regexp_replace(i.relname, '^(\d+)_\d+_', '\1_N_'), '^(.{20}).*_an_index.*|_\d+$', '\1'), 56) AS name
    FROM pg_class i WHERE i.relkind = 'i'
)
SELECT string_agg(line, E'\n' ORDER BY line)
FROM (
    SELECT concat_ws(' | ', r.oid::regclass, r.relreplident, i.name, s.spcname, i.reloptions,
                     regexp_replace(pg_get_indexdef(i.oid), '^.* USING ', 'USING '),
                     x.indisunique, x.indisprimary, x.indisexclusion, x.indimmediate, x.indisvalid, x.indisclustered, x.indisreplident, x.indkey,
                     (SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = i.oid)) AS line
    FROM relation r JOIN pg_index x ON x.indrelid = r.oid JOIN index i ON i.oid = x.indexrelid LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
    UNION ALL
    SELECT concat_ws(' | ', r.oid::regclass, i.name, k.conname = i.relname, pg_get_constraintdef(k.oid), k.conislocal, k.coninhcount,
                     k.condeferrable, k.condeferred)
    FROM relation r JOIN pg_constraint k ON k.conrelid = r.oid JOIN index i ON i.oid = k.conindid WHERE k.contype IN ('p', 'u', 'x')
) line
