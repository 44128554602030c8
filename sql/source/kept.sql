-- Whether relations are still the ones, and in the storage, that they are under the transaction's snapshot: what truncates or rewrites a
-- table gives it new storage, which holds no row that an older snapshot may see; and a name may have come to mean another relation, or another
-- column of it.
-- Run on: source, under the run's snapshot. PostgreSQL 13 and later. :relations stands for rows of a number, an OID and a quoted name.
-- Returns: one JSON array: whether all are the same (certain only while they are locked), and whether the first one is gone.
--
-- Functions of a relation's OID or name tell what it is now; pg_class and pg_attribute, what it is under the snapshot.
SELECT json_build_array(
    every(coalesce(CASE WHEN pg_catalog.pg_relation_filenode(c.oid) = c.relfilenode AND pg_catalog.to_regclass(w.name) = c.oid THEN NOT EXISTS (
        SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND (pg_catalog.pg_identify_object_as_address('pg_catalog.pg_class'::pg_catalog.regclass, c.oid, a.attnum)).object_names[3]
              IS DISTINCT FROM a.attname::text) END, false)),
    bool_or(w.number = 1 AND pg_catalog.pg_relation_filenode(w.oid::pg_catalog.oid) IS NULL))::text
FROM (VALUES (:relations)) w(number, oid, name)
LEFT JOIN pg_catalog.pg_class c ON c.oid = w.oid::pg_catalog.oid
