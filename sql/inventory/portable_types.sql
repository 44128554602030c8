-- The types of which a value's binary COPY form means the same on every server. That holds for built-in types and what is made of them,
-- but not for the reg* types and arrays of user-defined types, which carry OIDs, nor for types of extensions, whose form may change with
-- their version. xml is text because only its text form keeps the XML declaration as it was written.
-- Run on: source and target, as the beginning of other queries. PostgreSQL 13 and later.
part_of(whole, part) AS (
    SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT oid, typelem FROM pg_catalog.pg_type WHERE typtype = 'b' AND typcategory = 'A' AND oid < 16384
    UNION ALL
    SELECT rngtypid, rngsubtype FROM pg_catalog.pg_range
    UNION ALL
    -- Multiranges exist since PostgreSQL 14.
    SELECT (to_jsonb(r)->>'rngmultitypid')::oid, rngtypid FROM pg_catalog.pg_range r
),
portable(type) AS (
    SELECT oid FROM pg_catalog.pg_type
    WHERE typtype = 'e'
       OR (typtype = 'b' AND typcategory <> 'A' AND oid < 16384 AND typsend <> 0 AND typreceive <> 0
           AND typname NOT LIKE 'reg%' AND typname <> 'xml')
    UNION
    SELECT p.whole FROM part_of p JOIN portable t ON t.type = p.part
)
