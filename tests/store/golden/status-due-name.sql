-- 1 = Task.status
-- 2 = Task.due
-- 3 = Task.name
-- 4 = Task
SELECT v.vid
FROM version v
WHERE v.vid IN (SELECT d.vid
FROM token d
WHERE d.key = ? AND d.code IN (?)) AND +v.type = ? AND v.ended IS NULL AND v.deleted = 0 AND ((EXISTS (SELECT 1
FROM date t INDEXED BY date_vid
WHERE t.vid = v.vid AND t.key = ? AND (t.low < ?))) AND (EXISTS (SELECT 1
FROM string t INDEXED BY string_vid
WHERE t.vid = v.vid AND t.key = ? AND (instr(t.folded, ?) > 0))))
ORDER BY v.vid DESC LIMIT ?
-- [1, 'ready', 4, 2, 1638226800000000, 3, 'journal', 51]
