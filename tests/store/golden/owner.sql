-- 1 = Task.owner
-- 2 = Organization/o
-- 3 = Task
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM reference d
WHERE d.key = ? AND d.target IN (?)) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0 AND v.vid < ?
ORDER BY v.vid DESC LIMIT ?
-- [1, 2, 3, 131072, 21]
