-- 1 = Task.status
-- 2 = Task
-- 3 = Task.based-on
-- 4 = Plan
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT w.vid
FROM (SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM token d
WHERE d.key = ? AND d.code IN (?)) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0) i
CROSS JOIN reference r INDEXED BY reference_vid
CROSS JOIN resource w
WHERE r.vid = i.vid AND r.key = ? AND w.rid = r.target AND w.vid IS NOT NULL) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0
ORDER BY v.vid DESC LIMIT ?
-- [1, 'draft', 2, 3, 4, 51]
