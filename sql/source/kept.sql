-- Whether a relation is still the one, and in the storage, that it was under the transaction's snapshot: what truncates or rewrites a
-- table gives it new storage, which holds no row that an older snapshot may see.
-- Run on: source, under the run's snapshot. PostgreSQL 13 and later. :relation stands for its schema and its name.
-- Returns: one JSON array: whether it is the same (certain only while it is locked), and whether it is gone.
--
-- Functions of a relation's OID or name tell what it is now; pg_class, what it was under the snapshot.
SELECT json_build_array(
    coalesce(pg_catalog.pg_relation_filenode(c.oid) = c.relfilenode, false)
        AND pg_catalog.to_regclass(pg_catalog.format('%I.%I', n.nspname, c.relname)) = c.oid,
    pg_catalog.pg_relation_filenode(c.oid) IS NULL)::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (n.nspname, c.relname) = (:relation)
