-- 1 = Task.status
-- 2 = Task
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM token d
WHERE d.key = ? AND d.code IN (?, ?)) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0
ORDER BY v.vid DESC LIMIT ?
-- [1, 'draft', 'active', 2, 51]
