-- Run on a side without TimescaleDB.
SELECT NULL::oid AS oid, NULL::text AS hypertable, NULL::text AS slices WHERE false
