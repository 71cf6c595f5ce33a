-- 1 = Task.of
-- 2 = http://e/m
-- 3 = Task
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM reference d
WHERE d.key = ? AND d.target IN (?) AND d.version = ?) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0
ORDER BY v.vid DESC LIMIT ?
-- [1, 2, '2', 3, 51]
