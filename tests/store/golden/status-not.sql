-- 1 = Task.status
-- 2 = Task
SELECT v.vid
FROM version v INDEXED BY version_live
WHERE v.type = ? AND v.ended IS NULL AND v.deleted = 0 AND (NOT (EXISTS (SELECT 1
FROM token t INDEXED BY token_vid
WHERE t.vid = v.vid AND t.key = ? AND (t.code IN (?)))))
ORDER BY v.vid DESC LIMIT ?
-- [2, 1, 'draft', 51]
