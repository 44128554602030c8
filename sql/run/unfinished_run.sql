-- The newest migration that did not reach its end and of which something exists.
-- Run on: target.
-- Returns: one JSON array: its id, and whether it was removed in part.
SELECT json_build_array(r.id, r.state = 'removed')::text
FROM timescale_migrate.run r
WHERE r.kind = 'migrate' AND r.state IN ('failed', 'cancelled', 'interrupted', 'removed')
  AND r.id IN (SELECT h.run FROM timescale_migrate.has_made h)
ORDER BY r.id DESC LIMIT 1
