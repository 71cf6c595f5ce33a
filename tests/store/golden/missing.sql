-- 1 = Task.owner
-- 2 = Task
SELECT v.vid
FROM version v INDEXED BY version_live
WHERE v.type = ? AND v.ended IS NULL AND v.deleted = 0 AND (NOT EXISTS (SELECT 1
FROM reference t INDEXED BY reference_vid
WHERE t.vid = v.vid AND t.key = ? AND (1)))
ORDER BY v.vid DESC LIMIT ?
-- [2, 1, 51]
