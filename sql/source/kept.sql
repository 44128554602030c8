-- Whether relations are still the ones, and in the storage, that they are under the transaction's snapshot: what truncates or rewrites a
-- table gives it new storage, which holds no row that an older snapshot may see; and a name may have come to mean another relation.
-- Run on: source, under the run's snapshot. PostgreSQL 13 and later. :relations stands for rows of a number, an OID and a quoted name.
-- Returns: one JSON array: whether all are the same (certain only while they are locked), and whether the first one is gone.
--
-- Functions of a relation's OID or name tell what it is now; pg_class, what it is under the snapshot.
SELECT json_build_array(
    every(coalesce(pg_catalog.pg_relation_filenode(c.oid) = c.relfilenode AND pg_catalog.to_regclass(w.name) = c.oid, false)),
    bool_or(w.number = 1 AND pg_catalog.pg_relation_filenode(w.oid::pg_catalog.oid) IS NULL))::text
FROM (VALUES (:relations)) w(number, oid, name)
LEFT JOIN pg_catalog.pg_class c ON c.oid = w.oid::pg_catalog.oid
