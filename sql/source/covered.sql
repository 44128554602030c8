-- Whether a hypertable has a chunk whose range overlaps that of a dropped chunk. The rows may have been moved there: when chunks are merged,
-- or when a chunk is compressed into the one before.
-- Run on: source. TimescaleDB 2.11 and later, any edition. :root stands for the hypertable's OID, :slices for a JSON object: the range in
-- each dimension.
-- Returns: one JSON boolean.
SELECT to_json(EXISTS (
    SELECT FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN _timescaledb_catalog.hypertable h ON (h.schema_name, h.table_name) = (n.nspname, c.relname)
    JOIN _timescaledb_catalog.chunk k ON k.hypertable_id = h.id AND NOT coalesce((to_jsonb(k)->>'dropped')::bool, false)
    JOIN _timescaledb_catalog.chunk_constraint cc ON cc.chunk_id = k.id
    JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
    JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
    JOIN json_each(:slices) w ON w.key = d.column_name
    WHERE c.oid = :root
    GROUP BY k.id
    HAVING every(s.range_start < (w.value->>1)::int8 AND s.range_end > (w.value->>0)::int8)
))::text
