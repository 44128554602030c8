-- The types whose hash differs between servers: for an enum, a reg* type, and types made of these, it is the hash of an OID; for text, it is
-- the hash of the bytes in the database's encoding, which on the target is UTF8.
-- Run on: source, as the beginning of other queries. PostgreSQL 13 and later.
WITH RECURSIVE part_of(whole, part) AS (
    SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT oid, typelem FROM pg_catalog.pg_type WHERE typcategory = 'A'
    UNION ALL
    SELECT rngtypid, rngsubtype FROM pg_catalog.pg_range
    UNION ALL
    SELECT t.oid, a.atttypid
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE t.typtype = 'c'
),
own_hash(type) AS (
    SELECT oid FROM pg_catalog.pg_type
    WHERE typtype = 'e'
       OR (oid < 16384 AND typname LIKE 'reg%')
       OR (typcategory = 'S' AND getdatabaseencoding() <> 'UTF8')
    UNION
    SELECT p.whole FROM part_of p JOIN own_hash h ON h.type = p.part
)
