-- 1 = Task.status
-- 2 = Task.based-on
-- 3 = Plan/q
-- 4 = Task
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM token d
WHERE d.key = ? AND d.code IN (?)
UNION ALL SELECT d.vid
FROM reference d
WHERE d.key = ? AND d.target IN (?)) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0
ORDER BY v.vid DESC LIMIT ?
-- [1, 'done', 2, 3, 4, 51]
