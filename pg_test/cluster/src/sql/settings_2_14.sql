-- Run on either side, TimescaleDB 2.14 and newer. The settings that relations are compressed with; sparse indexes are listed since 2.22.
SELECT s.relid, s.segmentby, s.orderby, s.orderby_desc, s.orderby_nullsfirst, to_jsonb(s)->'index' AS index
FROM _timescaledb_catalog.compression_settings s
